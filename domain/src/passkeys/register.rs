//! Registering a passkey for the user who is signed in.

use serde_json::{Value, json};

use super::{
    Challenge,
    ceremony::{self, Registrant},
    require_enabled, store,
};
use crate::{
    Actor, Code, Deps, Failure,
    error::{Error, Result, refuse},
    events::{self, FactorChange},
    identity::require_user_in_schema,
    limits, projects,
    sessions::{
        self, ClientInfo, CodeKind, OneTimeCode,
        codes::{self, NewCode, Ticket},
    },
    users::{self, User},
};

/// How long a challenge waits for its answer.
pub(super) const CHALLENGE_SECONDS: i64 = 65;
/// What an authenticator shows for a user without name and address.
const NAMELESS: &str = "Account";

/// A challenge for a new passkey of the user the caller speaks for.
///
/// # Errors
/// `SCHEMA_ERROR` without a user; `PASSKEY_AUTHENTICATION_NOT_ENABLED`; `ACCESS_TOKEN_EXPIRED` when the session has ended: a
/// key that is made lasts longer than it; `RATE_LIMITED`.
#[crate::boxed]
pub async fn start_registration(deps: &Deps, actor: &Actor, client: &ClientInfo) -> Result<Challenge> {
    let user_id = require_user_in_schema(actor)?.id;
    let project_id = &actor.project_id;
    let config = &*projects::config(deps, project_id).await?;
    require_enabled(config)?;
    sessions::require_live(deps, actor).await?;
    limits::challenged(deps, actor, client).await?;
    let Some(user) = users::find(deps, project_id, user_id).await? else { return refuse(users::not_found()) };
    let project = projects::lookup(deps, project_id).await?;
    let registrant = Registrant {
        project_name: project.as_ref().map_or("", |project| project.display_name.as_str()),
        user_handle: &ceremony::user_handle(user_id),
        name: name_of(&user),
    };
    let (options, state) = ceremony::begin_registration(&registrant)?;
    let (options, state) = (&options, &state);
    deps.mutate(actor, "passkeys.start_registration", |tx| async move {
        if !users::lock_in(&tx, project_id, user_id).await? {
            return refuse(users::not_found());
        }
        let new = NewCode {
            project_id: project_id.clone(),
            kind: CodeKind::PasskeyRegistration,
            user_id: Some(user_id),
            data: state.clone(),
            ttl_seconds: CHALLENGE_SECONDS,
        };
        super::challenge(options, codes::issue(deps, &tx, new).await?)
    })
    .await
    .map(Challenge::from)
}

fn name_of(user: &User) -> &str {
    let name = user.display_name.as_deref().or(user.primary_address());
    name.filter(|name| !name.trim().is_empty()).unwrap_or(NAMELESS)
}

/// Registers the passkey that a browser made for a challenge; an earlier one of the user goes. With `ends_other_sessions` all
/// sessions end but the caller's own. Answers the id of the passkey.
///
/// # Errors
/// Those of [`start_registration`]; those of codes, also for another user's challenge; `PASSKEY_REGISTRATION_FAILED`, also for
/// the id of somebody else's passkey, which uses the challenge up.
#[crate::boxed]
pub async fn register(
    deps: &Deps,
    actor: &Actor,
    code: &OneTimeCode,
    answer: &Value,
    ends_other_sessions: bool,
    client: &ClientInfo,
) -> Result<String> {
    let user = require_user_in_schema(actor)?;
    let project_id = &actor.project_id;
    let config = &*projects::config(deps, project_id).await?;
    require_enabled(config)?;
    sessions::require_live(deps, actor).await?;
    let ticket = Ticket { kind: CodeKind::PasskeyRegistration, code, burns_when_refused: |_| true };
    codes::redeem(deps, actor, "passkeys.register", ticket, |tx, used| async move {
        if used.user_id != Some(user.id) {
            return refuse(codes::not_found());
        }
        let registered = match ceremony::finish_registration(config, used.data, answer) {
            Ok(registered) => registered,
            Err(error) => {
                tracing::info!(%error, "a passkey was not registered");
                return refuse(failed());
            }
        };
        if !users::lock_in(&tx, project_id, user.id).await? {
            return refuse(users::not_found());
        }
        let credential = serde_json::to_value(&registered.credential).map_err(Error::internal)?;
        let id = registered.credential.cred_id.to_vec();
        if !store::replace(deps, &tx, project_id, user.id, id, registered.rp_id, credential).await? {
            return refuse(failed());
        }
        let change = FactorChange { factor: "passkey", change: "set" };
        events::record(deps, &tx, change.event(actor, user.id, Some(client))).await?;
        users::apply_in(deps, &tx, config, project_id, user.id, &users::Changes::default()).await?;
        if ends_other_sessions {
            sessions::end_all_in(deps, &tx, project_id, user.id, Some(user.session_id)).await?;
        }
        Ok(ceremony::shown_id(&registered.credential))
    })
    .await
}

fn failed() -> Failure {
    // The contract has no details here, and its clients need a message.
    const TEXT: &str = "The passkey could not be registered.";
    Failure::new(Code::PasskeyRegistrationFailed, TEXT).with(json!({ "message": TEXT }))
}
