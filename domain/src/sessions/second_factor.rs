//! The gate at the end of every way to sign in: a user with a second factor is not let in yet, but given a code that
//! stands for the attempt, and comes in by it with a code of an authenticator or one of the recovery codes (wire/auth §3, §8).

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    activity::ClientInfo,
    begin::{self, SignedIn},
    codes::{self, CodeKind, NewCode, OneTimeCode, Ticket},
    password::Outcome,
    recovery_codes,
    way::{Factor, Method, Way},
};
use crate::{
    Actor, Code, Deps, UserId,
    db::Tx,
    error::{Error, Failure, Result, refuse},
    limits, projects,
    users::{self, User},
};

/// How long an attempt waits for its second factor.
const ATTEMPT_SECONDS: i64 = 5 * 60;

/// What somebody brings as second factor.
#[derive(Clone, Debug)]
pub enum SecondFactor {
    /// Six digits of an authenticator (RFC 6238).
    Totp(SecretString),
    /// One of the codes of [`super::create_recovery_codes`].
    RecoveryCode(SecretString),
}

impl SecondFactor {
    fn factor(&self) -> Factor {
        match self {
            Self::Totp(_) => Factor::Totp,
            Self::RecoveryCode(_) => Factor::RecoveryCode,
        }
    }
}

/// What an attempt remembers of the way in that it interrupted.
#[derive(Serialize, Deserialize)]
struct Attempt {
    is_new_user: bool,
    #[serde(default = "by_password")]
    method: Method,
}

/// Of attempts that a version made which did not note it.
fn by_password() -> Method {
    Method::Password
}

/// Begins a session of a user that the caller holds, or asks for the second factor.
pub(crate) async fn pass_in(deps: &Deps, tx: &Tx, user: &User, is_new_user: bool, way: &Way<'_>) -> Result<Outcome> {
    if !user.requires_totp_mfa {
        return let_in(deps, tx, user.id, is_new_user, way).await;
    }
    let new = NewCode {
        project_id: user.project_id.clone(),
        kind: CodeKind::SecondFactor,
        user_id: Some(user.id),
        data: serde_json::to_value(Attempt { is_new_user, method: way.method }).map_err(Error::internal)?,
        ttl_seconds: ATTEMPT_SECONDS,
    };
    Ok(Outcome::SecondFactor(codes::issue(deps, tx, new).await?.code.expose_secret().to_owned()))
}

/// Begins a session of a user that the caller holds, where the way in asks for no second factor.
pub(crate) async fn let_in(deps: &Deps, tx: &Tx, user_id: UserId, is_new_user: bool, way: &Way<'_>) -> Result<Outcome> {
    Ok(Outcome::SignedIn(begin::sign_in_in(deps, tx, user_id, is_new_user, way).await?))
}

/// The refusal that carries the code of the attempt.
pub(super) fn required(attempt_code: &str) -> Failure {
    Failure::new(Code::MultiFactorAuthenticationRequired, "Signing in needs the second factor.")
        .with(json!({ "attempt_code": attempt_code }))
}

/// Ends a sign-in that waits for its second factor. A wrong one leaves the attempt good for others, twenty in all.
///
/// # Errors
/// Those of codes; `RATE_LIMITED`; `INVALID_TOTP_CODE`, also for a code that was taken before and for recovery codes.
#[crate::boxed]
pub async fn sign_in_with_second_factor(
    deps: &Deps,
    actor: &Actor,
    attempt: &OneTimeCode,
    factor: &SecondFactor,
    client: &ClientInfo,
) -> Result<SignedIn> {
    let project_id = &actor.project_id;
    let found = codes::usable(deps, project_id, CodeKind::SecondFactor, attempt).await?;
    let user_id = found.as_ref().and_then(|found| found.user_id);
    let interrupted: Option<Attempt> =
        found.map(|found| serde_json::from_value(found.data)).transpose().map_err(Error::internal)?;
    if let Some(user_id) = user_id {
        // Whoever knows the password can have any number of attempts.
        limits::second_factor_tried(deps, actor, client, user_id).await?;
    }
    let method = interrupted.map_or(Method::Password, |attempt| attempt.method);
    let way = &Way { factor: Some(factor.factor()), ..Way::new(actor, method, client) };
    let ticket = Ticket {
        kind: CodeKind::SecondFactor,
        code: attempt,
        burns_when_refused: |code| code != Code::InvalidTotpCode,
    };
    let config = &*projects::config(deps, project_id).await?;
    let outcome = codes::redeem(deps, actor, "sessions.sign_in_with_second_factor", ticket, |tx, used| async move {
        let Some(user_id) = used.user_id else { return Err(Error::internal("a sign-in that waits for nobody")) };
        let Attempt { is_new_user, .. } = serde_json::from_value(used.data).map_err(Error::internal)?;
        users::lock_in(&tx, project_id, user_id).await?;
        // Somebody who has switched it off meanwhile has nothing to prove it by.
        let user = users::find_in(&tx, config, project_id, user_id).await?.filter(|user| user.requires_totp_mfa);
        let Some(user) = user else { return refuse(invalid(factor)) };
        if !take_in(deps, &tx, way, user.id, factor).await? {
            return refuse(invalid(factor));
        }
        Ok(Outcome::SignedIn(begin::sign_in_in(deps, &tx, user.id, is_new_user, way).await?))
    })
    .await;
    if let (Err(error), Some(user_id)) = (&outcome, user_id)
        && error.is(Code::InvalidTotpCode)
    {
        way.failed(deps, Some(user_id), Code::InvalidTotpCode).await?;
    }
    outcome?.finish(deps, actor, client).await
}

async fn take_in(deps: &Deps, tx: &Tx, way: &Way<'_>, user_id: UserId, factor: &SecondFactor) -> Result<bool> {
    let project_id = &way.actor.project_id;
    match factor {
        SecondFactor::Totp(code) => users::spend_totp_in(deps, tx, project_id, user_id, code).await,
        SecondFactor::RecoveryCode(code) => recovery_codes::spend_in(deps, tx, way, user_id, code).await,
    }
}

fn invalid(factor: &SecondFactor) -> Failure {
    let text = match factor {
        SecondFactor::Totp(_) => "The code is wrong, or was used before. Wait for the next one.",
        SecondFactor::RecoveryCode(_) => "The recovery code is wrong, or was used before.",
    };
    Failure::new(Code::InvalidTotpCode, text)
}

#[cfg(test)]
mod tests;
