//! Attempts: one row per finished try of a delivery.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp, WebhookAttemptId, WebhookEndpointId, WebhookMessageId};

/// A row of `webhook_attempt`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_attempt")]
pub struct Model {
    /// The attempt; time-ordered.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WebhookAttemptId,
    /// Owner.
    pub project_id: ProjectId,
    /// What was sent.
    pub message_id: WebhookMessageId,
    /// Where to.
    pub endpoint_id: WebhookEndpointId,
    /// The endpoint's URL at that moment.
    pub url: String,
    /// Who wanted it.
    pub trigger_type: AttemptTrigger,
    /// Whether the endpoint took it: it answered 2xx.
    pub succeeded: bool,
    /// HTTP status of the answer; 0 when none came.
    pub response_status: i32,
    /// The beginning of the answer's body; null when no answer came.
    pub response_body: Option<Vec<u8>>,
    /// Why no answer came.
    pub error: Option<String>,
    /// From connecting to the end of what was read.
    pub duration_ms: i32,
    /// When it began; the timestamp that was signed.
    pub attempted_at: Timestamp,
    /// When the next scheduled attempt was to follow; null when none was.
    pub next_attempt_at: Option<Timestamp>,
}

/// Who wanted an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum AttemptTrigger {
    /// The schedule.
    #[sea_orm(string_value = "scheduled")]
    Scheduled,
    /// The owner: a resend, a recovery, a test.
    #[sea_orm(string_value = "manual")]
    Manual,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
