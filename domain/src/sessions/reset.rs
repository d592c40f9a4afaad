//! A new password for somebody who lost theirs, by a code sent to the address (wire/auth §5).

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use super::{
    activity::ClientInfo,
    codes::{self, CodeKind, NewCode, OneTimeCode, Ticket},
    links::LinkTarget,
    password,
};
use crate::{
    Actor, Deps, UserId,
    email_address::EmailAddress,
    emails::{self, NewEmail, Recipient, Template},
    error::{Error, Failure, Result, refuse},
    events::{self, FactorChange},
    limits,
    patch::Patch,
    projects,
    users::{self, Changes, channels},
};

/// Our own page that asks for the new password.
pub const RESET_PASSWORD_PAGE: &str = "/verify/password";
/// How long asking for a code takes at least, whether the address is known or not, and how much longer at most. More than
/// making the code and its mail.
const LEAST: Duration = Duration::from_millis(300);
const JITTER_MILLIS: u64 = 200;

/// What a code is bound to, beside its user.
#[derive(Serialize, Deserialize)]
struct Bound {
    email: EmailAddress,
}

/// When a call that mails a code is to be answered that began now.
pub(super) fn answer_at() -> Instant {
    Instant::now() + LEAST + Duration::from_millis(rand::random_range(0..=JITTER_MILLIS))
}

/// Sends a code to an address if somebody signs in with it. A stranger does not learn whether somebody does.
///
/// # Errors
/// In this order: `SCHEMA_ERROR`, `PASSWORD_AUTHENTICATION_NOT_ENABLED`, `REDIRECT_URL_NOT_WHITELISTED`, `RATE_LIMITED`.
#[crate::boxed]
pub async fn send_password_reset(
    deps: &Deps,
    actor: &Actor,
    email: &str,
    target: LinkTarget,
    client: &ClientInfo,
) -> Result<()> {
    let address = &match EmailAddress::loose(email) {
        Ok(email) => email,
        Err(rule) => return refuse(Failure::schema(format!("email {rule}"))),
    };
    let config = &*projects::config(deps, &actor.project_id).await?;
    password::require_enabled(config)?;
    let target = &target.resolve(deps, config, &actor.project_id, RESET_PASSWORD_PAGE)?;
    limits::code_mailed(deps, actor, client, address).await?;
    let answer_at = answer_at();
    if let Some(channel) = channels::find_for_auth(deps, &actor.project_id, address).await? {
        let (project_id, user_id) = (&actor.project_id, channel.user_id);
        let data = &serde_json::to_value(Bound { email: address.clone() }).map_err(Error::internal)?;
        deps.mutate(actor, "sessions.send_password_reset", |tx| async move {
            if !users::lock_in(&tx, project_id, user_id).await? {
                return Ok(());
            }
            let new = NewCode {
                project_id: project_id.clone(),
                kind: CodeKind::PasswordReset,
                user_id: Some(user_id),
                data: data.clone(),
                ttl_seconds: deps.settings.code_seconds,
            };
            let issued = codes::issue(deps, &tx, new).await?;
            let recipient = Recipient::UserCustomEmails { user_id, emails: vec![address.as_str().to_owned()] };
            let template = Template::PasswordReset { link: target.with_code(&issued.code) };
            emails::enqueue(&tx, deps, NewEmail::new(project_id.clone(), recipient, template)).await.map(drop)
        })
        .await?;
    }
    sleep_until(answer_at).await;
    Ok(())
}

/// Sets a new password for the user whose code this is, and ends all its sessions. Nobody is signed in by it. A password
/// that is not accepted leaves the code good for a better one.
///
/// # Errors
/// Those of codes, then `PASSWORD_AUTHENTICATION_NOT_ENABLED`, `PASSWORD_TOO_SHORT`, `PASSWORD_TOO_LONG`.
#[crate::boxed]
pub async fn reset_password(
    deps: &Deps,
    actor: &Actor,
    code: &OneTimeCode,
    new_password: &SecretString,
    client: &ClientInfo,
) -> Result<UserId> {
    let (project_id, config) = (&actor.project_id, &*projects::config(deps, &actor.project_id).await?);
    let ticket = Ticket { kind: CodeKind::PasswordReset, code, burns_when_refused: |_| false };
    let acceptable = || password::require_enabled(config).and_then(|()| password::require_acceptable(new_password));
    // Hashing is not for guesses, nor for the inside of a transaction.
    let hash = if acceptable().is_ok() && codes::usable(deps, project_id, ticket.kind, code).await?.is_some() {
        Some(SecretString::from(deps.passwords.hash(new_password.expose_secret()).await?))
    } else {
        None
    };
    let (acceptable, hash) = (&acceptable, &hash);
    codes::redeem(deps, actor, "sessions.reset_password", ticket, |tx, used| async move {
        let bound: Option<Bound> = serde_json::from_value(used.data).map_err(Error::internal)?;
        if let (Some(user_id), Some(Bound { email })) = (used.user_id, bound) {
            // Whoever holds an address that the user has given up gets in no more.
            users::lock_in(&tx, project_id, user_id).await?;
            let channel = channels::find_for_auth_in(&tx, project_id, &email).await?;
            if channel.is_none_or(|channel| channel.user_id != user_id) {
                return refuse(codes::not_found());
            }
        }
        acceptable()?;
        let (Some(user_id), Some(hash)) = (used.user_id, hash) else {
            return Err(Error::internal("a code for a password became usable while it was looked at"));
        };
        let changes = Changes { password_hash: Patch::Set(hash.clone()), ..Changes::default() };
        let user_id = users::apply_in(deps, &tx, config, project_id, user_id, &changes).await?.id;
        // Older codes would change it back, and older attempts were made with the old one.
        for kind in [CodeKind::PasswordReset, CodeKind::SecondFactor] {
            codes::withdraw_all_of(deps, &tx, project_id, kind, user_id).await?;
        }
        let change = FactorChange { factor: "password", change: "set" };
        events::record(deps, &tx, change.event(actor, user_id, Some(client))).await?;
        Ok(user_id)
    })
    .await
}

#[cfg(test)]
mod tests;
