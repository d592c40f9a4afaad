//! Passkeys: at most one a user.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp, UserId};

/// A row of `passkey`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "passkey")]
pub struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Owner.
    pub project_id: ProjectId,
    /// The id that its authenticator gave it; unique within the project.
    pub credential_id: Vec<u8>,
    /// The host name that it is bound to.
    pub rp_id: String,
    /// Its public key and state, as `webauthn-rs` keeps them.
    pub credential: Json,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When somebody last signed in by it.
    pub last_used_at: Option<Timestamp>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
