//! What was sent: messages, their deliveries to endpoints, and the attempts.

use async_graphql::{Context, Enum, ID};
use postern_domain::webhooks::{Attempt, AttemptTrigger, Delivery, DeliveryState, Message};
use postern_gateway_macros::guarded;

use super::types::{WebhookEndpointObject, WebhookHeader};
use crate::graphql::{
    connection::{Connection, connection_of, page_cost},
    error::Result,
    loaders::Loaders,
    scalars::{DateTime, IntoId},
};

/// A message.
pub(crate) struct WebhookMessageObject(pub(crate) Message);

/// An event on its way to the endpoints that want it. Its bytes are made once.
#[guarded(ADMIN, graphql(name = "WebhookMessage"))]
impl WebhookMessageObject {
    /// The id of the message.
    #[access(ADMIN)]
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// What happened, such as `user.created`.
    #[access(ADMIN)]
    fn event_type(&self) -> &str {
        &self.0.event_type
    }

    /// The exact text that is signed and sent; null once it is no longer kept.
    #[access(ADMIN)]
    fn payload(&self) -> Option<&str> {
        self.0.payload.as_deref()
    }

    /// The channels that it goes by: `user:…` and `team:…` of what it is about.
    #[access(ADMIN)]
    fn channels(&self) -> &[String] {
        &self.0.channels
    }

    /// When it was made.
    #[access(ADMIN)]
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// One for each endpoint that it goes to.
    #[access(ADMIN)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Connection<WebhookDeliveryObject>> {
        let deliveries = Loaders::of(ctx)?.webhook_deliveries_of(self.0.id).await?;
        connection_of(deliveries, first, after.as_deref(), |delivery| delivery.id.0, WebhookDeliveryObject)
    }

    /// The newest attempts to deliver it, to any endpoint; at most 20.
    #[access(ADMIN)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn attempts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Connection<WebhookAttemptObject>> {
        let attempts = Loaders::of(ctx)?.webhook_attempts_of(self.0.id).await?;
        connection_of(attempts, first, after.as_deref(), |attempt| attempt.id.0, WebhookAttemptObject)
    }
}

/// A delivery.
pub(crate) struct WebhookDeliveryObject(pub(super) Delivery);

/// A message on its way to one endpoint.
#[guarded(ADMIN, graphql(name = "WebhookDelivery"))]
impl WebhookDeliveryObject {
    /// The id of the delivery.
    #[access(ADMIN)]
    fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// How far it has come.
    #[access(ADMIN)]
    fn state(&self) -> WebhookDeliveryState {
        self.0.state.into()
    }

    /// How many scheduled attempts there were.
    #[access(ADMIN)]
    fn attempt_count(&self) -> i32 {
        self.0.attempts
    }

    /// When the next scheduled attempt is due.
    #[access(ADMIN)]
    fn next_attempt_at(&self) -> Option<DateTime> {
        self.0.next_attempt_at.map(Into::into)
    }

    /// When it was made.
    #[access(ADMIN)]
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// The id of the message.
    #[access(ADMIN)]
    fn message_id(&self) -> ID {
        self.0.message_id.into_id()
    }

    /// The exact text for this endpoint, where it has shaped it; null where it is that of the message, or no longer kept.
    #[access(ADMIN)]
    fn payload(&self) -> Option<&str> {
        self.0.payload.as_deref()
    }

    /// The id of the endpoint.
    #[access(ADMIN)]
    fn endpoint_id(&self) -> ID {
        self.0.endpoint_id.into_id()
    }

    /// The endpoint; null once it is deleted.
    #[access(ADMIN)]
    async fn endpoint(&self, ctx: &Context<'_>) -> Result<Option<WebhookEndpointObject>> {
        Ok(Loaders::of(ctx)?.webhook_endpoint(self.0.endpoint_id).await?.map(WebhookEndpointObject))
    }
}

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "DeliveryState")]
pub(crate) enum WebhookDeliveryState {
    /// Waits for an attempt.
    Sending,
    /// The endpoint took it.
    Succeeded,
    /// The last attempt failed, and none is left.
    Failed,
    /// Not tried any more: the endpoint was disabled or deleted, or the payload is gone.
    Dropped,
}

/// An attempt.
pub(crate) struct WebhookAttemptObject(Attempt);

/// One try to deliver a message to an endpoint.
#[guarded(ADMIN, graphql(name = "WebhookAttempt"))]
impl WebhookAttemptObject {
    /// The id of the attempt.
    #[access(ADMIN)]
    fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// The endpoint's URL at that moment.
    #[access(ADMIN)]
    fn url(&self) -> &str {
        &self.0.url
    }

    /// The headers that were sent, without signatures and the owner's own.
    #[access(ADMIN)]
    fn request_headers(&self) -> Vec<WebhookHeader> {
        let headers = self.0.request_headers();
        headers.into_iter().map(|(name, value)| WebhookHeader { name: name.to_owned(), value }).collect()
    }

    /// Who wanted it.
    #[access(ADMIN)]
    fn trigger(&self) -> WebhookAttemptTrigger {
        self.0.trigger.into()
    }

    /// Whether the endpoint took it.
    #[access(ADMIN)]
    fn succeeded(&self) -> bool {
        self.0.succeeded
    }

    /// The HTTP status of the answer; null when none came.
    #[access(ADMIN)]
    fn response_status(&self) -> Option<i32> {
        Some(self.0.response_status).filter(|status| *status != 0)
    }

    /// The beginning of the answer's body, at most 20,000 bytes, as text.
    #[access(ADMIN)]
    fn response_body(&self) -> Option<String> {
        self.0.response_body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned())
    }

    /// Why no answer came.
    #[access(ADMIN)]
    fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// How long it took, in milliseconds.
    #[access(ADMIN)]
    fn duration_ms(&self) -> i32 {
        self.0.duration_ms
    }

    /// When it began.
    #[access(ADMIN)]
    fn attempted_at(&self) -> DateTime {
        self.0.attempted_at.into()
    }

    /// When the next scheduled attempt was to follow.
    #[access(ADMIN)]
    fn next_attempt_at(&self) -> Option<DateTime> {
        self.0.next_attempt_at.map(Into::into)
    }

    /// The id of the endpoint.
    #[access(ADMIN)]
    fn endpoint_id(&self) -> ID {
        self.0.endpoint_id.into_id()
    }

    /// The endpoint; null once it is deleted.
    #[access(ADMIN)]
    async fn endpoint(&self, ctx: &Context<'_>) -> Result<Option<WebhookEndpointObject>> {
        Ok(Loaders::of(ctx)?.webhook_endpoint(self.0.endpoint_id).await?.map(WebhookEndpointObject))
    }
}

/// Who wanted an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "AttemptTrigger")]
pub(crate) enum WebhookAttemptTrigger {
    /// The schedule.
    Scheduled,
    /// The owner: a test, a resend, a recovery.
    Manual,
}
