//! From the event log to deliveries: each event becomes one message for each endpoint that wants it, in the transaction
//! that moves the cursor past the event. So an event is fanned out once, whatever crashes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use postern_entity::{
    ProjectId, Timestamp, WebhookDeliveryId, WebhookEndpointId, WebhookMessageId,
    webhook_delivery::{self, DeliveryState},
    webhook_endpoint, webhook_message,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    endpoint::texts,
    jobs::DeliverLine,
    matching::{self, Wants},
    notice,
    shape::Shape,
    store, svix,
    wire_id::wire_endpoint_id,
};
use crate::{
    Deps, Error, Result,
    db::Tx,
    events::{self, LoggedEvent},
    queue,
    time::time_ordered,
};

/// The cursor in the log.
pub(super) const CONSUMER: &str = "webhooks";
/// A transaction ends with the event that makes it this many rows, so that others who write never wait for long. An event
/// is not divided.
const MAX_ROWS: usize = 100;

/// Fans out the next events; answers whether more are waiting. Safe to run in several workers: one of them works, the
/// others find nothing.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn fan_out(deps: &Deps) -> Result<bool> {
    if deps.svix.is_some() {
        return svix::follow(deps).await;
    }
    if !events::has_unconsumed(deps, CONSUMER).await? {
        return Ok(false);
    }
    deps.db
        .write(async |tx| {
            let events = events::upcoming(deps, &tx, CONSUMER).await?;
            let endpoints = endpoints(&tx, &events).await?;
            let now = (deps.now(), queue::now_in(deps, &*tx).await?);
            let mut batch = Batch::default();
            for event in &events {
                if batch.rows() >= MAX_ROWS {
                    break;
                }
                batch.add(now, event, endpoints.get(&event.project_id).map_or(&[], Vec::as_slice))?;
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

/// An endpoint, as far as it matters for what it gets.
pub(super) struct Recipient {
    pub(super) id: WebhookEndpointId,
    wants: Wants,
    in_order: bool,
    paused_until: Option<Timestamp>,
    shape: Option<Shape>,
}

impl Recipient {
    pub(super) fn of(row: &webhook_endpoint::Model) -> Result<Self> {
        let wants = Wants {
            disabled: row.disabled,
            filter_types: texts(row.filter_types.clone())?,
            channels: texts(row.channels.clone())?,
        };
        // One that an earlier version took and this one does not must not stop everybody's events.
        let shape = row.selection.as_deref().and_then(|selection| {
            let parsed = Shape::parse(selection);
            parsed.inspect_err(|error| tracing::error!(endpoint.id = %row.id, error, "a selection cannot be read")).ok()
        });
        Ok(Self { id: row.id, wants, in_order: row.fifo, paused_until: row.paused_until, shape })
    }

    /// The bytes for this endpoint, where they are not those of the message.
    pub(super) fn shaped(&self, event_type: &str, data: &Value, at: Timestamp) -> Result<Option<Vec<u8>>> {
        self.shape.as_ref().map(|shape| shape.apply(event_type, data, at)).transpose()
    }

    /// An endpoint is not told about itself: it would never hear the end of it.
    fn gets(&self, event_type: &str, channels: &[String], payload: &Value) -> bool {
        let is_itself = || {
            let about = payload.get("endpoint_id").or_else(|| payload.get("id")).and_then(Value::as_str);
            about.is_some_and(|id| id == wire_endpoint_id(self.id) || id == self.id.to_string())
        };
        matching::gets(&self.wants, event_type, channels) && !(notice::is_about_webhooks(event_type) && is_itself())
    }
}

/// The endpoints of the events' projects, by project, oldest first.
async fn endpoints(tx: &Tx, events: &[LoggedEvent]) -> Result<BTreeMap<ProjectId, Vec<Recipient>>> {
    let projects: BTreeSet<_> =
        events.iter().filter(|event| matching::is_sent(event.kind.as_str())).map(|event| &event.project_id).collect();
    let mut wanted: BTreeMap<_, Vec<_>> = BTreeMap::new();
    if projects.is_empty() {
        return Ok(wanted);
    }
    for row in store::endpoints_of_projects(tx, projects).await? {
        wanted.entry(row.project_id.clone()).or_default().push(Recipient::of(&row)?);
    }
    Ok(wanted)
}

/// What a transaction is going to write.
#[derive(Default)]
struct Batch {
    messages: Vec<webhook_message::Model>,
    deliveries: Vec<webhook_delivery::Model>,
    /// Endpoints at which nobody answers, and after how long the pause is over: their lines are due then.
    paused: BTreeMap<WebhookEndpointId, Duration>,
    last: Option<i64>,
}

impl Batch {
    fn rows(&self) -> usize {
        self.messages.len() + self.deliveries.len()
    }

    /// Adds what `event` means for the endpoints of its project. A project without endpoints gets no messages; one whose
    /// endpoints do not want this event does, so that it can be sent by hand later.
    fn add(&mut self, (now, due): (Timestamp, Timestamp), event: &LoggedEvent, endpoints: &[Recipient]) -> Result<()> {
        self.last = Some(event.position);
        let event_type = event.kind.as_str();
        // Without a payload its user was deleted before anybody was told.
        let Some(payload) = &event.payload else { return Ok(()) };
        if endpoints.is_empty() || !matching::is_sent(event_type) {
            return Ok(());
        }
        let channels = matching::channels_of(event.user_id, event.team_id);
        let message = webhook_message::Model {
            id: WebhookMessageId(time_ordered(now)),
            project_id: event.project_id.clone(),
            event_position: Some(event.position),
            event_type: event_type.to_owned(),
            channels: (!channels.is_empty()).then(|| Value::from(channels.clone())),
            user_id: event.user_id,
            team_id: event.team_id,
            payload: Some(envelope(event_type, payload)?),
            created_at: now,
            traceparent: event.cause.map(|cause| cause.to_string()),
        };
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.gets(event_type, &channels, payload)) {
            if let Some(until) = endpoint.paused_until.filter(|until| now < *until) {
                let left = u64::try_from(until.millis() - now.millis()).unwrap_or_default();
                self.paused.insert(endpoint.id, Duration::from_millis(left));
            }
            self.deliveries.push(webhook_delivery::Model {
                line: endpoint.in_order.then_some(event.position),
                payload: endpoint.shaped(event_type, payload, message.created_at)?,
                ..delivery(&message, endpoint.id, now, due)
            });
        }
        self.messages.push(message);
        Ok(())
    }

    async fn write(mut self, deps: &Deps, tx: &Tx) -> Result<()> {
        let made = store::insert_messages(tx, &self.messages).await?;
        self.deliveries.retain(|delivery| made.contains(&delivery.message_id));
        let lines: BTreeMap<_, _> =
            self.deliveries.iter().map(|delivery| (delivery.endpoint_id, delivery.project_id.clone())).collect();
        store::insert_deliveries(tx, self.deliveries).await?;
        let pause = |id| self.paused.get(id).copied().unwrap_or_default();
        let lines = lines.iter().map(|(id, project_id)| DeliverLine::wake(project_id, *id, pause(id)));
        queue::wake_all::<DeliverLine>(deps, tx, &lines.collect::<Result<Vec<_>>>()?).await
    }
}

/// A delivery made `now`, to be tried at once: `due` by the clock of the queue, as all that lines wait for.
pub(super) fn delivery(
    message: &webhook_message::Model,
    endpoint_id: WebhookEndpointId,
    now: Timestamp,
    due: Timestamp,
) -> webhook_delivery::Model {
    webhook_delivery::Model {
        id: WebhookDeliveryId(time_ordered(now)),
        project_id: message.project_id.clone(),
        message_id: message.id,
        endpoint_id,
        state: DeliveryState::Sending,
        attempts: 0,
        next_attempt_at: Some(due),
        line: None,
        once: false,
        payload: None,
        created_at: now,
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
