//! Managing webhook endpoints, and sending again.

use async_graphql::{Context, ID};
use postern_domain::{
    WebhookEndpointId,
    webhooks::{self, Recovery, SentAgain, Stretch},
};
use postern_gateway_macros::guarded;
use secrecy::ExposeSecret;

use super::{
    input::{
        CreateWebhookEndpointInput, DeleteWebhookEndpointInput, RecoverWebhookEndpointInput,
        RedriveWebhookDeliveriesInput, RedrivenWebhooks, ReplayWebhookMessagesInput, ResendWebhookMessageInput,
        RotateWebhookSecretInput, SendExampleWebhookInput, SendTestWebhookInput, UpdateWebhookEndpointInput,
    },
    types::WebhookEndpointObject,
};
use crate::graphql::{
    error::Result,
    repeat,
    scalars::{DateTime, IntoId, parse_id},
    schema::deps,
};

/// Mutations of webhooks.
#[derive(Default)]
pub(crate) struct WebhookMutation;

#[guarded(root)]
impl WebhookMutation {
    /// Registers a webhook endpoint.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        input: CreateWebhookEndpointInput,
    ) -> Result<Option<WebhookSecretPayload>> {
        let (deps, actor) = (deps(ctx)?, repeat::actor(ctx, input.idempotency_key.as_deref())?);
        let endpoint = webhooks::create(deps, &actor, input.into()).await?;
        let secret = webhooks::secret(deps, &actor, endpoint.id).await?.expose_secret().to_owned();
        Ok(Some(WebhookSecretPayload { webhook_endpoint: WebhookEndpointObject(endpoint), secret }))
    }

    /// Changes a webhook endpoint. Applies to messages that wait already.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        input: UpdateWebhookEndpointInput,
    ) -> Result<Option<WebhookEndpointPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id = parse_id(&input.id, "id")?;
        let endpoint = webhooks::update(deps(ctx)?, &actor, id, input.into()).await?;
        Ok(Some(WebhookEndpointPayload { webhook_endpoint: WebhookEndpointObject(endpoint) }))
    }

    /// Removes a webhook endpoint. It gets nothing from then on.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn delete_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        input: DeleteWebhookEndpointInput,
    ) -> Result<Option<DeleteWebhookEndpointPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id: WebhookEndpointId = parse_id(&input.id, "id")?;
        webhooks::delete(deps(ctx)?, &actor, id).await?;
        Ok(Some(DeleteWebhookEndpointPayload { id: id.into_id() }))
    }

    /// Replaces the secret that signs deliveries to an endpoint.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn rotate_webhook_secret(
        &self,
        ctx: &Context<'_>,
        input: RotateWebhookSecretInput,
    ) -> Result<Option<WebhookSecretPayload>> {
        let (deps, actor) = (deps(ctx)?, repeat::actor(ctx, input.idempotency_key.as_deref())?);
        let id = parse_id(&input.id, "id")?;
        let new = input.secret.map(Into::into);
        let scheme = input.signature.map(Into::into);
        webhooks::rotate_secret(deps, &actor, id, new.as_ref(), scheme, input.grace_period_seconds).await?;
        let secret = webhooks::secret(deps, &actor, id).await?.expose_secret().to_owned();
        let endpoint = webhooks::endpoint(deps, &actor, id).await?;
        Ok(Some(WebhookSecretPayload { webhook_endpoint: WebhookEndpointObject(endpoint), secret }))
    }

    /// Sends a `stack.test` message to one endpoint.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn send_test_webhook(
        &self,
        ctx: &Context<'_>,
        input: SendTestWebhookInput,
    ) -> Result<Option<WebhookSentPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let endpoint_id = parse_id(&input.endpoint_id, "endpointId")?;
        Ok(Some(webhooks::send_test(deps(ctx)?, &actor, endpoint_id).await?.into()))
    }

    /// Sends a message to one endpoint again, whatever became of it before.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn resend_webhook_message(
        &self,
        ctx: &Context<'_>,
        input: ResendWebhookMessageInput,
    ) -> Result<Option<WebhookSentPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let message_id = parse_id(&input.message_id, "messageId")?;
        let endpoint_id = parse_id(&input.endpoint_id, "endpointId")?;
        Ok(Some(webhooks::resend(deps(ctx)?, &actor, message_id, endpoint_id).await?.into()))
    }

    /// Sends a message of a type to one endpoint, with data that only show its form.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn send_example_webhook(
        &self,
        ctx: &Context<'_>,
        input: SendExampleWebhookInput,
    ) -> Result<Option<WebhookSentPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let endpoint_id = parse_id(&input.endpoint_id, "endpointId")?;
        Ok(Some(webhooks::send_example(deps(ctx)?, &actor, endpoint_id, &input.event_type).await?.into()))
    }

    /// Sends a stretch of messages to one endpoint, at most ten thousand, the oldest first.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn replay_webhook_messages(
        &self,
        ctx: &Context<'_>,
        input: ReplayWebhookMessagesInput,
    ) -> Result<Option<RecoverWebhookEndpointPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id = parse_id(&input.endpoint_id, "endpointId")?;
        let stretch = Stretch {
            since: input.since.0,
            until: input.until.map(|time| time.0),
            which: input.which.into(),
            event_types: input.event_types.unwrap_or_default(),
        };
        Ok(Some(webhooks::replay(deps(ctx)?, &actor, id, stretch).await?.into()))
    }

    /// Tries deliveries that were given up again, with all attempts of the schedule.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn redrive_webhook_deliveries(
        &self,
        ctx: &Context<'_>,
        input: RedriveWebhookDeliveriesInput,
    ) -> Result<Option<RedriveWebhookDeliveriesPayload>> {
        let (deps, actor) = (deps(ctx)?, repeat::actor(ctx, input.idempotency_key.as_deref())?);
        let count = match input.deliveries {
            RedrivenWebhooks::DeliveryIds(ids) => {
                let ids = ids.iter().map(|id| parse_id(id, "deliveryIds")).collect::<Result<Vec<_>>>()?;
                Some(i32::try_from(webhooks::redrive(deps, &actor, &ids).await?).unwrap_or(i32::MAX))
            }
            RedrivenWebhooks::EndpointId(id) => {
                webhooks::redrive_all(deps, &actor, parse_id(&id, "endpointId")?).await?;
                None
            }
        };
        Ok(Some(RedriveWebhookDeliveriesPayload { count }))
    }

    /// Sends again, once each, what was given up for an endpoint within a window.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn recover_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        input: RecoverWebhookEndpointInput,
    ) -> Result<Option<RecoverWebhookEndpointPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id = parse_id(&input.id, "id")?;
        let until = input.until.map(|time| time.0);
        Ok(Some(webhooks::recover(deps(ctx)?, &actor, id, input.since.0, until).await?.into()))
    }
}

