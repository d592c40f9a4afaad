//! One-time codes, stored as hashes.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp, UserId, VerificationCodeId};

/// A row of `verification_code`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "verification_code")]
pub struct Model {
    /// The code.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: VerificationCodeId,
    /// Owner.
    pub project_id: ProjectId,
    /// What it is good for; a code of another kind is not found.
    pub kind: String,
    /// SHA-256 of the code.
    pub code_hash: Vec<u8>,
    /// SHA-256 of its last 39 characters, by which attempts are counted.
    pub tail_hash: Vec<u8>,
    /// Whom it concerns.
    pub user_id: Option<UserId>,
    /// What it is bound to, by kind.
    pub data: Json,
    /// Uses and checks counted so far.
    pub attempts: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is refused.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
