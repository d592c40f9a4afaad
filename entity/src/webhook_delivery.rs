//! Deliveries: one row per message and endpoint.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp, WebhookDeliveryId, WebhookEndpointId, WebhookMessageId};

/// A row of `webhook_delivery`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_delivery")]
pub struct Model {
    /// The delivery; time-ordered.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WebhookDeliveryId,
    /// Owner.
    pub project_id: ProjectId,
    /// What is delivered.
    pub message_id: WebhookMessageId,
    /// Where to.
    pub endpoint_id: WebhookEndpointId,
    /// How far it has come.
    pub state: DeliveryState,
    /// Scheduled attempts so far; manual ones do not count.
    pub attempts: i32,
    /// When the next attempt of the endpoint's line is due; null when none is left.
    pub next_attempt_at: Option<Timestamp>,
    /// Its place in the line of an endpoint that wants everything in order; null elsewhere.
    pub line: Option<i64>,
    /// The next attempt is the only one: the owner wanted it.
    pub once: bool,
    /// The bytes that are signed and sent, where the endpoint shapes them; null: those of the message.
    pub payload: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum DeliveryState {
    /// Waits for an attempt.
    #[sea_orm(string_value = "sending")]
    Sending,
    /// The endpoint took it.
    #[sea_orm(string_value = "succeeded")]
    Succeeded,
    /// The last attempt failed and none is left.
    #[sea_orm(string_value = "failed")]
    Failed,
    /// Not tried any more: the endpoint was disabled or deleted, or the payload is gone.
    #[sea_orm(string_value = "dropped")]
    Dropped,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
