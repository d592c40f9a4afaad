//! API keys of users and teams, stored as hashes.

use sea_orm::entity::prelude::*;

use crate::{ApiKeyId, ProjectId, TeamId, Timestamp, UserId};

/// A row of `api_key`. Goes with its owner: exactly one of `user_id` and `team_id` is there.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    /// The key; a part of its text.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ApiKeyId,
    /// The project of its owner.
    pub project_id: ProjectId,
    /// The user it belongs to.
    pub user_id: Option<UserId>,
    /// The team it belongs to.
    pub team_id: Option<TeamId>,
    /// For people.
    pub description: String,
    /// Made to be seen by anybody.
    pub is_public: bool,
    /// SHA-256 of the whole key.
    pub key_hash: Vec<u8>,
    /// Last four characters of the key.
    pub last_four: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is refused; never when there is none.
    pub expires_at: Option<Timestamp>,
    /// Since then it is refused.
    pub revoked_at: Option<Timestamp>,
    /// When its use was last told to the audit.
    pub last_used_at: Option<Timestamp>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
