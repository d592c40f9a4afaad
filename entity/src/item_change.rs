//! The ledger of items: what was changed, never edited. Repeats and expiries follow from it and are not written here.

use sea_orm::entity::prelude::*;

use crate::{ItemBalanceId, ItemChangeId, ProjectId, Timestamp};

/// A row of `item_change`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "item_change")]
pub struct Model {
    /// The entry.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ItemChangeId,
    /// Of what; the row goes with it.
    pub balance_id: ItemBalanceId,
    /// Where the customer is.
    pub project_id: ProjectId,
    /// What sort of entry.
    pub kind: ItemChangeKind,
    /// Manual: what was added or taken. Of a source: what it grants each time; 0 for its end.
    pub delta: i64,
    /// Manual: when what was added is lost. End of a source: when; null when it was taken back.
    pub expires_at: Option<Timestamp>,
    /// For people.
    pub description: Option<String>,
    /// The source, by its key.
    pub source_key: Option<String>,
    /// Who: the access type of the caller, or `system`.
    pub made_by: String,
    /// When it took effect.
    pub created_at: Timestamp,
}

/// What sort of entry of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum ItemChangeKind {
    /// Somebody added or took something.
    #[sea_orm(string_value = "manual")]
    Manual,
    /// A source began.
    #[sea_orm(string_value = "source")]
    Source,
    /// The end of a source was set, moved or taken back.
    #[sea_orm(string_value = "source_end")]
    SourceEnd,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
