//! Key sets of projects. Keys are stored as SHA-256 hashes with their last four characters.

use sea_orm::entity::prelude::*;

use crate::{KeySetId, ProjectId, Timestamp};

/// A row of `key_set`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "key_set")]
pub struct Model {
    /// The set.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: KeySetId,
    /// Owner.
    pub project_id: ProjectId,
    /// Shown to people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on the keys are refused; may lie in the past.
    pub expires_at: Timestamp,
    /// Set when revoked by hand.
    pub revoked_at: Option<Timestamp>,
    /// Hash of the `pck_` key.
    pub publishable_client_key_hash: Option<Vec<u8>>,
    /// Its last four characters.
    pub publishable_client_key_last_four: Option<String>,
    /// Hash of the `ssk_` key.
    pub secret_server_key_hash: Option<Vec<u8>>,
    /// Its last four characters.
    pub secret_server_key_last_four: Option<String>,
    /// Hash of the `sak_` key.
    pub super_secret_admin_key_hash: Option<Vec<u8>>,
    /// Its last four characters.
    pub super_secret_admin_key_last_four: Option<String>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
