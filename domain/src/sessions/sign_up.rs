//! Signing up: with a password, or without any credentials (wire/auth §5, §7).

use secrecy::{ExposeSecret, SecretString};

use super::{
    activity::ClientInfo,
    begin::{self, SignedIn},
    codes::{self, CodeKind, OneTimeCode, Ticket},
    links::{LinkTarget, TrustedTarget},
    newcomer::Newcomer,
    password::{self, Outcome},
    refuse_unless_repeated,
    verification::{self, VERIFY_EMAIL_PAGE},
    way::{Method, Way},
};
use crate::{
    Actor, Code, Deps,
    bot_challenge::{self, BotChallenge},
    db::Tx,
    email_address::EmailAddress,
    error::{Failure, Result, refuse},
    limits,
    projects::{self, ProjectConfig},
    settings::InternalSignUp,
    sign_up_rules::{Applicant, Decision},
    users::{self, NewPrimaryEmail, NewUser, channels},
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
    /// What shows that it is no program.
    pub challenge: BotChallenge,
}

/// Makes a user with a password and signs it in; an anonymous caller becomes that user.
///
/// # Errors
/// In this order: `SCHEMA_ERROR`, `PASSWORD_AUTHENTICATION_NOT_ENABLED`, `REDIRECT_URL_NOT_WHITELISTED`,
/// `SIGN_UP_NOT_ENABLED`, those of the invite code, `PASSWORD_TOO_SHORT`, `PASSWORD_TOO_LONG`, `RATE_LIMITED`, those of the
/// bot challenge, `SIGN_UP_REJECTED`, `USER_EMAIL_ALREADY_EXISTS`, `MULTI_FACTOR_AUTHENTICATION_REQUIRED`.
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
    bot_challenge::require_passed(deps, actor, &input.challenge, client, true).await?;
    let way = Way::new(actor, Method::Password, client);
    let admission = Decision::of(config, &Applicant::of(Some(&email), &way)).admit(deps, &way).await?;
    // Only spares the hashing: what counts is the unique index.
    if channels::find_for_auth(deps, &actor.project_id, &email).await?.is_some() {
        let exists = users::email_already_exists(email.as_str());
        let repeated: Outcome = refuse_unless_repeated(deps, actor, OPERATION, exists).await?;
        return repeated.finish(deps, actor, client).await;
    }
    let password_hash = Some(deps.passwords.hash(input.password.expose_secret()).await?.into());
    let newcomer = Newcomer {
        deps,
        config,
        way,
        admission,
        email: Some(NewPrimaryEmail { address: email, is_verified: false, used_for_auth: true }),
        password_hash,
        otp_auth_enabled: false,
        display_name: None,
        picture: None,
        link: None,
    };
    let (newcomer, target) = (&newcomer, target.as_ref());
    let outcome = match &invite {
        Some(code) => {
            let ticket = Ticket { kind: CodeKind::InternalInvite, code, burns_when_refused: |_| false };
            codes::redeem(deps, actor, OPERATION, ticket, |tx, _| async move { write(newcomer, &tx, target).await })
                .await?
        }
        None => deps.mutate(actor, OPERATION, |tx| async move { write(newcomer, &tx, target).await }).await?,
    };
    outcome.finish(deps, actor, client).await
}

async fn write(newcomer: &Newcomer<'_>, tx: &Tx, target: Option<&TrustedTarget>) -> Result<Outcome> {
    let user = newcomer.write(tx).await?;
    if let (Some(target), Some(email)) = (target, &newcomer.email) {
        let project_id = &newcomer.way.actor.project_id;
        verification::send_in(newcomer.deps, tx, project_id, user.id, &email.address, target).await?;
    }
    newcomer.pass_in(tx, &user).await
}

/// Whether people may sign up here, and by which invitation if they need one.
async fn require_open(
    deps: &Deps,
    actor: &Actor,
    config: &ProjectConfig,
    invite_code: Option<&SecretString>,
) -> Result<Option<OneTimeCode>> {
    require_sign_up_enabled(config)?;
    if !needs_invite(deps, actor) {
        return Ok(None);
    }
    let Some(code) = invite_code else { return refuse(invitation_needed()) };
    let code = OneTimeCode::parse(code.expose_secret())?;
    // A repeated request comes with a used code and is answered all the same.
    if actor.idempotency.is_none() {
        codes::check_code(deps, &actor.project_id, CodeKind::InternalInvite, &code).await?;
    }
    Ok(Some(code))
}

/// People may make accounts in this project.
fn require_sign_up_enabled(config: &ProjectConfig) -> Result<()> {
    if config.auth.allow_sign_up {
        return Ok(());
    }
    refuse(sign_up_not_enabled("This project does not let people sign up."))
}

/// Nobody needs an invitation here: for ways in that take none.
fn require_uninvited(deps: &Deps, actor: &Actor) -> Result<()> {
    if needs_invite(deps, actor) { refuse(invitation_needed()) } else { Ok(()) }
}

/// Somebody new may make an account here, who has no invitation.
///
/// # Errors
/// `SIGN_UP_NOT_ENABLED`.
pub(crate) fn require_may_sign_up(deps: &Deps, actor: &Actor, config: &ProjectConfig) -> Result<()> {
    require_sign_up_enabled(config)?;
    require_uninvited(deps, actor)
}

/// Whether anybody may sign up here.
pub(crate) fn offers_sign_up(deps: &Deps, actor: &Actor, config: &ProjectConfig) -> bool {
    require_may_sign_up(deps, actor, config).is_ok()
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

fn invitation_needed() -> Failure {
    sign_up_not_enabled("Signing up here needs an invitation.")
}

fn sign_up_not_enabled(message: &'static str) -> Failure {
    Failure::new(Code::SignUpNotEnabled, message)
}

/// Makes a user without any credentials and signs it in. Works where sign-up is off, but not where it needs an invitation.
///
/// # Errors
/// `SIGN_UP_NOT_ENABLED` on project `internal` where signing up needs an invitation; `RATE_LIMITED`.
#[crate::boxed]
pub async fn sign_up_anonymously(deps: &Deps, actor: &Actor, client: &ClientInfo) -> Result<SignedIn> {
    require_uninvited(deps, actor)?;
    limits::signed_up(deps, actor, client).await?;
    let config = &*projects::config(deps, &actor.project_id).await?;
    let way = &Way::new(actor, Method::Anonymous, client);
    let begun = deps
        .mutate(actor, "sessions.sign_up_anonymously", |tx| async move {
            let new = NewUser { is_anonymous: true, country_code: client.country.clone(), ..NewUser::default() };
            let user = users::create_in(deps, &tx, config, &actor.project_id, &new).await?.into_user();
            begin::sign_in_in(deps, &tx, user.id, true, way).await
        })
        .await?;
    begin::finish(deps, &actor.project_id, begun, client).await
}

#[cfg(test)]
mod tests;
