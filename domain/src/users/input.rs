//! What callers ask for when they make or change a user, and the checks that need nothing but the input itself.

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::Value;

use super::RiskScores;
use crate::{
    Deps, Failure, TeamId,
    email_address::EmailAddress,
    error::{Result, refuse},
    images::{self, ImageSource},
    passwords::check_importable,
    patch::Patch,
    validation::Violations,
};

/// The longest display name, in characters.
pub const MAX_DISPLAY_NAME_CHARS: usize = 256;
/// The longest password, in characters.
pub const MAX_PASSWORD_CHARS: usize = 70;
const MAX_TOTP_SECRET_BYTES: usize = 256;
const MAX_RISK_SCORE: u8 = 100;

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
    /// The account's id there.
    pub account_id: String,
    /// The account's address there.
    pub email: Option<String>,
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
    /// URL of the picture.
    pub profile_image_url: Option<String>,
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
    /// URL of the picture.
    pub profile_image_url: Patch<String>,
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
    /// Sign-in asks for a second factor by this secret.
    pub totp_secret: Patch<SecretSlice<u8>>,
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

impl CreateUser {
    /// Everything that can be said of the input alone; hashes the password.
    pub(super) async fn check(&self, deps: &Deps) -> Result<NewUser> {
        let update = UpdateUser {
            display_name: given(&self.display_name),
            primary_email: given(&self.primary_email),
            profile_image_url: given(&self.profile_image_url),
            password: given(&self.password),
            password_hash: self.password_hash.clone(),
            totp_secret_base64: given(&self.totp_secret_base64),
            restricted_by_admin: self.restricted_by_admin,
            restricted_by_admin_reason: given(&self.restricted_by_admin_reason),
            restricted_by_admin_private_details: given(&self.restricted_by_admin_private_details),
            country_code: given(&self.country_code),
            risk_scores: self.risk_scores,
            ..UpdateUser::default()
        };
        let changes = update.check(deps, ImageSource::Server).await?;
        let (verified, for_auth) =
            (self.primary_email_verified.unwrap_or(false), self.primary_email_auth_enabled.unwrap_or(false));
        let address = changes.primary_email.set();
        if address.is_none() && (verified || for_auth) {
            return refuse(no_address_to_flag());
        }
        Ok(NewUser {
            display_name: changes.display_name.set(),
            primary_email: address.map(|address| NewPrimaryEmail {
                address,
                is_verified: verified,
                used_for_auth: for_auth,
            }),
            profile_image_url: changes.profile_image_url.set(),
            client_metadata: self.client_metadata.clone(),
            client_read_only_metadata: self.client_read_only_metadata.clone(),
            server_metadata: self.server_metadata.clone(),
            password_hash: changes.password_hash.set(),
            otp_auth_enabled: self.otp_auth_enabled.unwrap_or(false),
            totp_secret: changes.totp_secret.set(),
            is_anonymous: self.is_anonymous.unwrap_or(false),
            restriction: (changes.restricted_by_admin == Some(true)).then(|| Restriction {
                reason: changes.restricted_by_admin_reason.set(),
                private_details: changes.restricted_by_admin_private_details.set(),
            }),
            country_code: changes.country_code.set(),
            risk_scores: self.risk_scores.unwrap_or_default(),
        })
    }
}

fn given<T: Clone>(value: &Option<T>) -> Patch<T> {
    value.clone().map_or(Patch::Keep, Patch::Set)
}

