//! Permissions granted to users within their project. What a permission includes is in the project's config.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp, UserId};

/// A row of `project_permission`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "project_permission")]
pub struct Model {
    /// To whom.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Which permission.
    #[sea_orm(primary_key, auto_increment = false)]
    pub permission_id: String,
    /// The project of the user.
    pub project_id: ProjectId,
    /// When it was granted.
    pub created_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
