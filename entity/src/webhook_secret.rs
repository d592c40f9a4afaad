//! Signing secrets of webhook endpoints: the current one and those that are still valid for a while.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp, WebhookEndpointId};

/// A row of `webhook_secret`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_secret")]
pub struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint_id: WebhookEndpointId,
    /// Raised by every rotation: the newest has the highest.
    #[sea_orm(primary_key, auto_increment = false)]
    pub generation: i32,
    /// Owner.
    pub project_id: ProjectId,
    /// Sealed: the secret as the owner sees it, `whsec_…`.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it signs besides the current one; null for the current one.
    pub expires_at: Option<Timestamp>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
