//! What follows from an attempt for its delivery. Pure, but for the jitter.

use std::time::Duration;

use postern_entity::{
    ProjectId, Timestamp, WebhookDeliveryId, WebhookEndpointId,
    webhook_attempt::{self, AttemptTrigger},
    webhook_delivery,
};

use super::{
    post::Tried,
    schedule::{self, Failed},
};
use crate::trace::{self, Traced};

/// What a run came to for a delivery.
#[derive(Clone, Debug)]
pub(super) struct DeliveryResult {
    pub(super) project_id: ProjectId,
    pub(super) delivery_id: WebhookDeliveryId,
    pub(super) endpoint_id: WebhookEndpointId,
    /// The type of its message.
    pub(super) event_type: String,
    /// Which scheduled attempt it was, from 1; `None` for one by hand.
    pub(super) number: Option<u32>,
    /// Made beside the line, by a job of its own, so the schedule of the delivery goes on.
    pub(super) beside: bool,
    pub(super) outcome: Outcome,
    pub(super) attempt: Option<webhook_attempt::Model>,
    /// No receiver was found.
    pub(super) missed: bool,
    /// Where it was found, in the log and in a trace. What follows from it belongs there, though it is written by a task that
    /// works for many.
    pub(super) traced: Traced,
}

impl DeliveryResult {
    /// The same of a job beside the line.
    pub(super) fn beside(self) -> Self {
        Self { beside: true, ..self }
    }

    /// When the schedule has another attempt, `now` being the instant at which the result is written.
    pub(super) fn next_attempt_at(&self, now: Timestamp) -> Option<Timestamp> {
        let Outcome::Retry { wait } = self.outcome else { return None };
        Some(now.plus_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Whether it says anything about this address: an endpoint may have moved since.
    pub(super) fn is_of(&self, url: &str) -> bool {
        self.attempt.as_ref().is_none_or(|attempt| attempt.url == url)
    }

    /// Whether the endpoint took it.
    pub(super) fn succeeded(&self) -> bool {
        self.outcome == Outcome::Succeeded
    }
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The endpoint took it.
    Succeeded,
    /// It did not; the schedule has another attempt.
    Retry {
        /// After how long.
        wait: Duration,
    },
    /// It did not, and there is no other attempt.
    Exhausted,
    /// It wants nothing any more.
    Gone,
    /// Not tried: the endpoint is disabled or deleted, or the payload is gone.
    Dropped,
}

/// Which scheduled attempt the next one is, from 1.
pub(super) fn next_number(delivery: &webhook_delivery::Model) -> u32 {
    u32::try_from(delivery.attempts).unwrap_or(0).saturating_add(1)
}

/// What the attempt means. One by hand has no other after it.
pub(super) fn judged(
    now: Timestamp,
    delivery: &webhook_delivery::Model,
    event_type: &str,
    beside: bool,
    tried: Tried,
) -> DeliveryResult {
    let Tried { row, slow, missed, gone, retry_after } = tried;
    let by_hand = row.trigger_type == AttemptTrigger::Manual;
    let number = next_number(delivery);
    let outcome = if row.succeeded {
        Outcome::Succeeded
    } else if gone {
        Outcome::Gone
    } else if by_hand {
        Outcome::Exhausted
    } else {
        let failed = Failed { slow, retry_after: retry_after.as_deref() };
        let wait = schedule::wait_after(number, &failed, now, rand::random_range(-1.0..=1.0));
        wait.map_or(Outcome::Exhausted, |wait| Outcome::Retry { wait })
    };
    DeliveryResult {
        number: (!by_hand).then_some(number),
        beside,
        missed,
        attempt: Some(row),
        ..untried(delivery, event_type, outcome)
    }
}

/// A delivery that was not tried.
pub(super) fn untried(delivery: &webhook_delivery::Model, event_type: &str, outcome: Outcome) -> DeliveryResult {
    DeliveryResult {
        project_id: delivery.project_id.clone(),
        delivery_id: delivery.id,
        endpoint_id: delivery.endpoint_id,
        event_type: event_type.to_owned(),
        number: None,
        beside: false,
        outcome,
        attempt: None,
        missed: false,
        traced: trace::carry_on(),
    }
}
