//! What users chose for categories of mails, where that differs from what everybody gets.

use sea_orm::entity::prelude::*;
use uuid::Uuid;

use crate::{ProjectId, Timestamp, UserId};

/// A row of `notification_preference`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notification_preference")]
pub struct Model {
    /// Whose choice it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The category.
    #[sea_orm(primary_key, auto_increment = false)]
    pub category_id: Uuid,
    /// Owner.
    pub project_id: ProjectId,
    /// Whether mails of the category are wanted.
    pub is_enabled: bool,
    /// When that was chosen.
    pub updated_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
