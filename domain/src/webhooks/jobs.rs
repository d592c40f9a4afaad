//! Payloads of the jobs of this feature.

use std::time::Duration;

use postern_entity::{ProjectId, Timestamp, WebhookDeliveryId, WebhookEndpointId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{disable::Reason, recover::Which};
use crate::queue::{Enqueue, Job, Lane, Priority, Wake};

/// Delivers what waits in the line of an endpoint. A standing job: one per endpoint, woken when something is put into the
/// line, put off until the next attempt is due. Its own attempts count only runs that came to no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverLine {
    /// Owner of the endpoint.
    pub project_id: ProjectId,
    /// The endpoint.
    pub endpoint_id: WebhookEndpointId,
}

impl Job for DeliverLine {
    const KIND: &'static str = "deliver_webhook_line";
    const LANE: Lane = Lane::Webhooks;
    /// Runs in a row without any result: a database that is away for long must not end a line.
    const MAX_ATTEMPTS: u16 = 1000;

    fn backoff(attempt: u16) -> Duration {
        Duration::from_secs(1_u64.checked_shl(u32::from(attempt)).unwrap_or(u64::MAX).clamp(2, 60))
    }
}

impl DeliverLine {
    /// Wakes the job of an endpoint; it is due after that time at the latest.
    pub(super) fn wake(
        project_id: &ProjectId,
        endpoint_id: WebhookEndpointId,
        within: Duration,
    ) -> crate::Result<Wake> {
        let job = Self { project_id: project_id.clone(), endpoint_id };
        Ok(Wake { key: endpoint_id.to_string(), job: Enqueue::new(&job)?.project(project_id.clone()), within })
    }
}

/// Makes one attempt by hand, beside the line of its endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverWebhook {
    /// Owner of the delivery.
    pub project_id: ProjectId,
    /// The delivery.
    pub delivery_id: WebhookDeliveryId,
    /// Wanted by the owner. Earlier versions wrote jobs without it for the schedule of a delivery, which is the business of
    /// its line now.
    #[serde(default)]
    pub manual: bool,
}

impl Job for DeliverWebhook {
    const KIND: &'static str = "deliver_webhook";
    const LANE: Lane = Lane::Webhooks;
}

impl DeliverWebhook {
    /// One attempt that the owner wants.
    pub(super) fn manual(project_id: &ProjectId, delivery_id: WebhookDeliveryId) -> crate::Result<Enqueue> {
        let job = Self { project_id: project_id.clone(), delivery_id, manual: true };
        Ok(Enqueue::new(&job)?.project(project_id.clone()))
    }
}

/// Hands an event to the Svix server.
///
/// A server that is down for days must lose nothing, so there are many attempts: after the first ten minutes one every ten
/// minutes, for about a week. Counted attempts and not [`crate::queue::Ending::snooze`], because they lengthen the waits and
/// say in the job's row what is wrong; a job that is dead after all can be run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendToSvix {
    /// Whose event it is.
    pub project_id: ProjectId,
    /// What the server knows it by.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// The envelope, made once: every attempt sends the same.
    pub envelope: String,
}

impl Job for SendToSvix {
    const KIND: &'static str = "send_to_svix";
    const LANE: Lane = Lane::Webhooks;
    const MAX_ATTEMPTS: u16 = 1_000;

    /// 5 s, doubled each time, at most ten minutes.
    fn backoff(attempt: u16) -> Duration {
        let doubled = 1_u32.checked_shl(u32::from(attempt.saturating_sub(1))).unwrap_or(u32::MAX);
        Duration::from_secs(5).saturating_mul(doubled).min(Duration::from_secs(600))
    }
}

/// Sends messages of a window to an endpoint once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverWebhookEndpoint {
    /// Owner of the endpoint.
    pub project_id: ProjectId,
    /// The endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// This recovery.
    pub recovery_id: Uuid,
    /// Messages from then on.
    pub since: Timestamp,
    /// Messages before then.
    pub until: Timestamp,
    /// Which of them.
    #[serde(default)]
    pub which: Which,
    /// Of these types only; of any when empty.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// When it was wanted: what was sent by hand since then is not sent again.
    #[serde(default)]
    pub requested_at: Option<Timestamp>,
}

impl Job for RecoverWebhookEndpoint {
    const KIND: &'static str = "recover_webhook_endpoint";
    const PRIORITY: Priority = Priority::Low;
}

/// Writes to the owners of a project that an endpoint was disabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TellOfDisabledEndpoint {
    /// Owner of the endpoint.
    pub project_id: ProjectId,
    /// The endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// When it was disabled.
    pub disabled_at: Timestamp,
    /// Why.
    pub reason: Reason,
}

impl Job for TellOfDisabledEndpoint {
    const KIND: &'static str = "tell_of_disabled_webhook_endpoint";
}

/// Removes payloads, attempts and messages that are kept no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneWebhooks {}

impl Job for PruneWebhooks {
    const KIND: &'static str = "prune_webhooks";
    const PRIORITY: Priority = Priority::Low;
}