impl UpdateUser {
    /// Everything that can be said of the input alone; hashes the password.
    pub(super) async fn check(&self, deps: &Deps, source: ImageSource) -> Result<Changes> {
        let mut violations = Violations::default();
        if let Patch::Set(name) = &self.display_name {
            violations.text("display_name", name, MAX_DISPLAY_NAME_CHARS);
        }
        let primary_email = match &self.primary_email {
            Patch::Set(text) => {
                violations.take("primary_email", EmailAddress::loose(text)).map_or(Patch::Keep, Patch::Set)
            }
            Patch::Clear => Patch::Clear,
            Patch::Keep => Patch::Keep,
        };
        violations.require(
            self.is_anonymous != Some(true),
            "is_anonymous",
            "can only be set to false: a user does not become anonymous again",
        );
        self.check_restriction(&mut violations);
        let country_code = self.checked_country_code(&mut violations);
        let totp_secret = self.checked_totp_secret(&mut violations);
        self.check_risk_scores(&mut violations);
        if let Patch::Set(password) = &self.password {
            violations.text("password", password.expose_secret(), MAX_PASSWORD_CHARS);
        }
        violations.finish()?;
        if let Patch::Set(url) = &self.profile_image_url {
            images::check("profile_image_url", url, source)?;
        }
        if self.passkey_auth_enabled == Some(true) {
            return refuse(Failure::bad_request("passkey_auth_enabled: a passkey is added by registering it."));
        }
        Ok(Changes {
            display_name: self.display_name.clone().and_then(not_empty),
            primary_email,
            primary_email_verified: self.primary_email_verified,
            primary_email_auth_enabled: self.primary_email_auth_enabled,
            profile_image_url: self.profile_image_url.clone(),
            client_metadata: self.client_metadata.clone(),
            client_read_only_metadata: self.client_read_only_metadata.clone(),
            server_metadata: self.server_metadata.clone(),
            otp_auth_enabled: self.otp_auth_enabled,
            password_hash: self.checked_password(deps).await?,
            totp_secret,
            selected_team_id: self.selected_team_id,
            stops_being_anonymous: self.is_anonymous == Some(false),
            restricted_by_admin: self.restricted_by_admin,
            restricted_by_admin_reason: self.restriction_text(&self.restricted_by_admin_reason),
            restricted_by_admin_private_details: self.restriction_text(&self.restricted_by_admin_private_details),
            country_code,
            risk_scores: self.risk_scores,
        })
    }

    fn restriction_text(&self, text: &Patch<String>) -> Patch<String> {
        if self.restricted_by_admin == Some(false) { Patch::Clear } else { text.clone().and_then(not_empty) }
    }

    async fn checked_password(&self, deps: &Deps) -> Result<Patch<SecretString>> {
        match (&self.password, &self.password_hash) {
            (Patch::Set(_) | Patch::Clear, Some(_)) => {
                refuse(Failure::bad_request("password and password_hash cannot be given together."))
            }
            (Patch::Set(password), None) => Ok(Patch::Set(deps.passwords.hash(password.expose_secret()).await?.into())),
            (Patch::Clear, None) => Ok(Patch::Clear),
            (Patch::Keep, Some(hash)) => {
                check_importable(hash.expose_secret())?;
                Ok(Patch::Set(hash.clone()))
            }
            (Patch::Keep, None) => Ok(Patch::Keep),
        }
    }

    /// A text, `""` included, belongs to a restriction stated in the same breath.
    fn check_restriction(&self, violations: &mut Violations) {
        let texts = [
            ("restricted_by_admin_reason", &self.restricted_by_admin_reason),
            ("restricted_by_admin_private_details", &self.restricted_by_admin_private_details),
        ];
        for (field, text) in texts {
            if let Patch::Set(text) = text {
                violations.storable(field, text);
                violations.require(
                    self.restricted_by_admin == Some(true),
                    field,
                    "can be given only together with restricted_by_admin: true",
                );
            }
        }
    }

    fn checked_country_code(&self, violations: &mut Violations) -> Patch<String> {
        let code = self.country_code.clone().map(|code| code.trim().to_ascii_uppercase());
        if let Patch::Set(code) = &code {
            let fits = code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
            violations.require(fits, "country_code", "must be a country code of two letters");
        }
        code
    }

    fn checked_totp_secret(&self, violations: &mut Violations) -> Patch<SecretSlice<u8>> {
        self.totp_secret_base64.as_ref().and_then(|text| {
            let secret = STANDARD.decode(text.expose_secret()).unwrap_or_default();
            let fits = !secret.is_empty() && secret.len() <= MAX_TOTP_SECRET_BYTES;
            violations.require(
                fits,
                "totp_secret_base64",
                format_args!("must be standard base64 of 1 to {MAX_TOTP_SECRET_BYTES} bytes"),
            );
            Some(secret.into())
        })
    }

    fn check_risk_scores(&self, violations: &mut Violations) {
        if let Some(scores) = self.risk_scores {
            let fits = scores.bot <= MAX_RISK_SCORE && scores.free_trial_abuse <= MAX_RISK_SCORE;
            violations.require(fits, "risk_scores", format_args!("must be from 0 to {MAX_RISK_SCORE}"));
        }
    }
}

fn not_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn no_address_to_flag() -> Failure {
    Failure::bad_request(
        "primary_email_verified and primary_email_auth_enabled cannot be true without a primary e-mail address.",
    )
}
