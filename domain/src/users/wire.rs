//! The JSON forms of a user (wire/users-teams-permissions.md §1.1): what REST answers and webhooks carry.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{RestrictedReason, User};
use crate::{
    TeamId, Timestamp, UserId,
    teams::wire::{ClientTeam, ServerTeam},
};

/// What servers see; the payload of `user.created` and `user.updated`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract; `User` says what they mean")]
pub struct ServerUser {
    pub id: UserId,
    pub primary_email: Option<String>,
    pub primary_email_verified: bool,
    pub primary_email_auth_enabled: bool,
    pub display_name: Option<String>,
    pub selected_team: Option<ServerTeam>,
    pub selected_team_id: Option<TeamId>,
    pub profile_image_url: Option<String>,
    pub signed_up_at_millis: Timestamp,
    pub last_active_at_millis: Timestamp,
    pub has_password: bool,
    pub otp_auth_enabled: bool,
    pub passkey_auth_enabled: bool,
    pub client_metadata: Value,
    pub client_read_only_metadata: Value,
    pub server_metadata: Value,
    pub is_anonymous: bool,
    pub is_restricted: bool,
    pub restricted_reason: Option<RestrictedReason>,
    pub restricted_by_admin: bool,
    pub restricted_by_admin_reason: Option<String>,
    pub restricted_by_admin_private_details: Option<String>,
    pub country_code: Option<String>,
    pub risk_scores: WireRiskScores,
    pub oauth_providers: Vec<WireOAuthProvider>,
    pub auth_with_email: bool,
    pub requires_totp_mfa: bool,
}

/// What users see of themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract; `User` says what they mean")]
pub struct ClientUser {
    pub id: UserId,
    pub primary_email: Option<String>,
    pub primary_email_verified: bool,
    pub display_name: Option<String>,
    pub selected_team: Option<ClientTeam>,
    pub selected_team_id: Option<TeamId>,
    pub profile_image_url: Option<String>,
    pub signed_up_at_millis: Timestamp,
    pub has_password: bool,
    pub otp_auth_enabled: bool,
    pub passkey_auth_enabled: bool,
    pub client_metadata: Value,
    pub client_read_only_metadata: Value,
    pub is_anonymous: bool,
    pub is_restricted: bool,
    pub restricted_reason: Option<RestrictedReason>,
    pub restricted_by_admin: bool,
    pub restricted_by_admin_reason: Option<String>,
    pub oauth_providers: Vec<WireOAuthProvider>,
    pub auth_with_email: bool,
    pub requires_totp_mfa: bool,
}

/// `risk_scores`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SignUpRiskScores")]
pub struct WireRiskScores {
    /// Of the sign-up.
    pub sign_up: super::RiskScores,
}

/// One of `oauth_providers`; `id` is the provider's key in the config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract; `OAuthAccount` says what they mean")]
pub struct WireOAuthProvider {
    pub id: String,
    pub account_id: String,
    pub email: Option<String>,
}

impl From<super::OAuthAccount> for WireOAuthProvider {
    fn from(account: super::OAuthAccount) -> Self {
        Self { id: account.provider_config_id, account_id: account.account_id, email: account.email }
    }
}

impl From<User> for ServerUser {
    fn from(user: User) -> Self {
        let (is_restricted, auth_with_email) = (user.is_restricted(), user.auth_with_email());
        let primary = user.primary_email.as_ref();
        Self {
            id: user.id,
            primary_email_verified: primary.is_some_and(|email| email.is_verified),
            primary_email_auth_enabled: primary.is_some_and(|email| email.used_for_auth),
            primary_email: user.primary_email.map(|email| email.address),
            display_name: user.display_name,
            selected_team_id: user.selected_team.as_ref().map(|team| team.id),
            selected_team: user.selected_team.map(ServerTeam::from),
            profile_image_url: user.profile_image_url,
            signed_up_at_millis: user.signed_up_at,
            last_active_at_millis: user.last_active_at,
            has_password: user.has_password,
            otp_auth_enabled: user.otp_auth_enabled,
            passkey_auth_enabled: user.passkey_auth_enabled,
            client_metadata: user.client_metadata,
            client_read_only_metadata: user.client_read_only_metadata,
            server_metadata: user.server_metadata,
            is_anonymous: user.is_anonymous,
            is_restricted,
            restricted_reason: user.restricted_reason,
            restricted_by_admin: user.restricted_by_admin,
            restricted_by_admin_reason: user.restricted_by_admin_reason,
            restricted_by_admin_private_details: user.restricted_by_admin_private_details,
            country_code: user.country_code,
            risk_scores: WireRiskScores { sign_up: user.risk_scores },
            oauth_providers: user.oauth_accounts.into_iter().map(WireOAuthProvider::from).collect(),
            auth_with_email,
            requires_totp_mfa: user.requires_totp_mfa,
        }
    }
}

impl From<User> for ClientUser {
    fn from(user: User) -> Self {
        let selected_team = user.selected_team.clone().map(ClientTeam::from);
        let server = ServerUser::from(user);
        Self {
            id: server.id,
            primary_email: server.primary_email,
            primary_email_verified: server.primary_email_verified,
            display_name: server.display_name,
            selected_team,
            selected_team_id: server.selected_team_id,
            profile_image_url: server.profile_image_url,
            signed_up_at_millis: server.signed_up_at_millis,
            has_password: server.has_password,
            otp_auth_enabled: server.otp_auth_enabled,
            passkey_auth_enabled: server.passkey_auth_enabled,
            client_metadata: server.client_metadata,
            client_read_only_metadata: server.client_read_only_metadata,
            is_anonymous: server.is_anonymous,
            is_restricted: server.is_restricted,
            restricted_reason: server.restricted_reason,
            restricted_by_admin: server.restricted_by_admin,
            restricted_by_admin_reason: server.restricted_by_admin_reason,
            oauth_providers: server.oauth_providers,
            auth_with_email: server.auth_with_email,
            requires_totp_mfa: server.requires_totp_mfa,
        }
    }
}
