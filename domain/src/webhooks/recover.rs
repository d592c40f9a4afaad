//! Sending a stretch of messages to an endpoint once more: what it missed (wire/webhooks §7.2), what it was never sent, or
//! everything; and giving what was given up its whole schedule again. All of it goes through the line of the endpoint, so
//! its order, rate and breaker hold.

use std::collections::BTreeMap;

use postern_entity::{
    Timestamp, WebhookDeliveryId, WebhookEndpointId,
    webhook_delivery::{self, DeliveryState},
    webhook_endpoint, webhook_message,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Place,
    fan_out::{self, Recipient},
    jobs::RecoverWebhookEndpoint,
    line, require_admin,
    resend::{data_of, enabled_endpoint},
    rules, store,
};
use crate::{
    Deps,
    actor::Actor,
    db::Tx,
    error::{Failure, Result, refuse},
    queue::{self, Enqueue},
    validation::Violations,
};

/// The longest window.
pub const MAX_RECOVERY_SECONDS: i64 = 14 * 86_400;
/// The most messages of one recovery; the oldest ones.
const MAX_MESSAGES: u64 = 10_000;
/// How many deliveries are written at a time.
const BATCH: u64 = 100;

/// How deliveries are that were given up.
pub(super) const GIVEN_UP: &[DeliveryState] = &[DeliveryState::Failed, DeliveryState::Dropped];
/// How all are that have ended.
const ENDED: &[DeliveryState] = &[DeliveryState::Failed, DeliveryState::Dropped, DeliveryState::Succeeded];

/// Which messages of a window are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Those that were given up, once each.
    #[default]
    Failed,
    /// Those that never were for the endpoint, with a schedule of their own.
    Missing,
    /// All of them, once each; those that never were with a schedule.
    All,
    /// Those that were given up, with their whole schedule again.
    Redriven,
}

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

/// A stretch of messages to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Messages from then on.
    pub since: Timestamp,
    /// Messages before then; now when not given.
    pub until: Option<Timestamp>,
    /// Which of them.
    pub which: Which,
    /// Of these types only; of any when empty.
    pub event_types: Vec<String>,
}

/// Sends again, once each, what was given up for an endpoint of the messages made in `[since, until)`; `until` is now
/// unless told otherwise. The attempts are made by and by.
///
/// # Errors
/// Those of [`replay`].
#[crate::boxed]
pub async fn recover(
    deps: &Deps,
    actor: &Actor,
    endpoint_id: WebhookEndpointId,
    since: Timestamp,
    until: Option<Timestamp>,
) -> Result<Recovery> {
    let stretch = Stretch { since, until, which: Which::Failed, event_types: Vec::new() };
    replay(deps, actor, endpoint_id, stretch).await
}

/// Sends a stretch of messages to an endpoint, at most ten thousand, the oldest first. The attempts are made by and by.
///
/// # Errors
/// A window that is empty or too long; unknown types; no such endpoint; it is disabled (`CONFLICT`); access; internal.
#[crate::boxed]
pub async fn replay(deps: &Deps, actor: &Actor, endpoint_id: WebhookEndpointId, stretch: Stretch) -> Result<Recovery> {
    require_admin(actor)?;
    // Includes what was made this very millisecond.
    let until = stretch.until.unwrap_or_else(|| deps.now().plus_millis(1));
    let since = stretch.since;
    let mut violations = Violations::default();
    let days = MAX_RECOVERY_SECONDS / 86_400;
    let is_window = since < until && since.plus_seconds(MAX_RECOVERY_SECONDS) >= until;
    violations.require(is_window, "since", format_args!("must lie before until, at most {days} days"));
    let types = (!stretch.event_types.is_empty()).then(|| stretch.event_types.clone());
    violations.take("eventTypes", rules::filter_types(types));
    violations.finish()?;
    let stretch = &Stretch { until: Some(until), ..stretch };
    begin(deps, actor, endpoint_id, "recoverWebhookEndpoint", stretch).await
}

/// Gives every message that was given up for an endpoint its whole schedule again, at most ten thousand, the oldest first.
///
/// # Errors
/// No such endpoint; it is disabled (`CONFLICT`); access; internal.
#[crate::boxed]
pub async fn redrive_all(deps: &Deps, actor: &Actor, endpoint_id: WebhookEndpointId) -> Result<Recovery> {
    require_admin(actor)?;
    let until = Some(deps.now().plus_millis(1));
    let stretch = &Stretch { since: Timestamp(0), until, which: Which::Redriven, event_types: Vec::new() };
    begin(deps, actor, endpoint_id, "redriveWebhookDeliveries", stretch).await
}

async fn begin(
    deps: &Deps,
    actor: &Actor,
    endpoint_id: WebhookEndpointId,
    operation: &'static str,
    stretch: &Stretch,
) -> Result<Recovery> {
    deps.mutate(actor, operation, |tx| async move {
        enabled_endpoint(&tx, actor, endpoint_id).await?;
        let recovery =
            Recovery { id: Uuid::new_v4(), since: stretch.since, until: stretch.until.unwrap_or_else(|| deps.now()) };
        let job = RecoverWebhookEndpoint {
            project_id: actor.project_id.clone(),
            endpoint_id,
            recovery_id: recovery.id,
            since: recovery.since,
            until: recovery.until,
            which: stretch.which,
            event_types: stretch.event_types.clone(),
            requested_at: Some(deps.now()),
        };
        queue::enqueue(deps, &tx, Enqueue::new(&job)?.project(actor.project_id.clone())).await?;
        Ok(recovery)
    })
    .await
}

