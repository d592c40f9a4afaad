//! Sending by hand: one attempt, not repeated, to one endpoint. wire/webhooks §3.3, §7.2.

use postern_entity::{
    WebhookDeliveryId, WebhookEndpointId, WebhookMessageId, webhook_delivery, webhook_endpoint, webhook_message,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    examples::example,
    fan_out::{Recipient, delivery, envelope},
    jobs::DeliverWebhook,
    matching, no_such_endpoint, require_admin, store, svix,
};
use crate::{
    Code, Deps,
    actor::Actor,
    db::Tx,
    error::{Error, Failure, Result, refuse},
    events::EventKind,
    queue,
    time::time_ordered,
    trace,
};

const TEST_TEXT: &str = "This is a test message. If you can read it, this endpoint works.";

/// What is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentAgain {
    /// The message.
    pub message_id: WebhookMessageId,
    /// Its delivery to the endpoint, where the outcome will show.
    pub delivery_id: WebhookDeliveryId,
}

/// Sends a message to an endpoint once more, or for the first time: filters and channels do not count, but a disabled
/// endpoint gets nothing. A success ends the delivery's schedule, a failure does not.
///
/// # Errors
/// No such message or endpoint; its payload is gone; the endpoint is disabled (`CONFLICT`); access; internal.
#[crate::boxed]
pub async fn resend(
    deps: &Deps,
    actor: &Actor,
    message_id: WebhookMessageId,
    endpoint_id: WebhookEndpointId,
) -> Result<SentAgain> {
    require_admin(actor)?;
    deps.mutate(actor, "resendWebhookMessage", |tx| async move {
        let endpoint = enabled_endpoint(&tx, actor, endpoint_id).await?;
        let Some(message) = store::message(&*tx, &actor.project_id, message_id).await? else {
            return refuse(Failure::not_found("There is no such webhook message."));
        };
        if message.payload.is_none() {
            let gone = Failure::bad_request("The payload of this message is no longer kept.");
            return refuse(gone.with(json!({ "reason": "missing_payload" })));
        }
        send_once(deps, &tx, &endpoint, &message).await
    })
    .await
}

/// Sends a `stack.test` message to this one endpoint.
///
/// # Errors
/// No such endpoint; it is disabled (`CONFLICT`); access; internal.
#[crate::boxed]
pub async fn send_test(deps: &Deps, actor: &Actor, endpoint_id: WebhookEndpointId) -> Result<SentAgain> {
    require_admin(actor)?;
    svix::refuse_if_elsewhere(deps)?;
    deps.mutate(actor, "sendTestWebhook", |tx| async move {
        let endpoint = enabled_endpoint(&tx, actor, endpoint_id).await?;
        let data = Test { message: TEST_TEXT, endpoint_url: &endpoint.url };
        let data = serde_json::to_value(data).map_err(Error::internal)?;
        send_made(deps, &tx, &endpoint, EventKind::StackTest.as_str(), &data).await
    })
    .await
}

/// Sends a message of this type to this one endpoint, with data that only show its form.
///
/// # Errors
/// No such type that endpoints get; no such endpoint; it is disabled (`CONFLICT`); access; internal.
#[crate::boxed]
pub async fn send_example(
    deps: &Deps,
    actor: &Actor,
    endpoint_id: WebhookEndpointId,
    event_type: &str,
) -> Result<SentAgain> {
    require_admin(actor)?;
    svix::refuse_if_elsewhere(deps)?;
    let kind = event_type.parse().ok().filter(|kind: &EventKind| matching::is_sent(kind.as_str()));
    let Some(kind) = kind else {
        let shown: String = event_type.chars().take(100).collect();
        return refuse(Failure::schema(format!("eventType {shown:?} is no event type that can be delivered")));
    };
    deps.mutate(actor, "sendExampleWebhook", |tx| async move {
        let endpoint = enabled_endpoint(&tx, actor, endpoint_id).await?;
        send_made(deps, &tx, &endpoint, kind.as_str(), &example(kind)).await
    })
    .await
}

/// Locked, so that it cannot be disabled or deleted before the job is written.
pub(super) async fn enabled_endpoint(tx: &Tx, actor: &Actor, id: WebhookEndpointId) -> Result<webhook_endpoint::Model> {
    match store::endpoint_for_update(tx, &actor.project_id, id).await? {
        None => no_such_endpoint(),
        Some(endpoint) if endpoint.disabled => {
            refuse(Failure::new(Code::Conflict, "The webhook endpoint is disabled. Enable it first."))
        }
        Some(endpoint) => Ok(endpoint),
    }
}

/// What a test says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Test<'a> {
    message: &'a str,
    endpoint_url: &'a str,
}

/// Makes a message that stands for no event, and sends it once.
async fn send_made(
    deps: &Deps,
    tx: &Tx,
    endpoint: &webhook_endpoint::Model,
    event_type: &str,
    data: &Value,
) -> Result<SentAgain> {
    let now = deps.now();
    let message = webhook_message::Model {
        id: WebhookMessageId(time_ordered(now)),
        project_id: endpoint.project_id.clone(),
        event_position: None,
        event_type: event_type.to_owned(),
        channels: None,
        user_id: None,
        team_id: None,
        payload: Some(envelope(event_type, data)?),
        created_at: now,
        traceparent: trace::current().map(|cause| cause.to_string()),
    };
    store::insert_messages(tx, std::slice::from_ref(&message)).await?;
    send_once(deps, tx, endpoint, &message).await
}

async fn send_once(
    deps: &Deps,
    tx: &Tx,
    endpoint: &webhook_endpoint::Model,
    message: &webhook_message::Model,
) -> Result<SentAgain> {
    let data = message.payload.as_deref().map(data_of).transpose()?.unwrap_or_default();
    let delivery = webhook_delivery::Model {
        next_attempt_at: None,
        payload: Recipient::of(endpoint)?.shaped(&message.event_type, &data, message.created_at)?,
        ..delivery(message, endpoint.id, deps.now(), deps.now())
    };
    let delivery_id = store::delivery_or_insert(tx, delivery).await?;
    queue::enqueue(deps, tx, DeliverWebhook::manual(&endpoint.project_id, delivery_id)?).await?;
    Ok(SentAgain { message_id: message.id, delivery_id })
}

/// What the bytes of a message say about its event.
pub(super) fn data_of(payload: &[u8]) -> Result<Value> {
    let mut envelope: Value = serde_json::from_slice(payload).map_err(Error::internal)?;
    Ok(envelope.get_mut("data").map(Value::take).unwrap_or_default())
}
