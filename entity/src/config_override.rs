//! Config overrides: one sparse JSON object per project and level.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp};

/// A row of `config_override`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "config_override")]
pub struct Model {
    /// The project.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: ProjectId,
    /// `project`, `branch` or `environment`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub level: String,
    /// The stored override, keys as given (dotted stay dotted).
    pub value: Json,
    /// Where the branch level came from; null means unlinked.
    pub source: Option<Json>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
