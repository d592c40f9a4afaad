//! Webhook messages: what is delivered, byte for byte.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, TeamId, Timestamp, UserId, WebhookMessageId};

/// A row of `webhook_message`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_message")]
pub struct Model {
    /// The message; time-ordered.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WebhookMessageId,
    /// Owner.
    pub project_id: ProjectId,
    /// The event it was made of, by its place in the log; null for tests. Unique: an event is one message.
    pub event_position: Option<i64>,
    /// Its type, such as `user.created`.
    pub event_type: String,
    /// Array of channels; null means none.
    pub channels: Option<Json>,
    /// The user it is about.
    pub user_id: Option<UserId>,
    /// The team it is about.
    pub team_id: Option<TeamId>,
    /// The exact bytes that are signed and sent; null once their retention is over.
    pub payload: Option<Vec<u8>>,
    /// When it was fanned out.
    pub created_at: Timestamp,
    /// The place in a trace of what caused its event.
    pub traceparent: Option<String>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
