//! Sessions: one row per refresh token, stored as a hash.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, SessionId, Timestamp, UserId};

/// A row of `session`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    /// The session; `refresh_token_id` in access tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    /// Owner.
    pub project_id: ProjectId,
    /// Who is signed in.
    pub user_id: UserId,
    /// SHA-256 of the refresh token.
    pub token_hash: Vec<u8>,
    /// Sign-in.
    pub created_at: Timestamp,
    /// Last minting of an access token.
    pub last_used_at: Timestamp,
    /// From then on the token is refused.
    pub expires_at: Timestamp,
    /// Made by an administrator to act as the user.
    pub is_impersonation: bool,
    /// Network of the sign-in: an address of IPv4, or a /64 of IPv6.
    pub network: Option<String>,
    /// Address of the last use, when it came from a browser.
    pub last_used_ip: Option<String>,
    /// User agent of the last use.
    pub last_used_user_agent: Option<String>,
    /// Country of that use, as ISO 3166-1 alpha-2, where a proxy tells it.
    pub last_used_country: Option<String>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
