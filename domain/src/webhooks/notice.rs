//! Events about deliveries, for endpoints that ask for them: a message keeps failing, was given up, has arrived after all.
//! wire/webhooks §8.

use serde_json::json;

use super::{
    judge::{DeliveryResult, Outcome},
    wire_id::{wire_attempt_id, wire_endpoint_id, wire_message_id},
};
use crate::{
    Deps, Result,
    db::Tx,
    events::{self, EventKind, NewEvent},
};

/// The failed attempt after which an owner is told, if others follow.
const FAILING_AT: u32 = 4;
/// From this attempt on a success is worth telling.
const RECOVERED_FROM: u32 = 5;
/// Events about deliveries of which nothing is told in turn: it would never end.
const ABOUT_WEBHOOKS: &[EventKind] = &[
    EventKind::WebhookEndpointDisabled,
    EventKind::WebhookMessageFailing,
    EventKind::WebhookMessageExhausted,
    EventKind::WebhookMessageRecovered,
];

/// Whether events of this type are about webhooks.
pub(super) fn is_about_webhooks(event_type: &str) -> bool {
    ABOUT_WEBHOOKS.iter().any(|kind| kind.as_str() == event_type)
}

/// Records what is worth telling of these results.
pub(super) async fn tell_all(deps: &Deps, tx: &Tx, results: &[&DeliveryResult]) -> Result<()> {
    events::record_all(deps, tx, results.iter().filter_map(|result| event(result))).await
}

fn event(result: &DeliveryResult) -> Option<NewEvent> {
    let number = result.number?;
    let attempt = result.attempt.as_ref()?;
    let kind = match result.outcome {
        Outcome::Retry { .. } if number == FAILING_AT => EventKind::WebhookMessageFailing,
        Outcome::Exhausted => EventKind::WebhookMessageExhausted,
        Outcome::Succeeded if number >= RECOVERED_FROM => EventKind::WebhookMessageRecovered,
        _ => return None,
    };
    if is_about_webhooks(&result.event_type) {
        return None;
    }
    let payload = json!({
        "message_id": wire_message_id(attempt.message_id),
        "endpoint_id": wire_endpoint_id(attempt.endpoint_id),
        "event_type": result.event_type,
        "last_attempt": {
            "id": wire_attempt_id(attempt.id),
            "response_status_code": attempt.response_status,
            "timestamp_millis": attempt.attempted_at,
        },
    });
    Some(NewEvent { project_id: result.project_id.clone(), kind, user_id: None, team_id: None, payload })
}
