//! From the event log to deliveries: each event becomes one message for each endpoint that wants it, in the transaction
//! that moves the cursor past the event. So an event is fanned out once, whatever crashes.

use std::collections::{BTreeMap, BTreeSet};

use postern_entity::{
    ProjectId, Timestamp, WebhookDeliveryId, WebhookEndpointId, WebhookMessageId,
    webhook_delivery::{self, DeliveryState},
    webhook_endpoint, webhook_message,
};
use serde::Serialize;
use uuid::{NoContext, Uuid};

use super::{
    endpoint::texts,
    jobs::DeliverWebhook,
    matching::{self, Wants},
    store,
};
use crate::{
    Deps, Error, Result,
    db::Tx,
    events::{self, LoggedEvent},
    queue,
    trace::TraceContext,
};

/// The cursor in the log.
const CONSUMER: &str = "webhooks";
/// A transaction ends with the event that makes it this many rows, so that others who write never wait for long. An event
/// is not divided.
const MAX_ROWS: usize = 100;
/// Rows that a delivery costs: itself and its job.
const ROWS_PER_DELIVERY: usize = 2;

/// Fans out the next events; answers whether more are waiting. Safe to run in several workers: one of them works, the
/// others find nothing.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn fan_out(deps: &Deps) -> Result<bool> {
    if !events::has_unconsumed(deps, CONSUMER).await? {
        return Ok(false);
    }
    deps.db
        .write(async |tx| {
            let events = events::upcoming(deps, &tx, CONSUMER).await?;
            let endpoints = endpoints(&tx, &events).await?;
            let mut batch = Batch::default();
            for event in &events {
                if batch.rows() >= MAX_ROWS {
                    break;
                }
                batch.add(deps.now(), event, endpoints.get(&event.project_id).map_or(&[], Vec::as_slice))?;
            }
            if let Some(last) = batch.last {
                events::pass(deps, &tx, CONSUMER, last).await?;
            }
            let more = batch.last.is_some();
            batch.write(deps, &tx).await?;
            Ok(more)
        })
        .await
}

/// What the endpoints of the events' projects want, by project, oldest first.
async fn endpoints(tx: &Tx, events: &[LoggedEvent]) -> Result<BTreeMap<ProjectId, Vec<(WebhookEndpointId, Wants)>>> {
    let projects: BTreeSet<_> =
        events.iter().filter(|event| matching::is_sent(event.kind.as_str())).map(|event| &event.project_id).collect();
    let mut wanted: BTreeMap<_, Vec<_>> = BTreeMap::new();
    if projects.is_empty() {
        return Ok(wanted);
    }
    for row in store::endpoints_of_projects(tx, projects).await? {
        let (id, project_id, wants) = wants(row)?;
        wanted.entry(project_id).or_default().push((id, wants));
    }
    Ok(wanted)
}

fn wants(row: webhook_endpoint::Model) -> Result<(WebhookEndpointId, ProjectId, Wants)> {
    let wants =
        Wants { disabled: row.disabled, filter_types: texts(row.filter_types)?, channels: texts(row.channels)? };
    Ok((row.id, row.project_id, wants))
}

/// What a transaction is going to write.
#[derive(Default)]
struct Batch {
    messages: Vec<webhook_message::Model>,
    deliveries: Vec<webhook_delivery::Model>,
    /// Of the messages whose events were caused in a trace.
    causes: BTreeMap<WebhookMessageId, TraceContext>,
    last: Option<i64>,
}

impl Batch {
    fn rows(&self) -> usize {
        self.messages.len() + self.deliveries.len() * ROWS_PER_DELIVERY
    }

    /// Adds what `event` means for the endpoints of its project. A project without endpoints gets no messages; one whose
    /// endpoints do not want this event does, so that it can be sent by hand later.
    fn add(&mut self, now: Timestamp, event: &LoggedEvent, endpoints: &[(WebhookEndpointId, Wants)]) -> Result<()> {
        self.last = Some(event.position);
        let event_type = event.kind.as_str();
        // Without a payload its user was deleted before anybody was told.
        let Some(payload) = &event.payload else { return Ok(()) };
        if endpoints.is_empty() || !matching::is_sent(event_type) {
            return Ok(());
        }
        let message = webhook_message::Model {
            id: WebhookMessageId(time_ordered(now)),
            project_id: event.project_id.clone(),
            event_position: Some(event.position),
            event_type: event_type.to_owned(),
            channels: None,
            user_id: event.user_id,
            team_id: event.team_id,
            payload: Some(envelope(event_type, payload)?),
            created_at: now,
        };
        for (endpoint_id, _) in endpoints.iter().filter(|(_, wants)| matching::gets(wants, event_type, &[])) {
            self.deliveries.push(webhook_delivery::Model {
                id: WebhookDeliveryId(time_ordered(now)),
                project_id: event.project_id.clone(),
                message_id: message.id,
                endpoint_id: *endpoint_id,
                state: DeliveryState::Sending,
                attempts: 0,
                next_attempt_at: Some(now),
                created_at: now,
            });
        }
        self.causes.extend(event.cause.map(|cause| (message.id, cause)));
        self.messages.push(message);
        Ok(())
    }

    async fn write(mut self, deps: &Deps, tx: &Tx) -> Result<()> {
        let made = store::insert_messages(tx, &self.messages).await?;
        self.deliveries.retain(|delivery| made.contains(&delivery.message_id));
        let jobs = self.deliveries.iter().map(|delivery| {
            let job = DeliverWebhook::scheduled(&delivery.project_id, delivery.id)?;
            Ok(job.caused_by(self.causes.get(&delivery.message_id).copied()))
        });
        let jobs = jobs.collect::<Result<Vec<_>>>()?;
        store::insert_deliveries(tx, self.deliveries).await?;
        queue::enqueue_all(deps, tx, jobs).await?;
        Ok(())
    }
}

/// The exact bytes of a message: `{"type": …, "data": …}` and nothing else (wire/webhooks §1).
pub(super) fn envelope(event_type: &str, data: &impl Serialize) -> Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Envelope<'a, D> {
        #[serde(rename = "type")]
        event_type: &'a str,
        data: &'a D,
    }
    serde_json::to_vec(&Envelope { event_type, data }).map_err(Error::internal)
}

/// A UUID (version 7) of this moment: rows made together lie together in every index.
pub(super) fn time_ordered(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    let nanos = u32::try_from(now.millis().rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos))
}
