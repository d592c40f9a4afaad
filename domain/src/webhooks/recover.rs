//! Recovering an endpoint: one attempt by hand for every message that it missed within a window. wire/webhooks §7.2.

use postern_entity::{Timestamp, WebhookEndpointId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Place,
    jobs::{DeliverWebhook, RecoverWebhookEndpoint},
    no_such_endpoint, require_admin, store,
};
use crate::{
    Code, Deps,
    actor::Actor,
    error::{Failure, Result, refuse},
    queue::{self, Enqueue, Priority},
};

/// The longest window.
pub const MAX_RECOVERY_SECONDS: i64 = 14 * 86_400;
/// The most messages of one recovery; the oldest ones.
const MAX_MESSAGES: u64 = 10_000;
/// How many jobs are written at a time.
const BATCH: u64 = 100;

/// A recovery that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// This recovery.
    pub id: Uuid,
    /// Messages from then on.
    pub since: Timestamp,
    /// Messages before then.
    pub until: Timestamp,
}

/// Sends again, once each, what was given up for an endpoint of the messages made in `[since, until)`; `until` is now
/// unless told otherwise. The attempts are made by and by.
///
/// # Errors
/// A window that is empty or too long; no such endpoint; it is disabled (`CONFLICT`); access; internal.
#[crate::boxed]
pub async fn recover(
    deps: &Deps,
    actor: &Actor,
    endpoint_id: WebhookEndpointId,
    since: Timestamp,
    until: Option<Timestamp>,
) -> Result<Recovery> {
    require_admin(actor)?;
    // Includes what was made this very millisecond.
    let until = until.unwrap_or_else(|| deps.now().plus_millis(1));
    if since >= until || since.plus_seconds(MAX_RECOVERY_SECONDS) < until {
        let days = MAX_RECOVERY_SECONDS / 86_400;
        return refuse(Failure::schema(format!("since must lie before until, at most {days} days")));
    }
    deps.mutate(actor, "recoverWebhookEndpoint", |tx| async move {
        match store::endpoint_for_update(&tx, &actor.project_id, endpoint_id).await? {
            None => return no_such_endpoint(),
            Some(endpoint) if endpoint.disabled => {
                return refuse(Failure::new(Code::Conflict, "The webhook endpoint is disabled. Enable it first."));
            }
            Some(_) => {}
        }
        let project_id = actor.project_id.clone();
        let recovery_id = Uuid::new_v4();
        let job = RecoverWebhookEndpoint { project_id: project_id.clone(), endpoint_id, recovery_id, since, until };
        queue::enqueue(deps, &tx, Enqueue::new(&job)?.project(project_id)).await?;
        Ok(Recovery { id: recovery_id, since, until })
    })
    .await
}

/// Writes the jobs of the next messages after `after`; answers where to go on, or `None` when all are written. Harmless to
/// repeat: each attempt of a recovery is made once.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn recover_step(
    deps: &Deps,
    job: &RecoverWebhookEndpoint,
    after: Option<RecoveryPlace>,
) -> Result<Option<RecoveryPlace>> {
    let written = after.map_or(0, |after| after.written);
    let limit = BATCH.min(MAX_MESSAGES.saturating_sub(written));
    if limit == 0 {
        return Ok(None);
    }
    deps.db
        .write(async |tx| {
            let endpoint = (&job.project_id, job.endpoint_id);
            let after = after.map(|after| after.place);
            let missed = store::missed_deliveries(&tx, endpoint, (job.since, job.until), after, limit).await?;
            let jobs = missed.iter().map(|delivery| {
                let key = format!("recover:{}:{}", job.recovery_id, delivery.id);
                Ok(DeliverWebhook::manual(&job.project_id, delivery.id)?.key(key).priority(Priority::Low))
            });
            queue::enqueue_all(deps, &tx, jobs.collect::<Result<Vec<_>>>()?).await?;
            let count = u64::try_from(missed.len()).unwrap_or(limit);
            let place = missed.last().map(|delivery| Place { at: delivery.created_at, id: delivery.id.0 });
            Ok(place.filter(|_| count == limit).map(|place| RecoveryPlace { place, written: written + count }))
        })
        .await
}

/// How far a recovery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryPlace {
    place: Place,
    written: u64,
}
