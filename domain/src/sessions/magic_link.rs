//! Signing in by a code that is mailed: as a link that is followed, or as six characters that are typed where the code was
//! asked for, which knows the rest of it (wire/auth §6).

use std::sync::OnceLock;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep_until;

use super::{
    activity::ClientInfo,
    begin::SignedIn,
    codes::{self, CodeKind, NewCode, OneTimeCode, Ticket},
    links::LinkTarget,
    newcomer::Newcomer,
    password::Outcome,
    reset::answer_at,
    second_factor,
    sign_up::require_may_sign_up,
    way::{Method, Way},
};
use crate::{
    Actor, Code, Deps, UserId,
    bot_challenge::{self, BotChallenge},
    db::Tx,
    email_address::EmailAddress,
    emails::{self, NewEmail, Recipient, Template},
    error::{Error, Failure, Result, refuse},
    limits,
    projects::{self, ProjectConfig},
    sign_up_rules::{Applicant, Decision},
    users::{self, Changes, NewPrimaryEmail, channels},
};

/// Our own page that shows the code of a link.
pub const SIGN_IN_PAGE: &str = "/verify/sign-in";

/// What a code is bound to: the address, and from where it was asked for, which is what sign-up rules look at.
#[derive(Serialize, Deserialize)]
struct Bound {
    email: EmailAddress,
    #[serde(default)]
    country: Option<String>,
}

/// A code is on its way.
#[derive(Clone, Debug)]
pub struct SentCode {
    /// The code but for its first six characters, which the mail shows.
    pub nonce: SecretString,
}

/// Mails a code to sign in with. Whoever has no account yet gets one by using it, where people may sign up.
///
/// # Errors
/// In this order: `SCHEMA_ERROR`; `FORBIDDEN` where the project has it switched off; `REDIRECT_URL_NOT_WHITELISTED`;
/// `RATE_LIMITED`; `USER_EMAIL_ALREADY_EXISTS` when the account has not verified the address; `SIGN_UP_NOT_ENABLED`; those of the
/// bot challenge. The contract has the URL last; first, it tells a stranger nothing.
#[crate::boxed]
pub async fn send_sign_in_code(
    deps: &Deps,
    actor: &Actor,
    email: &str,
    target: LinkTarget,
    challenge: &BotChallenge,
    client: &ClientInfo,
) -> Result<SentCode> {
    let address = &match EmailAddress::strict(email) {
        Ok(email) => email,
        Err(rule) => return refuse(Failure::schema(format!("email {rule}"))),
    };
    let project_id = &actor.project_id;
    let config = &*projects::config(deps, project_id).await?;
    require_enabled(config)?;
    let target = &target.resolve(deps, config, project_id, SIGN_IN_PAGE)?;
    limits::code_mailed(deps, actor, client, address).await?;
    let holder = holder(deps, actor, config, address).await?;
    bot_challenge::require_passed(deps, actor, challenge, client, holder.is_none()).await?;
    let answer_at = answer_at();
    let bound = Bound { email: address.clone(), country: client.country.clone() };
    let data = &serde_json::to_value(bound).map_err(Error::internal)?;
    let nonce = deps
        .mutate(actor, "sessions.send_sign_in_code", |tx| async move {
            let holder = match holder {
                Some(user_id) if users::lock_in(&tx, project_id, user_id).await? => {
                    offer(deps, &tx, config, actor, user_id).await?;
                    Some(user_id)
                }
                _ => None,
            };
            let new = NewCode {
                project_id: project_id.clone(),
                kind: CodeKind::SignIn,
                user_id: holder,
                data: data.clone(),
                ttl_seconds: deps.settings.code_seconds,
            };
            let issued = codes::issue(deps, &tx, new).await?;
            let emails = vec![address.as_str().to_owned()];
            let recipient = match holder {
                Some(user_id) => Recipient::UserCustomEmails { user_id, emails },
                None => Recipient::CustomEmails { emails },
            };
            let (head, nonce) = codes::head_and_tail(&issued.code);
            let otp = head.to_uppercase().into();
            let template = Template::MagicLink { link: target.with_code(&issued.code), otp };
            emails::enqueue(&tx, deps, NewEmail::new(project_id.clone(), recipient, template)).await?;
            Ok(nonce.to_owned())
        })
        .await?;
    sleep_until(answer_at).await;
    Ok(SentCode { nonce: nonce.into() })
}

/// Whether a code could be used now. Counts as an attempt, and a wrong one is told to the audit.
///
/// # Errors
/// Those of codes.
#[crate::boxed]
pub async fn check_sign_in_code(deps: &Deps, actor: &Actor, code: &OneTimeCode, client: &ClientInfo) -> Result<()> {
    let checked = codes::check_code(deps, &actor.project_id, CodeKind::SignIn, code).await;
    told(deps, &Way::new(actor, Method::Otp, client), code, checked).await
}

/// The first six characters of a code as mails show them, for a page that a link led to. A wrong one is told to the audit.
///
/// # Errors
/// `FORBIDDEN` where the project has it switched off; those of codes, which count as attempts.
#[crate::boxed]
pub async fn sign_in_code_to_type(
    deps: &Deps,
    actor: &Actor,
    code: &OneTimeCode,
    client: &ClientInfo,
) -> Result<String> {
    require_enabled(&*projects::config(deps, &actor.project_id).await?)?;
    let looked_at = codes::look_at_link(deps, &actor.project_id, CodeKind::SignIn, code).await;
    told(deps, &Way::new(actor, Method::Otp, client), code, looked_at).await?;
    Ok(code.head().to_uppercase())
}

