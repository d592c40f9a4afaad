//! How far each follower of the event log has come.

use sea_orm::entity::prelude::*;

use crate::Timestamp;

/// A row of `event_consumer`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_consumer")]
pub struct Model {
    /// Who follows.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The last position it has dealt with.
    pub position: i64,
    /// When it last moved.
    pub updated_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
