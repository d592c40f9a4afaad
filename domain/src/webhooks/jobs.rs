//! Payloads of the jobs of this feature.

use postern_entity::{ProjectId, Timestamp, WebhookDeliveryId, WebhookEndpointId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::queue::{Enqueue, Job, Lane, Priority};

/// Makes the next attempt of a delivery. One job lives as long as the schedule of its delivery: after a failed attempt it
/// is put off. So its own attempts count only runs that came to no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverWebhook {
    /// Owner of the delivery.
    pub project_id: ProjectId,
    /// The delivery.
    pub delivery_id: WebhookDeliveryId,
    /// Wanted by the owner: one attempt outside the schedule, whatever has become of the delivery.
    #[serde(default)]
    pub manual: bool,
}

impl Job for DeliverWebhook {
    const KIND: &'static str = "deliver_webhook";
    const LANE: Lane = Lane::Webhooks;
}

impl DeliverWebhook {
    /// The job of a delivery's schedule: written once, with the delivery. Without a key, so that it is not kept for long when
    /// it is done.
    pub(super) fn scheduled(project_id: &ProjectId, delivery_id: WebhookDeliveryId) -> crate::Result<Enqueue> {
        let job = Self { project_id: project_id.clone(), delivery_id, manual: false };
        Ok(Enqueue::new(&job)?.project(project_id.clone()))
    }

    /// One attempt that the owner wants.
    pub(super) fn manual(project_id: &ProjectId, delivery_id: WebhookDeliveryId) -> crate::Result<Enqueue> {
        let job = Self { project_id: project_id.clone(), delivery_id, manual: true };
        Ok(Enqueue::new(&job)?.project(project_id.clone()))
    }
}

/// Sends again what an endpoint has missed within a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverWebhookEndpoint {
    /// Owner of the endpoint.
    pub project_id: ProjectId,
    /// The endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// This recovery; its attempts are made once, however often the job runs.
    pub recovery_id: Uuid,
    /// Messages from then on.
    pub since: Timestamp,
    /// Messages before then.
    pub until: Timestamp,
}

impl Job for RecoverWebhookEndpoint {
    const KIND: &'static str = "recover_webhook_endpoint";
    const PRIORITY: Priority = Priority::Low;
}
