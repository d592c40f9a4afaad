//! Whether a key is good: asked by backends that were shown one, and when a key speaks for its owner.

use serde_json::json;

use super::{ActingKey, ApiKey, ApiKeyType, event, expired, is_over, not_found, require_enabled, store, text::KeyText};
use crate::{
    Actor, Code, Deps, ProjectId, Timestamp,
    error::{Failure, Result, refuse},
    events::{self, EventKind},
};

/// How often the use of a key is told to the audit: most are used all the time.
const TOLD_SECONDS: i64 = 60 * 60;

/// What a key opens, for servers: the key that is written so, if it is of this sort (where one is told) and good now.
///
/// # Errors
/// `FORBIDDEN` for clients; `BAD_REQUEST` where the project has no such keys. Then, in this order: `API_KEY_NOT_FOUND`;
/// `WRONG_API_KEY_TYPE`; `API_KEY_REVOKED`; `API_KEY_EXPIRED`.
#[crate::boxed]
pub async fn check(deps: &Deps, actor: &Actor, kind: Option<ApiKeyType>, text: &str) -> Result<ApiKey> {
    if !actor.is_server() {
        return refuse(Failure::forbidden("Only servers can check API keys."));
    }
    if let Some(kind) = kind {
        require_enabled(deps, &actor.project_id, kind).await?;
    }
    let Some(text) = KeyText::parse(text) else { return refuse(not_found()) };
    if kind.is_none() {
        require_enabled(deps, &actor.project_id, text.kind).await?;
    }
    good(deps, &actor.project_id, kind, &text).await
}

/// For whom the key speaks, if it is a secret one and good now.
///
/// # Errors
/// `API_KEY_NOT_FOUND`, also for a key of another project; `FORBIDDEN` for a public one; `BAD_REQUEST` where the project has
/// switched such keys off; `API_KEY_REVOKED`; `API_KEY_EXPIRED`.
pub(crate) async fn authenticate(deps: &Deps, project_id: &ProjectId, text: &str) -> Result<ActingKey> {
    let Some(text) = KeyText::parse(text) else { return refuse(not_found()) };
    if text.is_public {
        return refuse(Failure::forbidden("A public API key proves nothing: everybody may have it."));
    }
    require_enabled(deps, project_id, text.kind).await?;
    let api_key = good(deps, project_id, None, &text).await?;
    Ok(ActingKey { id: api_key.id, owner: api_key.owner })
}

async fn good(deps: &Deps, project_id: &ProjectId, kind: Option<ApiKeyType>, text: &KeyText) -> Result<ApiKey> {
    let Some(row) = store::find_by_text(deps.db.read(), project_id, text).await? else { return refuse(not_found()) };
    let last_used_at = row.last_used_at;
    let api_key = ApiKey::try_from(row)?;
    let actual = api_key.owner.key_type();
    if let Some(expected) = kind.filter(|kind| *kind != actual) {
        let (expected, actual) = (expected.as_str(), actual.as_str());
        let text = format!("This is the API key of a {actual}, not of a {expected}.");
        let details = json!({ "expected_type": expected, "actual_type": actual });
        return refuse(Failure::new(Code::WrongApiKeyType, text).with(details));
    }
    if api_key.revoked_at.is_some() {
        return refuse(Failure::new(Code::ApiKeyRevoked, "This API key was revoked."));
    }
    if is_over(deps, api_key.expires_at) {
        return refuse(expired());
    }
    let due = deps.now().plus_seconds(-TOLD_SECONDS);
    if last_used_at.is_none_or(|last| last <= due) {
        // Nobody is refused for what is only told.
        if let Err(error) = tell_of_use(deps, project_id, &api_key, due).await {
            tracing::warn!(%error, "the use of an API key could not be written down");
        }
    }
    Ok(api_key)
}

/// Tells the audit that a key was good for something, unless that was told since `due`.
async fn tell_of_use(deps: &Deps, project_id: &ProjectId, api_key: &ApiKey, due: Timestamp) -> Result<()> {
    deps.db
        .write(|tx| async move {
            if store::note_use(&tx, project_id, api_key.id, deps.now(), due).await? {
                let whose = (api_key.id, api_key.owner);
                events::record(deps, &tx, event(project_id, EventKind::ApiKeyUsed, whose, json!({}))).await?;
            }
            Ok(())
        })
        .await
}