/// Signs in whoever brings the code: as the user with the address it was sent to, as the anonymous caller who becomes one, or
/// as a new user.
///
/// # Errors
/// `FORBIDDEN` where the project has it switched off; those of codes; then `USER_EMAIL_ALREADY_EXISTS`, `SIGN_UP_NOT_ENABLED`, `SIGN_UP_REJECTED`,
/// `MULTI_FACTOR_AUTHENTICATION_REQUIRED`. The code is used up by all of these but `USER_EMAIL_ALREADY_EXISTS`.
#[crate::boxed]
pub async fn sign_in_with_magic_link(
    deps: &Deps,
    actor: &Actor,
    code: &OneTimeCode,
    client: &ClientInfo,
) -> Result<SignedIn> {
    let project_id = &actor.project_id;
    let config = &*projects::config(deps, project_id).await?;
    require_enabled(config)?;
    // Looked at before: nothing is counted of it, and what is decided here holds whatever comes between.
    let found = codes::usable(deps, project_id, CodeKind::SignIn, code).await?;
    let bound: Option<Bound> =
        found.map(|found| serde_json::from_value(found.data)).transpose().map_err(Error::internal)?;
    // Rules look at where the code was asked for, not at where it is used.
    let origin = &ClientInfo { country: bound.as_ref().and_then(|bound| bound.country.clone()), ..client.clone() };
    let way = &Way::new(actor, Method::Otp, origin);
    let decision = &OnceLock::new();
    // Two codes for one new address at once: the later one finds the user whom the other has made when it is used again.
    let ticket =
        Ticket { kind: CodeKind::SignIn, code, burns_when_refused: |code| code != Code::UserEmailAlreadyExists };
    let outcome = codes::redeem(deps, actor, "sessions.sign_in_with_magic_link", ticket, |tx, used| async move {
        let Bound { email, .. } = serde_json::from_value(used.data).map_err(Error::internal)?;
        if let Some(channel) = channels::find_for_auth_in(&tx, project_id, &email).await? {
            require_verified(channel.is_verified, &email)?;
            users::lock_in(&tx, project_id, channel.user_id).await?;
            // The address may have been given up until the user was held.
            let held = channels::find_for_auth_in(&tx, project_id, &email).await?;
            if held.is_none_or(|held| held.user_id != channel.user_id || !held.is_verified) {
                return refuse(codes::not_found());
            }
            let Some(user) = users::find_in(&tx, config, project_id, channel.user_id).await? else {
                return refuse(codes::not_found());
            };
            return second_factor::pass_in(deps, &tx, &user, false, way).await;
        }
        require_may_sign_up(deps, actor, config)?;
        let applicant = Applicant::of(Some(&email), way);
        let decision: &Decision = decision.get_or_init(|| Decision::of(config, &applicant));
        let newcomer = Newcomer {
            deps,
            config,
            way: *way,
            admission: decision.admission()?,
            email: Some(NewPrimaryEmail { address: email, is_verified: true, used_for_auth: true }),
            password_hash: None,
            otp_auth_enabled: true,
            display_name: None,
            picture: None,
            link: None,
        };
        let user = newcomer.write(&tx).await?;
        newcomer.pass_in(&tx, &user).await
    })
    .await;
    if let (Err(error), Some(decision)) = (&outcome, decision.get())
        && error.is(Code::SignUpRejected)
    {
        decision.record_rejection(deps, way).await?;
    }
    let outcome: Outcome = told(deps, way, code, outcome).await?;
    outcome.finish(deps, actor, client).await
}

/// Tells the audit of a code that did not let in whoever brought it. What shares its tail with no code is a guess at nothing, and
/// costs nothing.
async fn told<T: Send>(deps: &Deps, way: &Way<'_>, code: &OneTimeCode, outcome: Result<T>) -> Result<T> {
    if let Some(failure) = outcome.as_ref().err().and_then(Error::failure)
        && let Some(holder) = codes::guessed_at(deps, &way.actor.project_id, CodeKind::SignIn, code).await?
    {
        way.failed(deps, holder, failure.code).await?;
    }
    outcome
}

/// Whose account the address signs in to.
async fn holder(deps: &Deps, actor: &Actor, config: &ProjectConfig, address: &EmailAddress) -> Result<Option<UserId>> {
    let Some(channel) = channels::find_for_auth(deps, &actor.project_id, address).await? else {
        require_may_sign_up(deps, actor, config)?;
        return Ok(None);
    };
    require_verified(channel.is_verified, address)?;
    Ok(Some(channel.user_id))
}

/// Whoever made the account may not be who reads the mails.
fn require_verified(is_verified: bool, address: &EmailAddress) -> Result<()> {
    if is_verified {
        return Ok(());
    }
    let details = json!({ "email": address, "would_work_if_email_was_verified": true });
    refuse(users::email_already_exists(address.as_str()).with(details))
}

/// An account that never used codes may from now on (wire/auth §6).
async fn offer(deps: &Deps, tx: &Tx, config: &ProjectConfig, actor: &Actor, user_id: UserId) -> Result<()> {
    match users::find_in(tx, config, &actor.project_id, user_id).await? {
        Some(user) if !user.otp_auth_enabled => {
            let changes = Changes { otp_auth_enabled: Some(true), ..Changes::default() };
            users::apply_in(deps, tx, config, &actor.project_id, user_id, &changes).await.map(drop)
        }
        _ => Ok(()),
    }
}

fn require_enabled(config: &ProjectConfig) -> Result<()> {
    if config.auth.otp.allow_sign_in {
        return Ok(());
    }
    refuse(Failure::forbidden("This project does not let users sign in by a mailed code."))
}

#[cfg(test)]
mod tests;
