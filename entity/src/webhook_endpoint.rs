//! Endpoints of project owners that receive webhooks.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp, WebhookEndpointId};

/// A row of `webhook_endpoint`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_endpoint")]
pub struct Model {
    /// The endpoint.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WebhookEndpointId,
    /// Owner.
    pub project_id: ProjectId,
    /// Where deliveries go.
    pub url: String,
    /// Shown to people.
    pub description: String,
    /// Array of event types; null means all of the webhook contract.
    pub filter_types: Option<Json>,
    /// Array of channels; null means any message.
    pub channels: Option<Json>,
    /// Sealed: a JSON object of the owner's own headers, lower-case name to value.
    pub headers: Option<Vec<u8>>,
    /// Most deliveries a second; null means no limit.
    pub rate_limit: Option<i32>,
    /// The GraphQL selection that shapes its payloads; null means the envelope.
    pub selection: Option<String>,
    /// Its name in the config file; null for one that was made otherwise.
    pub config_key: Option<String>,
    /// Strictly in order: each delivery waits for the one before.
    pub fifo: bool,
    /// Gets nothing.
    pub disabled: bool,
    /// When the clock started that ends in disabling: a message was given up and none has arrived since.
    pub failing_since: Option<Timestamp>,
    /// Attempts in a row to which no receiver answered, as far as they count: see the breaker.
    pub misses: i32,
    /// How often in a row the breaker has opened.
    pub pauses: i32,
    /// Until when nothing is tried, because no receiver is there.
    pub paused_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its owner last changed it, or it was disabled.
    pub updated_at: Timestamp,
    /// When it was deleted; the row stays for its messages and attempts.
    pub deleted_at: Option<Timestamp>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
