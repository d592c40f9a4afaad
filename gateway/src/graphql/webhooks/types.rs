//! Webhook endpoints, as the schema shows them.

use async_graphql::ID;
use postern_domain::webhooks::Endpoint;
use postern_gateway_macros::guarded;

use crate::graphql::scalars::{DateTime, IntoId};

/// A webhook endpoint.
pub(crate) struct WebhookEndpointObject(pub(crate) Endpoint);

/// A URL that events are delivered to.
#[guarded(ADMIN, graphql(name = "WebhookEndpoint"))]
impl WebhookEndpointObject {
    /// The id of the endpoint.
    #[access(ADMIN)]
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// Where deliveries go.
    #[access(ADMIN)]
    fn url(&self) -> &str {
        &self.0.url
    }

    /// What it is, for people.
    #[access(ADMIN)]
    fn description(&self) -> &str {
        &self.0.description
    }

    /// The types of events it wants; null: those of the webhook contract.
    #[access(ADMIN)]
    fn filter_types(&self) -> Option<&[String]> {
        self.0.filter_types.as_deref()
    }

    /// The channels it listens to; null: all.
    #[access(ADMIN)]
    fn channels(&self) -> Option<&[String]> {
        self.0.channels.as_deref()
    }

    /// The owner's own headers, without the sensitive ones.
    #[access(ADMIN)]
    fn headers(&self) -> Vec<WebhookHeader> {
        let pairs = self.0.headers.iter();
        pairs.map(|(name, value)| WebhookHeader { name: name.clone(), value: value.clone() }).collect()
    }

    /// Names of headers whose values are never shown.
    #[access(ADMIN)]
    fn sensitive_headers(&self) -> &[String] {
        &self.0.sensitive_headers
    }

    /// Whether it gets nothing.
    #[access(ADMIN)]
    fn disabled(&self) -> bool {
        self.0.disabled
    }

    /// Since when messages have been given up without any success in between.
    #[access(ADMIN)]
    fn failing_since(&self) -> Option<DateTime> {
        self.0.failing_since.map(Into::into)
    }

    /// When it was made.
    #[access(ADMIN)]
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it was last changed.
    #[access(ADMIN)]
    fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// A header that is sent with every delivery.
#[guarded(ADMIN)]
pub(crate) struct WebhookHeader {
    /// Its name, in lower case.
    #[access(ADMIN)]
    name: String,
    /// Its value.
    #[access(ADMIN)]
    value: String,
}
