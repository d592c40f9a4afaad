//! Signing in by passkey. The browser offers those it has; which user it is tells the passkey.

use serde_json::{Value, json};

use super::{
    Challenge,
    ceremony::{self, Assertion, NotGood},
    register::CHALLENGE_SECONDS,
    require_enabled, store,
};
use crate::{
    Actor, Code, Deps, Failure, UserId,
    error::{Error, Result, refuse},
    limits, projects,
    sessions::{
        self, ClientInfo, CodeKind, Method, OneTimeCode, SignedIn, Way,
        codes::{self, NewCode, Ticket},
    },
    users,
};

/// A challenge for whatever passkey the browser has.
///
/// # Errors
/// `PASSKEY_AUTHENTICATION_NOT_ENABLED`; `RATE_LIMITED`.
#[crate::boxed]
pub async fn start_sign_in(deps: &Deps, actor: &Actor, client: &ClientInfo) -> Result<Challenge> {
    let project_id = &actor.project_id;
    require_enabled(&*projects::config(deps, project_id).await?)?;
    limits::challenged(deps, actor, client).await?;
    let (options, state) = ceremony::begin_sign_in()?;
    let (options, state) = (&options, &state);
    deps.mutate(actor, "passkeys.start_sign_in", |tx| async move {
        let new = NewCode {
            project_id: project_id.clone(),
            kind: CodeKind::PasskeySignIn,
            user_id: None,
            data: state.clone(),
            ttl_seconds: CHALLENGE_SECONDS,
        };
        super::challenge(options, codes::issue(deps, &tx, new).await?)
    })
    .await
    .map(Challenge::from)
}

/// Signs in by what a browser answers to a challenge.
///
/// # Errors
/// `PASSKEY_AUTHENTICATION_NOT_ENABLED`; those of codes; `PASSKEY_AUTHENTICATION_FAILED`;
/// `MULTI_FACTOR_AUTHENTICATION_REQUIRED`. The challenge is used up by all of these but the first.
#[crate::boxed]
pub async fn sign_in(
    deps: &Deps,
    actor: &Actor,
    code: &OneTimeCode,
    answer: &Value,
    client: &ClientInfo,
) -> Result<SignedIn> {
    let project_id = &actor.project_id;
    let config = &*projects::config(deps, project_id).await?;
    require_enabled(config)?;
    let way = &Way::new(actor, Method::Passkey, client);
    let ticket = Ticket { kind: CodeKind::PasskeySignIn, code, burns_when_refused: |_| true };
    let outcome = codes::redeem(deps, actor, "passkeys.sign_in", ticket, |tx, used| async move {
        let assertion = match Assertion::read(answer) {
            Ok(assertion) => assertion,
            Err(error) => return refuse(failed(&error)),
        };
        let Some(user_id) = store::owner(&tx, project_id, assertion.credential_id()).await? else {
            return refuse(failed(&NotGood::Unreadable("nobody has this passkey".to_owned())));
        };
        // Held before the passkey is read: its counter must not move meanwhile.
        if !users::lock_in(&tx, project_id, user_id).await? {
            return refuse(failed(&NotGood::Unreadable("its user is gone".to_owned())));
        }
        let Some(row) = store::of_user(&tx, project_id, user_id).await? else {
            return refuse(failed(&NotGood::Unreadable("it was taken away".to_owned())));
        };
        let passkey = serde_json::from_value(row.credential).map_err(Error::internal)?;
        let handle = ceremony::user_handle(user_id);
        let passkey = match assertion.verify(config, used.data, passkey, &row.rp_id, &handle) {
            Ok(passkey) => passkey,
            Err(error) => return refuse(failed(&error)),
        };
        store::used(deps, &tx, project_id, user_id, serde_json::to_value(passkey).map_err(Error::internal)?).await?;
        let Some(user) = users::find_in(&tx, config, project_id, user_id).await? else {
            return refuse(users::not_found());
        };
        sessions::pass_in(deps, &tx, &user, false, way).await
    })
    .await;
    if let Err(error) = &outcome
        && error.is(Code::PasskeyAuthenticationFailed)
    {
        let holder: Option<UserId> = match Assertion::read(answer) {
            Ok(assertion) => store::owner_of(deps, project_id, assertion.credential_id()).await?,
            Err(_) => None,
        };
        way.failed(deps, holder, Code::PasskeyAuthenticationFailed).await?;
    }
    outcome?.finish(deps, actor, client).await
}

fn failed(why: &NotGood) -> Failure {
    tracing::info!(%why, "a passkey did not sign in");
    const TEXT: &str = "The passkey was not accepted.";
    Failure::new(Code::PasskeyAuthenticationFailed, TEXT).with(json!({ "message": TEXT }))
}
