//! Sending by hand: one attempt, not repeated, to one endpoint. wire/webhooks §3.3, §7.2.

use postern_entity::{
    WebhookDeliveryId, WebhookEndpointId, WebhookMessageId,
    webhook_delivery::{self, DeliveryState},
    webhook_endpoint, webhook_message,
};
use serde::{Deserialize, Serialize};

use super::{
    fan_out::{envelope, time_ordered},
    jobs::DeliverWebhook,
    no_such_endpoint, require_admin, store,
};
use crate::{
    Code, Deps,
    actor::Actor,
    db::Tx,
    error::{Failure, Result, refuse},
    events::EventKind,
    queue,
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
            return refuse(Failure::bad_request("The payload of this message is no longer kept."));
        }
        send_once(deps, &tx, &endpoint, message_id).await
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
    deps.mutate(actor, "sendTestWebhook", |tx| async move {
        let endpoint = enabled_endpoint(&tx, actor, endpoint_id).await?;
        let message = test_message(deps, &endpoint)?;
        let message_id = message.id;
        store::insert_messages(&tx, &[message]).await?;
        send_once(deps, &tx, &endpoint, message_id).await
    })
    .await
}

/// Locked, so that it cannot be disabled or deleted before the job is written.
async fn enabled_endpoint(tx: &Tx, actor: &Actor, id: WebhookEndpointId) -> Result<webhook_endpoint::Model> {
    match store::endpoint_for_update(tx, &actor.project_id, id).await? {
        None => no_such_endpoint(),
        Some(endpoint) if endpoint.disabled => {
            refuse(Failure::new(Code::Conflict, "The webhook endpoint is disabled. Enable it first."))
        }
        Some(endpoint) => Ok(endpoint),
    }
}

fn test_message(deps: &Deps, endpoint: &webhook_endpoint::Model) -> Result<webhook_message::Model> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Test<'a> {
        message: &'a str,
        endpoint_url: &'a str,
    }
    let event_type = EventKind::StackTest.as_str();
    let now = deps.now();
    Ok(webhook_message::Model {
        id: WebhookMessageId(time_ordered(now)),
        project_id: endpoint.project_id.clone(),
        event_position: None,
        event_type: event_type.to_owned(),
        channels: None,
        user_id: None,
        team_id: None,
        payload: Some(envelope(event_type, &Test { message: TEST_TEXT, endpoint_url: &endpoint.url })?),
        created_at: now,
    })
}

async fn send_once(
    deps: &Deps,
    tx: &Tx,
    endpoint: &webhook_endpoint::Model,
    message_id: WebhookMessageId,
) -> Result<SentAgain> {
    let now = deps.now();
    let delivery = webhook_delivery::Model {
        id: WebhookDeliveryId(time_ordered(now)),
        project_id: endpoint.project_id.clone(),
        message_id,
        endpoint_id: endpoint.id,
        state: DeliveryState::Sending,
        attempts: 0,
        next_attempt_at: None,
        created_at: now,
    };
    let delivery_id = store::delivery_or_insert(tx, delivery).await?;
    queue::enqueue(deps, tx, DeliverWebhook::manual(&endpoint.project_id, delivery_id)?).await?;
    Ok(SentAgain { message_id, delivery_id })
}
