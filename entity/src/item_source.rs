//! What grants an item once or again and again: an item that is included in a purchase.

use sea_orm::entity::prelude::*;

use crate::{ItemBalanceId, ProjectId, Timestamp};

/// A row of `item_source`. It stays when it is over, so that its key never grants twice.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "item_source")]
pub struct Model {
    /// To what it grants; the row goes with it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub balance_id: ItemBalanceId,
    /// The order within the balance.
    #[sea_orm(primary_key, auto_increment = false)]
    pub place: i64,
    /// Where the customer is.
    pub project_id: ProjectId,
    /// What it is called, unique within the balance.
    pub source_key: String,
    /// What it grants each time.
    pub quantity: i64,
    /// When it grants first.
    pub starts_at: Timestamp,
    /// Milliseconds between its grants; null for one grant alone.
    pub interval: Option<i64>,
    /// When what it granted is lost.
    pub expires: Expires,
    /// From then on it grants no more; null while nobody knows.
    pub ends_at: Option<Timestamp>,
    /// How often it has granted.
    pub granted: i64,
    /// When it grants next; null when it will not.
    pub next_at: Option<Timestamp>,
}

/// When what a source granted is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Expires {
    /// Never: it survives its source, and repeats accumulate.
    #[sea_orm(string_value = "never")]
    Never,
    /// When the source ends. Repeats accumulate until then.
    #[sea_orm(string_value = "when-purchase-expires")]
    WhenPurchaseExpires,
    /// When the source grants again, and when it ends.
    #[sea_orm(string_value = "when-repeated")]
    WhenRepeated,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
