//! Keys that somebody found in public: whoever shows one to us has it revoked, without any other proof, for the key itself
//! is the proof that it is out.

use std::collections::HashMap;

use postern_entity::api_key;
use sea_orm::ActiveValue::{Set, Unchanged};
use serde_json::json;

use super::{
    ApiKey, KeyOwner, MANAGE, event, expired, is_over, jobs::TellOfLeakedApiKey, not_found, store, text::KeyText,
};
use crate::{
    Code, Deps,
    emails::{self, NewEmail, Recipient, Template},
    error::{Failure, Result, refuse},
    events::{self, EventKind},
    limits, permissions,
    queue::{self, Enqueue},
    sessions::ClientInfo,
    signal::Signal,
    teams,
};

/// How many mails one transaction writes.
const BATCH: usize = 50;

/// Revokes the key that is written so, of whatever project, and has its owner told. One that was revoked before is left as
/// it is, and nobody is told.
///
/// # Errors
/// In this order: `RATE_LIMITED`; `API_KEY_NOT_FOUND`; `PUBLIC_API_KEY_CANNOT_BE_REVOKED`; `API_KEY_EXPIRED`.
#[crate::boxed]
pub async fn report_leaked(deps: &Deps, text: &str, client: &ClientInfo) -> Result<()> {
    limits::leak_reported(deps, client).await?;
    let Some(text) = &KeyText::parse(text) else { return refuse(not_found()) };
    // Guesses into the blue must not cost a transaction.
    let Some(found) = store::find_anywhere(deps.db.read(), text).await? else { return refuse(not_found()) };
    if found.is_public {
        let text = "This API key is made to be seen by anybody.";
        return refuse(Failure::new(Code::PublicApiKeyCannotBeRevoked, text));
    }
    if is_over(deps, found.expires_at) {
        return refuse(expired());
    }
    let (project_id, id) = (&found.project_id, found.id);
    deps.db
        .write(|tx| async move {
            let api_key = match store::lock(&tx, project_id, id).await? {
                None => return refuse(not_found()),
                Some(row) if row.revoked_at.is_some() => return Ok(()),
                Some(row) => ApiKey::try_from(row)?,
            };
            let revoked_at = Set(Some(deps.now()));
            let revoked = api_key::ActiveModel { id: Unchanged(id), revoked_at, ..Default::default() };
            store::update(&tx, revoked).await?;
            tx.raise(Signal::ApiKeyRevoked { api_key_id: id });
            let told = event(project_id, EventKind::ApiKeyRevoked, (id, api_key.owner), json!({ "leaked": true }));
            events::record(deps, &tx, events::by(None, told)).await?;
            let job = TellOfLeakedApiKey { project_id: project_id.clone(), api_key_id: id };
            queue::enqueue(deps, &tx, Enqueue::new(&job)?.project(project_id.clone())).await.map(drop)
        })
        .await
}

/// Writes to everybody whom a leaked key concerns: its user, or the members of its team who hold `$manage_api_keys`. Each is
/// written to once, however often this runs.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn tell_of_leak(deps: &Deps, job: &TellOfLeakedApiKey) -> Result<()> {
    let project_id = &job.project_id;
    let Some(row) = store::find(deps.db.read(), project_id, job.api_key_id).await? else { return Ok(()) };
    let api_key = &ApiKey::try_from(row)?;
    let (recipients, team_display_name) = match api_key.owner {
        KeyOwner::User(id) => (vec![id], None),
        KeyOwner::Team(id) => {
            let mut found: HashMap<_, _> = teams::by_ids(deps, project_id, &[id]).await?;
            let holders = permissions::holders_in_team(deps, project_id, id, MANAGE).await?;
            (holders, found.remove(&id).map(|team| team.display_name))
        }
    };
    let team_display_name = &team_display_name;
    for some in recipients.chunks(BATCH) {
        deps.db
            .write(|tx| async move {
                for user_id in some {
                    let template = Template::ApiKeyRevoked {
                        description: api_key.description.clone(),
                        last_four: api_key.last_four.clone(),
                        team_display_name: team_display_name.clone(),
                    };
                    let recipient = Recipient::UserPrimaryEmail { user_id: *user_id };
                    let mail = NewEmail {
                        skip_deliverability_check: false,
                        dedup_key: Some(format!("api_key_leaked/{}/{user_id}", api_key.id)),
                        ..NewEmail::new(project_id.clone(), recipient, template)
                    };
                    emails::enqueue(&tx, deps, mail).await?;
                }
                Ok(())
            })
            .await?;
    }
    Ok(())
}
