//! A user as everybody above this feature sees it: the row, its primary address, its selected team, and why it is
//! restricted.

use postern_entity::{contact_channel, linked_account, team, user};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ProjectId, Timestamp, UserId, projects::ProjectConfig, teams::Team};

/// A user, loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The user; the `sub` of its tokens.
    pub id: UserId,
    /// Its owner.
    pub project_id: ProjectId,
    /// Shown to people; never empty.
    pub display_name: Option<String>,
    /// The primary address, if there is one.
    pub primary_email: Option<PrimaryEmail>,
    /// URL of the picture.
    pub profile_image_url: Option<String>,
    /// Read and written by the user and by servers; null when unset.
    pub client_metadata: Value,
    /// Read by the user, written by servers; null when unset.
    pub client_read_only_metadata: Value,
    /// Read and written by servers only; null when unset.
    pub server_metadata: Value,
    /// Creation, or the moment an anonymous user became a regular one.
    pub signed_up_at: Timestamp,
    /// Creation, then each minting of an access token.
    pub last_active_at: Timestamp,
    /// Whether there is a password.
    pub has_password: bool,
    /// May sign in by one-time code.
    pub otp_auth_enabled: bool,
    /// Has a passkey to sign in with.
    pub passkey_auth_enabled: bool,
    /// Sign-in asks for a second factor.
    pub requires_totp_mfa: bool,
    /// Linked accounts of other sites, whatever they are good for; oldest first.
    pub oauth_accounts: Vec<OAuthAccount>,
    /// The selected team, if there is one.
    pub selected_team: Option<Team>,
    /// Made without any credentials.
    pub is_anonymous: bool,
    /// Why the user is restricted, if it is.
    pub restricted_reason: Option<RestrictedReason>,
    /// Restricted by an administrator or a sign-up rule; only one of the possible reasons.
    pub restricted_by_admin: bool,
    /// Told to the user.
    pub restricted_by_admin_reason: Option<String>,
    /// Told to servers only.
    pub restricted_by_admin_private_details: Option<String>,
    /// ISO 3166-1 alpha-2, upper case.
    pub country_code: Option<String>,
    /// How risky the sign-up looked.
    pub risk_scores: RiskScores,
}

/// The primary address of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryEmail {
    /// Normalised.
    pub address: String,
    /// The user has proven to hold it.
    pub is_verified: bool,
    /// Usable to sign in.
    pub used_for_auth: bool,
}

/// A linked account of another site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthAccount {
    /// Key of the provider in the project's config.
    pub provider_config_id: String,
    /// The account's id there.
    pub account_id: String,
    /// The account's address there.
    pub email: Option<String>,
}

impl From<linked_account::Model> for OAuthAccount {
    fn from(row: linked_account::Model) -> Self {
        Self { provider_config_id: row.provider_config_id, account_id: row.account_id, email: row.email }
    }
}

/// Why a user may not do everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RestrictedReason {
    /// Made without credentials.
    Anonymous,
    /// The project wants a verified primary address first.
    EmailNotVerified,
    /// By hand or by a sign-up rule.
    RestrictedByAdministrator,
}

impl RestrictedReason {
    /// As tokens, details and answers spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::EmailNotVerified => "email_not_verified",
            Self::RestrictedByAdministrator => "restricted_by_administrator",
        }
    }

    /// The first reason that applies (wire/users-teams-permissions.md §1.1).
    fn of(user: &user::Model, primary: Option<&contact_channel::Model>, config: &ProjectConfig) -> Option<Self> {
        if user.is_anonymous {
            Some(Self::Anonymous)
        } else if config.onboarding.require_email_verification && !primary.is_some_and(|channel| channel.is_verified) {
            Some(Self::EmailNotVerified)
        } else if user.restricted_by_admin {
            Some(Self::RestrictedByAdministrator)
        } else {
            None
        }
    }
}

/// How risky a sign-up looked: 0 to 100 each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RiskScores {
    /// Made by a machine.
    pub bot: u8,
    /// Made to use a free trial once more.
    pub free_trial_abuse: u8,
}

impl User {
    /// Whether anything restricts the user.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.restricted_reason.is_some()
    }

    /// Whether the user can sign in with an address: by password or by code.
    #[must_use]
    pub fn auth_with_email(&self) -> bool {
        self.has_password || self.otp_auth_enabled
    }

    /// The primary address, as text.
    #[must_use]
    pub fn primary_address(&self) -> Option<&str> {
        self.primary_email.as_ref().map(|email| email.address.as_str())
    }

    /// Puts the rows together.
    pub(super) fn new(
        row: user::Model,
        primary: Option<contact_channel::Model>,
        selected_team: Option<team::Model>,
        oauth_accounts: Vec<OAuthAccount>,
        passkey_auth_enabled: bool,
        config: &ProjectConfig,
    ) -> Self {
        let restricted_reason = RestrictedReason::of(&row, primary.as_ref(), config);
        Self {
            id: row.id,
            project_id: row.project_id,
            display_name: row.display_name,
            primary_email: primary.map(|channel| PrimaryEmail {
                address: channel.value,
                is_verified: channel.is_verified,
                used_for_auth: channel.used_for_auth,
            }),
            profile_image_url: row.profile_image_url,
            client_metadata: row.client_metadata.unwrap_or_default(),
            client_read_only_metadata: row.client_read_only_metadata.unwrap_or_default(),
            server_metadata: row.server_metadata.unwrap_or_default(),
            signed_up_at: row.signed_up_at,
            last_active_at: row.last_active_at,
            has_password: row.password_hash.is_some(),
            otp_auth_enabled: row.otp_auth_enabled,
            passkey_auth_enabled,
            requires_totp_mfa: row.requires_totp_mfa,
            oauth_accounts,
            selected_team: selected_team.map(Team::from),
            is_anonymous: row.is_anonymous,
            restricted_reason,
            restricted_by_admin: row.restricted_by_admin,
            restricted_by_admin_reason: row.restricted_by_admin_reason,
            restricted_by_admin_private_details: row.restricted_by_admin_private_details,
            country_code: row.country_code,
            risk_scores: RiskScores { bot: score(row.risk_bot), free_trial_abuse: score(row.risk_free_trial_abuse) },
        }
    }
}

/// Stored scores were checked when written; anything else reads as the nearest end.
pub(super) fn score(stored: i32) -> u8 {
    u8::try_from(stored.clamp(0, 100)).unwrap_or_default()
}
