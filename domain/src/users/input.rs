//! What callers ask for when they make or change a user, and the same once it is checked (`check.rs`) and ready to be
//! written.

use secrecy::{SecretSlice, SecretString};
use serde_json::Value;

use super::RiskScores;
use crate::{
    LinkedAccountId, SessionId, TeamId, Timestamp, UserId, email_address::EmailAddress, images::Picture,
    linked_accounts::NewLinkedAccount, patch::Patch,
};

/// The longest display name, in characters.
pub const MAX_DISPLAY_NAME_CHARS: usize = 256;
/// The longest password, in characters.
pub const MAX_PASSWORD_CHARS: usize = 70;

/// A user that a server makes. `None` is "not given".
#[derive(Clone, Debug, Default)]
pub struct CreateUser {
    /// At most [`MAX_DISPLAY_NAME_CHARS`]; empty counts as none.
    pub display_name: Option<String>,
    /// Loose syntax; normalised.
    pub primary_email: Option<String>,
    /// Default: false.
    pub primary_email_verified: Option<bool>,
    /// Default: false.
    pub primary_email_auth_enabled: Option<bool>,
    /// An http or https URL.
    pub profile_image_url: Option<String>,
    /// Any JSON.
    pub client_metadata: Option<Value>,
    /// Any JSON.
    pub client_read_only_metadata: Option<Value>,
    /// Any JSON.
    pub server_metadata: Option<Value>,
    /// Default: false.
    pub otp_auth_enabled: Option<bool>,
    /// At most [`MAX_PASSWORD_CHARS`]; no least length here.
    pub password: Option<SecretString>,
    /// bcrypt, instead of a password.
    pub password_hash: Option<SecretString>,
    /// Standard base64.
    pub totp_secret_base64: Option<SecretString>,
    /// Linked accounts of other sites.
    pub oauth_providers: Vec<OAuthLink>,
    /// Default: false.
    pub is_anonymous: Option<bool>,
    /// Default: false.
    pub restricted_by_admin: Option<bool>,
    /// Only with `restricted_by_admin: true`.
    pub restricted_by_admin_reason: Option<String>,
    /// Only with `restricted_by_admin: true`.
    pub restricted_by_admin_private_details: Option<String>,
    /// Two letters.
    pub country_code: Option<String>,
    /// Default: zero.
    pub risk_scores: Option<RiskScores>,
}

/// An account of another site to link to a new user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthLink {
    /// Key of the provider in the project's config.
    pub provider_config_id: String,
    /// The account's id there, 1 to [`crate::linked_accounts::MAX_ACCOUNT_ID_CHARS`].
    pub account_id: String,
    /// The account's address there; loose syntax, normalised.
    pub email: Option<String>,
    /// The user signs in with it.
    pub allow_sign_in: bool,
    /// The application reaches the other site by it.
    pub allow_connected_accounts: bool,
    /// The link, where it was one elsewhere before.
    pub id: Option<LinkedAccountId>,
    /// When it was linked. Default: the sign-up.
    pub created_at: Option<Timestamp>,
}

impl OAuthLink {
    /// The same as a link of a user who is there.
    pub(crate) fn to_account(&self, user_id: UserId) -> NewLinkedAccount {
        NewLinkedAccount {
            user_id,
            provider_config_id: self.provider_config_id.clone(),
            account_id: self.account_id.clone(),
            email: self.email.clone(),
            allow_sign_in: self.allow_sign_in,
            allow_connected_accounts: self.allow_connected_accounts,
        }
    }

    /// An account that is good for everything, as a link is that is made with its user (wire/users-teams-permissions §1.4).
    #[must_use]
    pub fn new(provider_config_id: String, account_id: String, email: Option<String>) -> Self {
        Self {
            provider_config_id,
            account_id,
            email,
            allow_sign_in: true,
            allow_connected_accounts: true,
            id: None,
            created_at: None,
        }
    }
}

/// What a server changes. `None` and [`Patch::Keep`] leave as it is; metadata is replaced whole, null included.
#[derive(Clone, Debug, Default)]
pub struct UpdateUser {
    /// At most [`MAX_DISPLAY_NAME_CHARS`]; empty clears.
    pub display_name: Patch<String>,
    /// Loose syntax; normalised.
    pub primary_email: Patch<String>,
    /// Of the primary address as it is afterwards.
    pub primary_email_verified: Option<bool>,
    /// Of the primary address as it is afterwards.
    pub primary_email_auth_enabled: Option<bool>,
    /// An http or https URL.
    pub profile_image_url: Patch<String>,
    /// Any JSON.
    pub client_metadata: Option<Value>,
    /// Any JSON.
    pub client_read_only_metadata: Option<Value>,
    /// Any JSON.
    pub server_metadata: Option<Value>,
    /// Signing in by code.
    pub otp_auth_enabled: Option<bool>,
    /// Only false: removes the passkey.
    pub passkey_auth_enabled: Option<bool>,
    /// At most [`MAX_PASSWORD_CHARS`]; [`Patch::Clear`] removes it.
    pub password: Patch<SecretString>,
    /// bcrypt, instead of a password.
    pub password_hash: Option<SecretString>,
    /// Standard base64.
    pub totp_secret_base64: Patch<SecretString>,
    /// A team the user belongs to.
    pub selected_team_id: Patch<TeamId>,
    /// Only false: makes an anonymous user a regular one.
    pub is_anonymous: Option<bool>,
    /// False clears both texts.
    pub restricted_by_admin: Option<bool>,
    /// A text only with `restricted_by_admin: true`; empty clears.
    pub restricted_by_admin_reason: Patch<String>,
    /// A text only with `restricted_by_admin: true`; empty clears.
    pub restricted_by_admin_private_details: Patch<String>,
    /// Two letters.
    pub country_code: Patch<String>,
    /// How risky the sign-up looked.
    pub risk_scores: Option<RiskScores>,
}

