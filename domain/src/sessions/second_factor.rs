//! The gate at the end of every way to sign in: a user with a second factor is not let in yet, but given a code that
//! stands for the attempt (wire/auth §3, §8).

use secrecy::ExposeSecret;
use serde_json::json;

use super::{
    codes::{self, CodeKind, NewCode},
    password::Outcome,
    session,
};
use crate::{
    Code, Deps,
    db::Tx,
    error::{Failure, Result},
    users::User,
};

/// How long an attempt waits for its second factor.
const ATTEMPT_SECONDS: i64 = 5 * 60;

/// Begins a session of a user that the caller holds, or asks for the second factor.
pub(super) async fn pass_in(deps: &Deps, tx: &Tx, user: &User, is_new_user: bool) -> Result<Outcome> {
    if !user.requires_totp_mfa {
        return Ok(Outcome::SignedIn(session::sign_in_in(deps, tx, &user.project_id, user.id).await?));
    }
    let new = NewCode {
        project_id: user.project_id.clone(),
        kind: CodeKind::SecondFactor,
        user_id: Some(user.id),
        data: json!({ "is_new_user": is_new_user }),
        ttl_seconds: ATTEMPT_SECONDS,
    };
    Ok(Outcome::SecondFactor(codes::issue(deps, tx, new).await?.code.expose_secret().to_owned()))
}

/// The refusal that carries the code of the attempt.
pub(super) fn required(attempt_code: &str) -> Failure {
    Failure::new(Code::MultiFactorAuthenticationRequired, "Signing in needs the second factor.")
        .with(json!({ "attempt_code": attempt_code }))
}
