//! What callers ask for when they make or change webhook endpoints.

use std::collections::BTreeMap;

use async_graphql::{ID, InputObject, MaybeUndefined};
use postern_domain::{
    patch::Patch,
    webhooks::{EndpointChange, NewEndpoint},
};
use secrecy::SecretString;

use crate::graphql::scalars::patch;

/// A webhook endpoint to register.
#[derive(InputObject)]
pub(crate) struct CreateWebhookEndpointInput {
    /// Where deliveries go: an `http` or `https` URL.
    url: String,
    /// What it is, for people.
    #[graphql(default)]
    description: String,
    /// The types of events it wants; those of the webhook contract when not given.
    filter_types: Option<Vec<String>>,
    /// The channels it listens to; all when not given.
    channels: Option<Vec<String>>,
    /// Headers to send with every delivery.
    headers: Option<Vec<WebhookHeaderInput>>,
    /// Whether it gets nothing yet.
    #[graphql(default)]
    disabled: bool,
    /// The secret that signs deliveries, `whsec_…`; a random one when not given.
    #[graphql(secret)]
    secret: Option<String>,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

/// A header to send with every delivery.
#[derive(InputObject)]
pub(crate) struct WebhookHeaderInput {
    /// Its name.
    name: String,
    /// Its value.
    #[graphql(secret)]
    value: String,
}

impl From<CreateWebhookEndpointInput> for NewEndpoint {
    fn from(input: CreateWebhookEndpointInput) -> Self {
        let headers = input.headers.unwrap_or_default().into_iter();
        Self {
            url: input.url,
            description: input.description,
            filter_types: input.filter_types,
            channels: input.channels,
            headers: headers.map(|header| (header.name, header.value.into())).collect(),
            disabled: input.disabled,
            secret: input.secret.map(Into::into),
        }
    }
}

/// What to change of a webhook endpoint: what is not given stays.
#[derive(InputObject)]
pub(crate) struct UpdateWebhookEndpointInput {
    /// The endpoint.
    pub(super) id: ID,
    /// Where deliveries go: an `http` or `https` URL.
    url: Option<String>,
    /// What it is, for people.
    description: Option<String>,
    /// The types of events it wants; null for those of the webhook contract.
    filter_types: MaybeUndefined<Vec<String>>,
    /// The channels it listens to; null for all.
    channels: MaybeUndefined<Vec<String>>,
    /// Headers to set or to remove; those not named stay.
    headers: Option<Vec<WebhookHeaderChangeInput>>,
    /// Whether it gets nothing. Disabling drops the retries that wait.
    disabled: Option<bool>,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

/// A header to set or to remove.
#[derive(InputObject)]
pub(crate) struct WebhookHeaderChangeInput {
    /// Its name.
    name: String,
    /// Its value; null removes the header.
    #[graphql(secret)]
    value: Option<String>,
}

impl From<UpdateWebhookEndpointInput> for EndpointChange {
    fn from(input: UpdateWebhookEndpointInput) -> Self {
        let headers: BTreeMap<String, Patch<SecretString>> = input
            .headers
            .unwrap_or_default()
            .into_iter()
            .map(|header| (header.name, header.value.map_or(Patch::Clear, |value| Patch::Set(value.into()))))
            .collect();
        Self {
            url: input.url,
            description: input.description,
            filter_types: patch(input.filter_types),
            channels: patch(input.channels),
            headers,
            disabled: input.disabled,
        }
    }
}

/// A webhook endpoint to remove.
#[derive(InputObject)]
pub(crate) struct DeleteWebhookEndpointInput {
    /// The endpoint.
    pub(super) id: ID,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

/// A secret to replace.
#[derive(InputObject)]
pub(crate) struct RotateWebhookSecretInput {
    /// The endpoint.
    pub(super) id: ID,
    /// The new secret, `whsec_…`; a random one when not given.
    #[graphql(secret)]
    pub(super) secret: Option<String>,
    /// For how long the former secret signs besides the new one; 0 ends it at once.
    pub(super) grace_period_seconds: Option<i64>,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

/// Where to send a test message.
#[derive(InputObject)]
pub(crate) struct SendTestWebhookInput {
    /// The endpoint.
    pub(super) endpoint_id: ID,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

/// What to send again, and where to.
#[derive(InputObject)]
pub(crate) struct ResendWebhookMessageInput {
    /// The message.
    pub(super) message_id: ID,
    /// The endpoint.
    pub(super) endpoint_id: ID,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}