/// What a user changes of itself: the same fields, as far as they are its own.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "`UpdateUser` says what the fields mean")]
pub struct UpdateOwnUser {
    pub display_name: Patch<String>,
    pub primary_email: Patch<String>,
    pub profile_image_url: Patch<String>,
    pub client_metadata: Option<Value>,
    pub otp_auth_enabled: Option<bool>,
    pub passkey_auth_enabled: Option<bool>,
    pub totp_secret_base64: Patch<SecretString>,
    pub selected_team_id: Patch<TeamId>,
    /// All sessions end but the one that does it: for whoever changes a factor because somebody else may know it.
    pub ends_other_sessions: bool,
}

impl UpdateOwnUser {
    /// Whether it says anything about how the user signs in or is reached: not for API keys.
    pub(super) fn touches_sign_in(&self) -> bool {
        // Field by field, so that a new one must be decided.
        let Self {
            display_name: _,
            profile_image_url: _,
            client_metadata: _,
            selected_team_id: _,
            primary_email,
            otp_auth_enabled,
            passkey_auth_enabled,
            totp_secret_base64,
            ends_other_sessions,
        } = self;
        *ends_other_sessions
            || !primary_email.is_keep()
            || otp_auth_enabled.is_some()
            || passkey_auth_enabled.is_some()
            || !totp_secret_base64.is_keep()
    }
}

impl From<UpdateOwnUser> for UpdateUser {
    fn from(own: UpdateOwnUser) -> Self {
        Self {
            display_name: own.display_name,
            primary_email: own.primary_email,
            profile_image_url: own.profile_image_url,
            client_metadata: own.client_metadata,
            otp_auth_enabled: own.otp_auth_enabled,
            passkey_auth_enabled: own.passkey_auth_enabled,
            totp_secret_base64: own.totp_secret_base64,
            selected_team_id: own.selected_team_id,
            ..Self::default()
        }
    }
}

/// A user about to be written, already checked and normalised. Sign-up builds it, too.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    /// Not empty.
    pub display_name: Option<String>,
    /// The primary address.
    pub primary_email: Option<NewPrimaryEmail>,
    /// The picture.
    pub picture: Option<Picture>,
    /// Any JSON.
    pub client_metadata: Option<Value>,
    /// Any JSON.
    pub client_read_only_metadata: Option<Value>,
    /// Any JSON.
    pub server_metadata: Option<Value>,
    /// As [`crate::passwords::Passwords::hash`] makes it, or imported.
    pub password_hash: Option<SecretString>,
    /// May sign in by code.
    pub otp_auth_enabled: bool,
    /// Sign-in asks for a second factor by this secret.
    pub totp_secret: Option<SecretSlice<u8>>,
    /// Made without credentials.
    pub is_anonymous: bool,
    /// Restricted from the start.
    pub restriction: Option<Restriction>,
    /// Two upper-case letters.
    pub country_code: Option<String>,
    /// How risky the sign-up looked.
    pub risk_scores: RiskScores,
    /// Accounts of other sites. Of providers that the project has, and one of a type to sign in with.
    pub linked_accounts: Vec<OAuthLink>,
}

/// The first address of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPrimaryEmail {
    /// The address.
    pub address: EmailAddress,
    /// The user has proven to hold it.
    pub is_verified: bool,
    /// Usable to sign in; then nobody else in the project may have it so.
    pub used_for_auth: bool,
}

/// Why an administrator or a sign-up rule restricts a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restriction {
    /// Told to the user.
    pub reason: Option<String>,
    /// Told to servers only.
    pub private_details: Option<String>,
}

/// A change about to be written, already checked and normalised. What else becomes of an existing user (upgrades of
/// anonymous users, password resets) builds it, too.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Not empty.
    pub display_name: Patch<String>,
    /// The primary address.
    pub primary_email: Patch<EmailAddress>,
    /// Of the primary address as it is afterwards.
    pub primary_email_verified: Option<bool>,
    /// Of the primary address as it is afterwards.
    pub primary_email_auth_enabled: Option<bool>,
    /// The picture.
    pub picture: Patch<Picture>,
    /// Any JSON.
    pub client_metadata: Option<Value>,
    /// Any JSON.
    pub client_read_only_metadata: Option<Value>,
    /// Any JSON.
    pub server_metadata: Option<Value>,
    /// Signing in by code.
    pub otp_auth_enabled: Option<bool>,
    /// Anything but keep also ends all sessions.
    pub password_hash: Patch<SecretString>,
    /// Sign-in asks for a second factor by this secret. Anything but keep also removes the recovery codes.
    pub totp_secret: Patch<SecretSlice<u8>>,
    /// Takes the passkey away, if there is one.
    pub removes_passkey: bool,
    /// Ends all sessions but this one.
    pub ends_sessions_but: Option<SessionId>,
    /// A team the user belongs to.
    pub selected_team_id: Patch<TeamId>,
    /// Makes an anonymous user a regular one; nothing for others.
    pub stops_being_anonymous: bool,
    /// False also clears both texts.
    pub restricted_by_admin: Option<bool>,
    /// Told to the user. Not empty.
    pub restricted_by_admin_reason: Patch<String>,
    /// Told to servers only. Not empty.
    pub restricted_by_admin_private_details: Patch<String>,
    /// Two upper-case letters.
    pub country_code: Patch<String>,
    /// How risky the sign-up looked.
    pub risk_scores: Option<RiskScores>,
}
