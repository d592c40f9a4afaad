//! Users of a project.

use sea_orm::entity::prelude::*;

use crate::{PasswordHash, ProjectId, Timestamp, UserId, positional::positional};

/// A row of `user`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user")]
pub struct Model {
    /// The user; the `sub` of its tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// Owner.
    pub project_id: ProjectId,
    /// Shown to people; never empty.
    pub display_name: Option<String>,
    /// The same folded for searching: neither database folds all letters by itself.
    pub display_name_folded: Option<String>,
    /// Picture.
    pub profile_image_url: Option<String>,
    /// Read and written by the user and by servers.
    pub client_metadata: Option<Json>,
    /// Read by the user, written by servers.
    pub client_read_only_metadata: Option<Json>,
    /// Read and written by servers only.
    pub server_metadata: Option<Json>,
    /// Creation, or the moment an anonymous user became a regular one.
    pub signed_up_at: Timestamp,
    /// Creation, then each minting of an access token.
    pub last_active_at: Timestamp,
    /// PHC string (argon2, imported Firebase scrypt) or modular-crypt string (imported bcrypt).
    pub password_hash: Option<PasswordHash>,
    /// May sign in by one-time code.
    pub otp_auth_enabled: bool,
    /// Sign-in asks for a second factor.
    pub requires_totp_mfa: bool,
    /// TOTP secret, sealed.
    pub totp_secret: Option<Vec<u8>>,
    /// The newest time step of which a code was taken: no code is taken twice (RFC 6238 §5.2).
    pub totp_last_step: Option<i64>,
    /// Made without any credentials.
    pub is_anonymous: bool,
    /// Restricted by an administrator or a sign-up rule.
    pub restricted_by_admin: bool,
    /// Told to the user.
    pub restricted_by_admin_reason: Option<String>,
    /// Told to servers only.
    pub restricted_by_admin_private_details: Option<String>,
    /// ISO 3166-1 alpha-2, upper case.
    pub country_code: Option<String>,
    /// Sign-up risk score, 0 to 100.
    pub risk_bot: i32,
    /// Sign-up risk score, 0 to 100.
    pub risk_free_trial_abuse: i32,
    /// When the row was made.
    pub created_at: Timestamp,
    /// When a column last changed.
    pub updated_at: Timestamp,
}

positional!(Model {
    id project_id display_name display_name_folded profile_image_url client_metadata client_read_only_metadata
    server_metadata signed_up_at last_active_at password_hash otp_auth_enabled requires_totp_mfa totp_secret
    totp_last_step is_anonymous restricted_by_admin restricted_by_admin_reason
    restricted_by_admin_private_details country_code risk_bot risk_free_trial_abuse created_at updated_at
});

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