/// A webhook endpoint that was changed.
#[guarded(ADMIN)]
pub(crate) struct WebhookEndpointPayload {
    /// The endpoint as it is now.
    #[access(ADMIN)]
    webhook_endpoint: WebhookEndpointObject,
}

/// A webhook endpoint with its secret.
#[guarded(ADMIN)]
pub(crate) struct WebhookSecretPayload {
    /// The endpoint as it is now.
    #[access(ADMIN)]
    webhook_endpoint: WebhookEndpointObject,
    /// What a receiver verifies with: the secret, `whsec_…`, or the public key, `whpk_…`.
    #[access(ADMIN)]
    secret: String,
}

/// A webhook endpoint that was removed.
#[guarded(ADMIN)]
pub(crate) struct DeleteWebhookEndpointPayload {
    /// The id that the endpoint had.
    #[access(ADMIN)]
    id: ID,
}

/// A message on its way to one endpoint.
#[guarded(ADMIN)]
pub(crate) struct WebhookSentPayload {
    /// The message.
    #[access(ADMIN)]
    message_id: ID,
    /// Its delivery, where the outcome will show.
    #[access(ADMIN)]
    delivery_id: ID,
}

impl From<SentAgain> for WebhookSentPayload {
    fn from(sent: SentAgain) -> Self {
        Self { message_id: sent.message_id.into_id(), delivery_id: sent.delivery_id.into_id() }
    }
}

/// A recovery that has begun.
#[guarded(ADMIN)]
pub(crate) struct RecoverWebhookEndpointPayload {
    /// Messages made at or after.
    #[access(ADMIN)]
    since: DateTime,
    /// Messages made before.
    #[access(ADMIN)]
    until: DateTime,
}

impl From<Recovery> for RecoverWebhookEndpointPayload {
    fn from(recovery: Recovery) -> Self {
        Self { since: recovery.since.into(), until: recovery.until.into() }
    }
}

/// Deliveries that are tried again.
#[guarded(ADMIN)]
pub(crate) struct RedriveWebhookDeliveriesPayload {
    /// How many there were; null for those of an endpoint, which are found by and by.
    #[access(ADMIN)]
    count: Option<i32>,
}
