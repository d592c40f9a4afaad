//! What callers ask for when they make or change users, and how the domain is told.

use async_graphql::{ID, InputObject, MaybeUndefined};
use postern_domain::users::{CreateUser, OAuthLink, RiskScores, UpdateOwnUser, UpdateUser};
use serde_json::Value;

use crate::graphql::{
    error::Result,
    scalars::{parse_id, patch},
};

/// A user to make. What is not given has its default.
#[derive(InputObject)]
pub(crate) struct CreateUserInput {
    /// The name to show, at most 256 characters; empty counts as none.
    display_name: Option<String>,
    /// The primary e-mail address.
    primary_email: Option<String>,
    /// Whether the primary address counts as verified. Default: false.
    primary_email_verified: Option<bool>,
    /// Whether the user can sign in with the primary address. Default: false.
    primary_email_auth_enabled: Option<bool>,
    /// URL of the picture.
    profile_image_url: Option<String>,
    /// Data that the user and servers read and write.
    client_metadata: Option<Value>,
    /// Data that the user reads and servers write.
    client_read_only_metadata: Option<Value>,
    /// Data that only servers read and write.
    server_metadata: Option<Value>,
    /// Whether the user can sign in by a one-time code. Default: false.
    otp_auth_enabled: Option<bool>,
    /// The password, at most 70 characters.
    #[graphql(secret)]
    password: Option<String>,
    /// The password as a bcrypt hash, instead of `password`.
    #[graphql(secret)]
    password_hash: Option<String>,
    /// The secret of the second factor, in standard base64.
    #[graphql(secret)]
    totp_secret_base64: Option<String>,
    /// Accounts of other sites to link.
    oauth_providers: Option<Vec<OAuthProviderInput>>,
    /// Whether the user counts as made without credentials. Default: false.
    is_anonymous: Option<bool>,
    /// Whether the user is restricted. Default: false.
    restricted_by_admin: Option<bool>,
    /// What the user is told about that.
    restricted_by_admin_reason: Option<String>,
    /// What only servers are told about that.
    restricted_by_admin_private_details: Option<String>,
    /// The country, as ISO 3166-1 alpha-2.
    country_code: Option<String>,
    /// How risky the sign-up looked.
    risk_scores: Option<RiskScoresInput>,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

impl From<CreateUserInput> for CreateUser {
    fn from(input: CreateUserInput) -> Self {
        Self {
            display_name: input.display_name,
            primary_email: input.primary_email,
            primary_email_verified: input.primary_email_verified,
            primary_email_auth_enabled: input.primary_email_auth_enabled,
            profile_image_url: input.profile_image_url,
            client_metadata: input.client_metadata,
            client_read_only_metadata: input.client_read_only_metadata,
            server_metadata: input.server_metadata,
            otp_auth_enabled: input.otp_auth_enabled,
            password: input.password.map(Into::into),
            password_hash: input.password_hash.map(Into::into),
            totp_secret_base64: input.totp_secret_base64.map(Into::into),
            oauth_providers: input.oauth_providers.unwrap_or_default().into_iter().map(Into::into).collect(),
            is_anonymous: input.is_anonymous,
            restricted_by_admin: input.restricted_by_admin,
            restricted_by_admin_reason: input.restricted_by_admin_reason,
            restricted_by_admin_private_details: input.restricted_by_admin_private_details,
            country_code: input.country_code,
            risk_scores: input.risk_scores.map(Into::into),
        }
    }
}

/// An account of another site to link to a new user.
#[derive(InputObject)]
pub(crate) struct OAuthProviderInput {
    /// The provider, by its key in the project's config.
    key: String,
    /// The id of the account there.
    account_id: String,
    /// The e-mail address of the account there.
    email: Option<String>,
}

impl From<OAuthProviderInput> for OAuthLink {
    fn from(input: OAuthProviderInput) -> Self {
        Self::new(input.key, input.account_id, input.email)
    }
}

/// How risky a sign-up looked: 0 to 100 each.
#[derive(InputObject)]
pub(crate) struct RiskScoresInput {
    /// Made by a machine.
    bot: u8,
    /// Made to use a free trial once more.
    free_trial_abuse: u8,
}

impl From<RiskScoresInput> for RiskScores {
    fn from(input: RiskScoresInput) -> Self {
        Self { bot: input.bot, free_trial_abuse: input.free_trial_abuse }
    }
}

/// What to change of a user: what is not given stays, null empties.
#[derive(InputObject)]
pub(crate) struct UpdateUserInput {
    /// The user.
    pub(super) id: ID,
    /// The name to show, at most 256 characters; empty clears.
    display_name: MaybeUndefined<String>,
    /// The primary e-mail address. The former one stays as a contact channel.
    primary_email: MaybeUndefined<String>,
    /// Whether the primary address counts as verified.
    primary_email_verified: Option<bool>,
    /// Whether the user can sign in with the primary address.
    primary_email_auth_enabled: Option<bool>,
    /// URL of the picture.
    profile_image_url: MaybeUndefined<String>,
    /// Data that the user and servers read and write; replaced whole.
    client_metadata: MaybeUndefined<Value>,
    /// Data that the user reads and servers write; replaced whole.
    client_read_only_metadata: MaybeUndefined<Value>,
    /// Data that only servers read and write; replaced whole.
    server_metadata: MaybeUndefined<Value>,
    /// Whether the user can sign in by a one-time code.
    otp_auth_enabled: Option<bool>,
    /// Only false: removes the passkey.
    passkey_auth_enabled: Option<bool>,
    /// The password, at most 70 characters; null removes it. Ends all sessions of the user.
    #[graphql(secret)]
    password: MaybeUndefined<String>,
    /// The password as a bcrypt hash, instead of `password`. Ends all sessions of the user.
    #[graphql(secret)]
    password_hash: Option<String>,
    /// The secret of the second factor, in standard base64; null turns it off.
    #[graphql(secret)]
    totp_secret_base64: MaybeUndefined<String>,
    /// The team to select; the user must belong to it.
    selected_team_id: MaybeUndefined<ID>,
    /// Only false: makes an anonymous user a regular one.
    is_anonymous: Option<bool>,
    /// Whether the user is restricted; false clears both texts.
    restricted_by_admin: Option<bool>,
    /// What the user is told about that; only with `restrictedByAdmin: true`.
    restricted_by_admin_reason: MaybeUndefined<String>,
    /// What only servers are told about that; only with `restrictedByAdmin: true`.
    restricted_by_admin_private_details: MaybeUndefined<String>,
    /// The country, as ISO 3166-1 alpha-2.
    country_code: MaybeUndefined<String>,
    /// How risky the sign-up looked.
    risk_scores: Option<RiskScoresInput>,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

impl UpdateUserInput {
    pub(super) fn change(self) -> Result<UpdateUser> {
        Ok(UpdateUser {
            display_name: patch(self.display_name),
            primary_email: patch(self.primary_email),
            primary_email_verified: self.primary_email_verified,
            primary_email_auth_enabled: self.primary_email_auth_enabled,
            profile_image_url: patch(self.profile_image_url),
            client_metadata: whole(self.client_metadata),
            client_read_only_metadata: whole(self.client_read_only_metadata),
            server_metadata: whole(self.server_metadata),
            otp_auth_enabled: self.otp_auth_enabled,
            passkey_auth_enabled: self.passkey_auth_enabled,
            password: patch(self.password).map(Into::into),
            password_hash: self.password_hash.map(Into::into),
            totp_secret_base64: patch(self.totp_secret_base64).map(Into::into),
            selected_team_id: patch(parse_maybe(self.selected_team_id, "selectedTeamId")?),
            is_anonymous: self.is_anonymous,
            restricted_by_admin: self.restricted_by_admin,
            restricted_by_admin_reason: patch(self.restricted_by_admin_reason),
            restricted_by_admin_private_details: patch(self.restricted_by_admin_private_details),
            country_code: patch(self.country_code),
            risk_scores: self.risk_scores.map(Into::into),
        })
    }
}

/// What a user changes of itself: what is not given stays, null empties.
#[derive(InputObject)]
pub(crate) struct UpdateMeInput {
    /// The name to show, at most 256 characters; empty clears.
    display_name: MaybeUndefined<String>,
    /// The primary e-mail address. The former one stays as a contact channel.
    primary_email: MaybeUndefined<String>,
    /// The picture, as a base64 data URL of an image.
    profile_image_url: MaybeUndefined<String>,
    /// Data that the user and servers read and write; replaced whole.
    client_metadata: MaybeUndefined<Value>,
    /// Whether the user can sign in by a one-time code.
    otp_auth_enabled: Option<bool>,
    /// Only false: removes the passkey.
    passkey_auth_enabled: Option<bool>,
    /// The secret of the second factor, in standard base64; null turns it off.
    #[graphql(secret)]
    totp_secret_base64: MaybeUndefined<String>,
    /// The team to select; the user must belong to it.
    selected_team_id: MaybeUndefined<ID>,
    /// Whether all sessions end but the caller's own: when somebody else may know what is changed.
    #[graphql(default)]
    end_other_sessions: bool,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

impl UpdateMeInput {
    pub(super) fn change(self) -> Result<UpdateOwnUser> {
        Ok(UpdateOwnUser {
            display_name: patch(self.display_name),
            primary_email: patch(self.primary_email),
            profile_image_url: patch(self.profile_image_url),
            client_metadata: whole(self.client_metadata),
            otp_auth_enabled: self.otp_auth_enabled,
            passkey_auth_enabled: self.passkey_auth_enabled,
            totp_secret_base64: patch(self.totp_secret_base64).map(Into::into),
            selected_team_id: patch(parse_maybe(self.selected_team_id, "selectedTeamId")?),
            ends_other_sessions: self.end_other_sessions,
        })
    }
}

/// JSON that is replaced whole: null is a value of its own.
fn whole(value: MaybeUndefined<Value>) -> Option<Value> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(Value::Null),
        MaybeUndefined::Value(value) => Some(value),
    }
}

fn parse_maybe<T: std::str::FromStr>(id: MaybeUndefined<ID>, argument: &str) -> Result<MaybeUndefined<T>> {
    Ok(match id {
        MaybeUndefined::Undefined => MaybeUndefined::Undefined,
        MaybeUndefined::Null => MaybeUndefined::Null,
        MaybeUndefined::Value(id) => MaybeUndefined::Value(parse_id(&id, argument)?),
    })
}
