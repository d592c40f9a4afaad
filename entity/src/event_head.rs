//! The head of the event log: one row, locked to hand out positions.

use sea_orm::entity::prelude::*;

/// The row of `event_head`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_head")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// The newest position handed out; 0 before the first.
    pub position: i64,
    /// Events up to this position were removed by retention.
    pub pruned_position: i64,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
