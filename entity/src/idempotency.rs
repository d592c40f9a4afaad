//! Answers of mutations kept for a day, so that a caller may repeat them by key.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp};

/// A row of `idempotency`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency")]
pub struct Model {
    /// The project.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: ProjectId,
    /// Who asked: a user, or the level of a key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller: String,
    /// The operation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub operation: String,
    /// The key the caller chose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// SHA-256 of what was asked.
    pub request_hash: Vec<u8>,
    /// The outcome, sealed.
    pub outcome: Vec<u8>,
    /// From then on the key is free again.
    pub expires_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
