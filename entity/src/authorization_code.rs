//! Authorization codes (RFC 6749 §1.3.1), stored as hashes.

use sea_orm::entity::prelude::*;

use crate::{AuthorizationCodeId, ProjectId, SessionId, Timestamp, UserId};

/// A row of `authorization_code`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "authorization_code")]
pub struct Model {
    /// The code.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AuthorizationCodeId,
    /// The client it was given to.
    pub project_id: ProjectId,
    /// SHA-256 of the code.
    pub code_hash: Vec<u8>,
    /// Who signs in by it.
    pub user_id: UserId,
    /// The session that is handed over.
    pub session_id: SessionId,
    /// Refresh token of that session, sealed; wiped when the code is used.
    pub refresh_token: Option<Vec<u8>>,
    /// Where the code was sent; the same must be told when it is used.
    pub redirect_uri: String,
    /// What the verifier must fit (RFC 7636 §4.2).
    pub code_challenge: String,
    /// `S256`.
    pub code_challenge_method: String,
    /// Where the application goes on.
    pub after_callback_redirect_url: Option<String>,
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
