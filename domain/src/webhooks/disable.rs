//! Disabling an endpoint that takes nothing: its owners are told, by event and by mail.

use postern_entity::ProjectId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{endpoint::event, jobs::TellOfDisabledEndpoint, judge::DeliveryResult, line, store};
use crate::{
    Deps, Result,
    db::Tx,
    emails::{self, NewEmail, Recipient, Template},
    events::{self, EventKind, NewEvent},
    projects,
    queue::{self, Ending, Enqueue},
};

/// The most owners that are written to.
const MAX_OWNERS: u64 = 50;

/// Why an endpoint was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Messages have been given up for days, and none has arrived.
    Failing,
    /// It answered 410 Gone.
    Gone,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }
}

/// Disables the endpoint of a result, unless it is, or has moved since. What waits for it is dropped soon.
pub(super) async fn disable(deps: &Deps, tx: &Tx, result: &DeliveryResult, reason: Reason) -> Result<()> {
    let (project_id, endpoint_id) = (&result.project_id, result.endpoint_id);
    // The line first, then the endpoint: everybody locks them in this order.
    line::wake(deps, tx, [(project_id, endpoint_id)]).await?;
    let Some(mut row) = store::endpoint_for_update(tx, project_id, endpoint_id).await? else { return Ok(()) };
    if row.disabled || !result.is_of(&row.url) {
        return Ok(());
    }
    tracing::warn!(endpoint.id = %endpoint_id, project.id = %project_id, reason = reason.as_str(), "a webhook endpoint was disabled");
    row.disabled = true;
    row.updated_at = deps.now();
    let mut payload = Map::new();
    payload.insert("id".to_owned(), json!(row.id));
    payload.insert("url".to_owned(), json!(row.url));
    payload.insert("reason".to_owned(), json!(reason.as_str()));
    payload.extend(row.failing_since.map(|since| ("failing_since_millis".to_owned(), json!(since))));
    let disabled = NewEvent {
        project_id: project_id.clone(),
        kind: EventKind::WebhookEndpointDisabled,
        user_id: None,
        team_id: None,
        payload: Value::Object(payload),
    };
    events::record_all(deps, tx, [event(EventKind::WebhookEndpointUpdated, &row), disabled]).await?;
    let job =
        TellOfDisabledEndpoint { project_id: project_id.clone(), endpoint_id, disabled_at: row.updated_at, reason };
    queue::enqueue(deps, tx, Enqueue::new(&job)?.project(project_id.clone())).await?;
    store::update_endpoint(tx, row).await
}

/// Runs the job: writes to the owners of the project, unless somebody has enabled or deleted the endpoint since.
///
/// # Errors
/// Internal only; the queue tries again.
#[crate::boxed]
pub async fn tell_of_disabled_endpoint(deps: &Deps, job: &TellOfDisabledEndpoint) -> Result<Ending> {
    let endpoint = store::endpoint(deps.db.read(), &job.project_id, job.endpoint_id).await?;
    let Some(endpoint) = endpoint.filter(|endpoint| endpoint.disabled) else { return Ok(Ending::done()) };
    let Some(project) = projects::lookup(deps, &job.project_id).await? else { return Ok(Ending::done()) };
    let owners = projects::owner_ids(deps, &project, MAX_OWNERS).await?;
    let (url, project_name) = (&endpoint.url, &project.display_name);
    deps.db
        .write(async |tx| {
            for user_id in owners.iter().copied() {
                let template = Template::WebhookEndpointDisabled {
                    project_name: project_name.clone(),
                    url: url.clone(),
                    is_gone: job.reason == Reason::Gone,
                };
                let recipient = Recipient::UserPrimaryEmail { user_id };
                let mut mail = NewEmail::new(ProjectId::internal(), recipient, template);
                mail.skip_deliverability_check = false;
                let cause = format!("{}:{}", job.endpoint_id, job.disabled_at.millis());
                mail.dedup_key = Some(format!("webhook-endpoint-disabled:{cause}:{user_id}"));
                emails::enqueue(&tx, deps, mail).await?;
            }
            Ok(())
        })
        .await?;
    Ok(Ending::done())
}
