//! Signing up: with a password, or without any credentials (wire/auth §5, §7). An anonymous user who signs up becomes a
//! regular one and stays the same user.

use secrecy::{ExposeSecret, SecretString};

use super::{
    activity::ClientInfo,
    codes::{self, CodeKind, OneTimeCode, Ticket},
    links::{LinkTarget, TrustedTarget},
    password::{self, Outcome},
    refuse_unless_repeated, second_factor,
    session::{self, SignedIn},
    verification::{self, VERIFY_EMAIL_PAGE},
};
use crate::{
    Actor, Code, Deps, UserId,
    db::Tx,
    email_address::EmailAddress,
    error::{Failure, Result, refuse},
    limits,
    patch::Patch,
    projects::{self, ProjectConfig},
    settings::InternalSignUp,
    users::{self, Changes, NewPrimaryEmail, NewUser, User, channels},
};

/// Signing up by password, to the idempotency of requests.
const OPERATION: &str = "sessions.sign_up";

/// What somebody signs up with.
#[derive(Clone, Debug)]
pub struct PasswordSignUp {
    /// Strict syntax.
    pub email: String,
    /// 8 to 70 characters.
    pub password: SecretString,
    /// Where the link of the verification mail leads; no mail without it.
    pub verification: Option<LinkTarget>,
    /// On project `internal`, where the settings want one: a code of [`super::create_invite`].
    pub invite_code: Option<SecretString>,
}

/// Makes a user with a password and signs it in; an anonymous caller becomes that user.
///
/// # Errors
/// In this order: `SCHEMA_ERROR`, `PASSWORD_AUTHENTICATION_NOT_ENABLED`, `REDIRECT_URL_NOT_WHITELISTED`,
/// `SIGN_UP_NOT_ENABLED`, those of the invite code, `PASSWORD_TOO_SHORT`, `PASSWORD_TOO_LONG`, `RATE_LIMITED`,
/// `USER_EMAIL_ALREADY_EXISTS`, `MULTI_FACTOR_AUTHENTICATION_REQUIRED`.
#[crate::boxed]
pub async fn sign_up_with_password(
    deps: &Deps,
    actor: &Actor,
    input: PasswordSignUp,
    client: &ClientInfo,
) -> Result<SignedIn> {
    let email = match EmailAddress::strict(&input.email) {
        Ok(email) => email,
        Err(rule) => return refuse(Failure::schema(format!("email {rule}"))),
    };
    let config = &*projects::config(deps, &actor.project_id).await?;
    password::require_enabled(config)?;
    let target = match &input.verification {
        Some(target) => Some(target.resolve(deps, config, &actor.project_id, VERIFY_EMAIL_PAGE)?),
        None => None,
    };
    let invite = require_open(deps, actor, config, input.invite_code.as_ref()).await?;
    password::require_acceptable(&input.password)?;
    limits::signed_up(deps, actor, client).await?;
    // Only spares the hashing: what counts is the unique index.
    if channels::find_for_auth(deps, &actor.project_id, &email).await?.is_some() {
        let exists = users::email_already_exists(email.as_str());
        let repeated: Outcome = refuse_unless_repeated(deps, actor, OPERATION, exists).await?;
        return repeated.finish(deps, actor, client).await;
    }
    let password_hash = deps.passwords.hash(input.password.expose_secret()).await?.into();
    let new = &New { deps, actor, config, email, password_hash, target };
    let outcome = match &invite {
        Some(code) => {
            let ticket = Ticket { kind: CodeKind::InternalInvite, code, burns_when_refused: |_| false };
            codes::redeem(deps, actor, OPERATION, ticket, |tx, _| async move { new.write(&tx).await }).await?
        }
        None => deps.mutate(actor, OPERATION, |tx| async move { new.write(&tx).await }).await?,
    };
    outcome.finish(deps, actor, client).await
}

/// Whether people may sign up here, and by which invitation if they need one.
async fn require_open(
    deps: &Deps,
    actor: &Actor,
    config: &ProjectConfig,
    invite_code: Option<&SecretString>,
) -> Result<Option<OneTimeCode>> {
    if !config.auth.allow_sign_up {
        return refuse(sign_up_not_enabled("This project does not let people sign up."));
    }
    if !needs_invite(deps, actor) {
        return Ok(None);
    }
    let Some(code) = invite_code else {
        return refuse(sign_up_not_enabled("Signing up here needs an invitation."));
    };
    let code = OneTimeCode::parse(code.expose_secret())?;
    // A repeated request comes with a used code and is answered all the same.
    if actor.idempotency.is_none() {
        codes::check_code(deps, &actor.project_id, CodeKind::InternalInvite, &code).await?;
    }
    Ok(Some(code))
}