/// Gives these deliveries, which were given up, their whole schedule again; answers how many there were.
///
/// # Errors
/// More than a hundred at a time; access; internal.
#[crate::boxed]
pub async fn redrive(deps: &Deps, actor: &Actor, ids: &[WebhookDeliveryId]) -> Result<u64> {
    require_admin(actor)?;
    if ids.is_empty() || ids.len() as u64 > BATCH {
        return refuse(Failure::schema(format!("ids must be 1 to {BATCH} deliveries")));
    }
    deps.mutate(actor, "redriveWebhookDeliveries", |tx| async move {
        let given_up = store::failed_deliveries(&tx, &actor.project_id, ids).await?;
        // Lines first, then endpoints: as those do that write results.
        let mut lines: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for delivery in given_up {
            lines.entry(delivery.endpoint_id).or_default().push(delivery.id);
        }
        line::wake(deps, &tx, lines.keys().map(|endpoint_id| (&actor.project_id, *endpoint_id))).await?;
        let (mut count, due) = (0, queue::now_in(deps, &*tx).await?);
        for (endpoint_id, ids) in lines {
            let endpoint = store::endpoint_for_update(&tx, &actor.project_id, endpoint_id).await?;
            if let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.disabled) {
                if endpoint.fifo {
                    store::line_up(&tx, &ids).await?;
                }
                count += store::send_again(&tx, &ids, GIVEN_UP, false, due).await?;
            }
        }
        Ok(count)
    })
    .await
}

/// Puts the next messages after `after` into the line of the endpoint; answers where to go on, or `None` when all are there.
/// Harmless to repeat: what was sent by hand since the recovery began is left out.
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
    // Looked for outside the transaction: what is wanted may lie far apart.
    let (connection, from) = (deps.db.read(), after.map(|after| after.place));
    let found = match job.which {
        Which::Failed | Which::Redriven => store::missed_messages(connection, job, from, limit).await?,
        Which::Missing | Which::All => store::messages_of_window(connection, job, from, limit).await?,
    };
    let Some((place, _)) = found.last() else { return Ok(None) };
    let place = *place;
    let is_full = u64::try_from(found.len()).unwrap_or(limit) == limit;
    // Tests are for one endpoint and one time only.
    let is_wanted = |message: &webhook_message::Model| {
        message.event_position.is_some()
            && message.payload.is_some()
            && (job.event_types.is_empty() || job.event_types.contains(&message.event_type))
    };
    let messages: Vec<_> = found.into_iter().map(|(_, message)| message).filter(is_wanted).collect();
    let goes_on = deps
        .db
        .write(async |tx| {
            // The line first, then the endpoint: as those do that write results.
            line::wake(deps, &tx, [(&job.project_id, job.endpoint_id)]).await?;
            let endpoint = store::endpoint_for_update(&tx, &job.project_id, job.endpoint_id).await?;
            let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.disabled) else { return Ok(None) };
            put_in_line(deps, &tx, job, &endpoint, &messages).await.map(Some)
        })
        .await?;
    Ok(goes_on.filter(|_| is_full).map(|count| RecoveryPlace { place, written: written + count }))
}

async fn put_in_line(
    deps: &Deps,
    tx: &Tx,
    job: &RecoverWebhookEndpoint,
    endpoint: &webhook_endpoint::Model,
    messages: &[webhook_message::Model],
) -> Result<u64> {
    let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
    let there = store::deliveries_to(tx, endpoint.id, &ids).await?;
    let has = |message: &&webhook_message::Model| there.iter().any(|delivery| delivery.message_id == message.id);
    let (mut count, due) = (0, queue::now_in(deps, &**tx).await?);
    if matches!(job.which, Which::Missing | Which::All) {
        let recipient = Recipient::of(endpoint)?;
        let missing = messages.iter().filter(|message| !has(message));
        let made = missing
            .map(|message| new_delivery((deps.now(), due), endpoint, &recipient, message))
            .collect::<Result<Vec<_>>>()?;
        let made: Vec<_> = made.into_iter().flatten().collect();
        count += made.len() as u64;
        store::insert_deliveries(tx, made).await?;
    }
    let ended = if job.which == Which::All { ENDED } else { GIVEN_UP };
    let again: Vec<_> = match job.which {
        Which::Missing => Vec::new(),
        _ => {
            let since = job.requested_at.unwrap_or(job.until);
            let sent = store::sent_by_hand_since(tx, endpoint.id, &ids, since).await?;
            let is_again = |delivery: &&webhook_delivery::Model| {
                ended.contains(&delivery.state) && !sent.contains(&delivery.message_id)
            };
            there.iter().filter(is_again).map(|delivery| delivery.id).collect()
        }
    };
    count += store::send_again(tx, &again, ended, job.which != Which::Redriven, due).await?;
    if endpoint.fifo {
        store::line_up(tx, &again).await?;
    }
    Ok(count)
}

/// The delivery of a message that never was for the endpoint; none once its payload is gone.
fn new_delivery(
    (now, due): (Timestamp, Timestamp),
    endpoint: &webhook_endpoint::Model,
    recipient: &Recipient,
    message: &webhook_message::Model,
) -> Result<Option<webhook_delivery::Model>> {
    let Some(payload) = &message.payload else { return Ok(None) };
    Ok(Some(webhook_delivery::Model {
        line: message.event_position.filter(|_| endpoint.fifo),
        payload: recipient.shaped(&message.event_type, &data_of(payload)?, message.created_at)?,
        ..fan_out::delivery(message, endpoint.id, now, due)
    }))
}

/// How far a recovery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryPlace {
    place: Place,
    written: u64,
}
