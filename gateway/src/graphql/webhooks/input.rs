//! What callers ask for when they make or change webhook endpoints.

use std::collections::BTreeMap;

use async_graphql::{Enum, ID, InputObject, MaybeUndefined, OneofObject};
use postern_domain::{
    patch::Patch,
    webhooks::{EndpointChange, NewEndpoint, Scheme, Which},
};
use secrecy::SecretString;

use crate::graphql::scalars::{DateTime, patch};

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
    /// The most deliveries a second; what is more waits. No limit when not given.
    rate_limit: Option<i32>,
    /// Whether it gets one message after the other, in the order in which things happened.
    #[graphql(default)]
    in_order: bool,
    /// A GraphQL selection that shapes its payloads, such as `{ type data { id primaryEmail } }`.
    selection: Option<String>,
    /// Whether it gets nothing yet.
    #[graphql(default)]
    disabled: bool,
    /// The secret that signs deliveries, `whsec_…` or `whsk_…`; a random one when not given.
    #[graphql(secret)]
    secret: Option<String>,
    /// How a random secret signs: by HMAC when not given.
    signature: Option<WebhookSignature>,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

/// How deliveries are signed (Standard Webhooks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Scheme")]
pub(crate) enum WebhookSignature {
    /// `v1`, HMAC-SHA256: the receiver holds the secret.
    Hmac,
    /// `v1a`, Ed25519: the receiver holds a public key.
    Ed25519,
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
            rate_limit: input.rate_limit,
            in_order: input.in_order,
            selection: input.selection,
            disabled: input.disabled,
            secret: input.secret.map(Into::into),
            scheme: input.signature.map(Into::into).unwrap_or_default(),
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
    /// The most deliveries a second; null for no limit.
    rate_limit: MaybeUndefined<i32>,
    /// Whether it gets one message after the other. Applies to messages to come.
    in_order: Option<bool>,
    /// A GraphQL selection that shapes its payloads; null for the whole. Applies to messages to come.
    selection: MaybeUndefined<String>,
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
            only_these_headers: false,
            rate_limit: patch(input.rate_limit),
            in_order: input.in_order,
            selection: patch(input.selection),
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
    /// The new secret, `whsec_…` or `whsk_…`; a random one when not given.
    #[graphql(secret)]
    pub(super) secret: Option<String>,
    /// How a random secret signs: as the former one when not given.
    pub(super) signature: Option<WebhookSignature>,
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

/// What to show, and where to.
#[derive(InputObject)]
pub(crate) struct SendExampleWebhookInput {
    /// The endpoint.
    pub(super) endpoint_id: ID,
    /// The type of event, such as `user.created`.
    pub(super) event_type: String,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

/// What to send again.
#[derive(InputObject)]
pub(crate) struct RecoverWebhookEndpointInput {
    /// The endpoint.
    pub(super) id: ID,
    /// Messages made at or after.
    pub(super) since: DateTime,
    /// Messages made before; now when not given.
    pub(super) until: Option<DateTime>,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

/// What to send once more.
#[derive(InputObject)]
pub(crate) struct ReplayWebhookMessagesInput {
    /// The endpoint.
    pub(super) endpoint_id: ID,
    /// Messages made at or after.
    pub(super) since: DateTime,
    /// Messages made before; now when not given.
    pub(super) until: Option<DateTime>,
    /// Which of them.
    pub(super) which: WebhookReplay,
    /// Of these types only.
    pub(super) event_types: Option<Vec<String>>,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

/// Which messages to send once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum WebhookReplay {
    /// Those that were given up, once each.
    Failed,
    /// Those that were never meant for the endpoint, as if they were new.
    Missing,
    /// All of them.
    All,
}

impl From<WebhookReplay> for Which {
    fn from(which: WebhookReplay) -> Self {
        match which {
            WebhookReplay::Failed => Self::Failed,
            WebhookReplay::Missing => Self::Missing,
            WebhookReplay::All => Self::All,
        }
    }
}

/// What to try again from the beginning: deliveries, or all that were given up for an endpoint.
#[derive(OneofObject)]
pub(crate) enum RedrivenWebhooks {
    /// These deliveries, at most 100.
    DeliveryIds(Vec<ID>),
    /// All that were given up for this endpoint.
    EndpointId(ID),
}

/// What to try again from the beginning.
#[derive(InputObject)]
pub(crate) struct RedriveWebhookDeliveriesInput {
    /// Which deliveries.
    pub(super) deliveries: RedrivenWebhooks,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}
