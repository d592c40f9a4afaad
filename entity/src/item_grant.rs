//! What is left of the grants of an item. A grant that is used up or over has no row.

use sea_orm::entity::prelude::*;

use crate::{ItemBalanceId, ProjectId, Timestamp};

/// A row of `item_grant`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "item_grant")]
pub struct Model {
    /// Whose; the row goes with it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub balance_id: ItemBalanceId,
    /// The order within the balance; that of its source, if it has one. 0 for everything that never ends.
    #[sea_orm(primary_key, auto_increment = false)]
    pub place: i64,
    /// Where the customer is.
    pub project_id: ProjectId,
    /// Whether a source of this place made it.
    pub of_source: bool,
    /// What is left; more than 0.
    pub remaining: i64,
    /// When that is lost; null for `ends_with_purchase` and for never.
    pub ends_at: Option<Timestamp>,
    /// Lost when its source ends, which nobody knows yet.
    pub ends_with_purchase: bool,
    /// When its oldest part was made.
    pub granted_at: Timestamp,
    /// Of how many parts it is. A repeat adds a part.
    pub parts: i64,
    /// What is in each part but the oldest.
    pub part_quantity: i64,
    /// Milliseconds from part to part.
    pub part_interval: i64,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
