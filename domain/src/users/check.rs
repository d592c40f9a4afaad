//! The checks of an input that need nothing but the input itself.

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::input::{
    Changes, CreateUser, MAX_DISPLAY_NAME_CHARS, MAX_PASSWORD_CHARS, NewPrimaryEmail, NewUser, Restriction, UpdateUser,
};
use crate::{
    Deps, Failure, ProjectId,
    email_address::EmailAddress,
    error::{Result, refuse},
    images::{Folder, ImageSource, Picture},
    linked_accounts,
    passwords::check_importable,
    patch::Patch,
    validation::{Violations, is_country_code},
};

const MAX_TOTP_SECRET_BYTES: usize = 256;
const MAX_RISK_SCORE: u8 = 100;

impl CreateUser {
    /// Everything that can be said of the input alone; hashes the password.
    pub(super) async fn check(&self, deps: &Deps, project_id: &ProjectId) -> Result<NewUser> {
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
        let linked_accounts = linked_accounts::check_new(&self.oauth_providers)?;
        let changes = update.check(deps, project_id, ImageSource::Server).await?;
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
            picture: changes.picture.set(),
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
            linked_accounts,
        })
    }
}

fn given<T: Clone>(value: &Option<T>) -> Patch<T> {
    value.clone().map_or(Patch::Keep, Patch::Set)
}

impl UpdateUser {
    /// Everything that can be said of the input alone; hashes the password.
    pub(super) async fn check(&self, deps: &Deps, project_id: &ProjectId, source: ImageSource) -> Result<Changes> {
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
        let picture = self
            .profile_image_url
            .as_ref()
            .try_map(|value| Picture::read(deps, project_id, Folder::Users, "profile_image_url", value, source))?;
        if self.passkey_auth_enabled == Some(true) {
            return refuse(Failure::bad_request("passkey_auth_enabled: a passkey is added by registering it."));
        }
        Ok(Changes {
            display_name: self.display_name.clone().and_then(not_empty),
            primary_email,
            primary_email_verified: self.primary_email_verified,
            primary_email_auth_enabled: self.primary_email_auth_enabled,
            picture,
            client_metadata: self.client_metadata.clone(),
            client_read_only_metadata: self.client_read_only_metadata.clone(),
            server_metadata: self.server_metadata.clone(),
            otp_auth_enabled: self.otp_auth_enabled,
            password_hash: self.checked_password(deps).await?,
            totp_secret,
            removes_passkey: self.passkey_auth_enabled == Some(false),
            ends_sessions_but: None,
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
            violations.require(is_country_code(code), "country_code", "must be a country code of two letters");
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