/// Whether anybody may sign up here.
pub(crate) fn offers_sign_up(deps: &Deps, actor: &Actor, config: &ProjectConfig) -> bool {
    config.auth.allow_sign_up && !needs_invite(deps, actor)
}

/// The password of an account about to be made where [`offers_sign_up`], in its stored form. Counts as a sign-up.
///
/// # Errors
/// Those of [`sign_up_with_password`], as far as they concern the password and how often.
pub(crate) async fn new_password(
    deps: &Deps,
    actor: &Actor,
    config: &ProjectConfig,
    password: &SecretString,
    client: &ClientInfo,
) -> Result<SecretString> {
    password::require_enabled(config)?;
    password::require_acceptable(password)?;
    limits::signed_up(deps, actor, client).await?;
    Ok(deps.passwords.hash(password.expose_secret()).await?.into())
}

fn needs_invite(deps: &Deps, actor: &Actor) -> bool {
    actor.project_id.is_internal() && deps.settings.internal_sign_up == InternalSignUp::Invite
}

fn sign_up_not_enabled(message: &'static str) -> Failure {
    Failure::new(Code::SignUpNotEnabled, message)
}

/// A sign-up that may be written.
struct New<'a> {
    deps: &'a Deps,
    actor: &'a Actor,
    config: &'a ProjectConfig,
    email: EmailAddress,
    password_hash: SecretString,
    target: Option<TrustedTarget>,
}

impl New<'_> {
    async fn write(&self, tx: &Tx) -> Result<Outcome> {
        let project_id = &self.actor.project_id;
        let user = match self.anonymous_caller(tx).await? {
            Some(user_id) => self.upgrade(tx, user_id).await?,
            None => {
                let new = NewUser {
                    primary_email: Some(NewPrimaryEmail {
                        address: self.email.clone(),
                        is_verified: false,
                        used_for_auth: true,
                    }),
                    password_hash: Some(self.password_hash.clone()),
                    ..NewUser::default()
                };
                users::create_in(self.deps, tx, self.config, project_id, &new).await?.into_user()
            }
        };
        if let Some(target) = &self.target {
            verification::send_in(self.deps, tx, project_id, user.id, &self.email, target).await?;
        }
        second_factor::pass_in(self.deps, tx, &user, true).await
    }

    /// The caller, if it is an anonymous user still. It is held from here on.
    async fn anonymous_caller(&self, tx: &Tx) -> Result<Option<UserId>> {
        let Some(caller) = self.actor.user.as_ref().filter(|user| user.is_anonymous) else { return Ok(None) };
        let project_id = &self.actor.project_id;
        if !users::lock_in(tx, project_id, caller.id).await? {
            return Ok(None);
        }
        let user = users::find_in(tx, self.config, project_id, caller.id).await?;
        Ok(user.filter(|user| user.is_anonymous).map(|user| user.id))
    }

    /// The same user with an address and a password; its sessions end.
    async fn upgrade(&self, tx: &Tx, user_id: UserId) -> Result<User> {
        let changes = Changes {
            primary_email: Patch::Set(self.email.clone()),
            primary_email_verified: Some(false),
            primary_email_auth_enabled: Some(true),
            password_hash: Patch::Set(self.password_hash.clone()),
            stops_being_anonymous: true,
            ..Changes::default()
        };
        users::apply_in(self.deps, tx, self.config, &self.actor.project_id, user_id, &changes).await
    }
}

/// Makes a user without any credentials and signs it in. Works where sign-up is off, but not where it needs an invitation.
///
/// # Errors
/// `SIGN_UP_NOT_ENABLED` on project `internal` where signing up needs an invitation; `RATE_LIMITED`.
#[crate::boxed]
pub async fn sign_up_anonymously(deps: &Deps, actor: &Actor, client: &ClientInfo) -> Result<SignedIn> {
    if needs_invite(deps, actor) {
        return refuse(sign_up_not_enabled("Signing up here needs an invitation."));
    }
    limits::signed_up(deps, actor, client).await?;
    let config = &*projects::config(deps, &actor.project_id).await?;
    let begun = deps
        .mutate(actor, "sessions.sign_up_anonymously", |tx| async move {
            let new = NewUser { is_anonymous: true, ..NewUser::default() };
            let user = users::create_in(deps, &tx, config, &actor.project_id, &new).await?.into_user();
            session::sign_in_in(deps, &tx, &actor.project_id, user.id).await
        })
        .await?;
    session::finish(deps, &actor.project_id, begun, client).await
}

#[cfg(test)]
mod tests;
