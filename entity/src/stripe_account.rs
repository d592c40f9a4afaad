//! The connected account through which a project sells.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp};

/// A row of `stripe_account`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "stripe_account")]
pub struct Model {
    /// Whose it is; a project has at most one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: ProjectId,
    /// `acct_…`
    pub account_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Up to when its events were asked for.
    pub synced_at: Option<Timestamp>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
