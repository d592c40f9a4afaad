//! Managing webhook endpoints, and sending again.

use async_graphql::{Context, ID, InputObject};
use postern_domain::{
    WebhookEndpointId,
    webhooks::{self, SentAgain},
};
use postern_gateway_macros::guarded;
use secrecy::ExposeSecret;

use super::{
    input::{
        CreateWebhookEndpointInput, DeleteWebhookEndpointInput, ResendWebhookMessageInput, RotateWebhookSecretInput,
        SendTestWebhookInput, UpdateWebhookEndpointInput,
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
        webhooks::rotate_secret(deps, &actor, id, new.as_ref(), input.grace_period_seconds).await?;
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
        let recovery = webhooks::recover(deps(ctx)?, &actor, id, input.since.0, until).await?;
        Ok(Some(RecoverWebhookEndpointPayload { since: recovery.since.into(), until: recovery.until.into() }))
    }
}

/// What to send again.
#[derive(InputObject)]
pub(crate) struct RecoverWebhookEndpointInput {
    /// The endpoint.
    id: ID,
    /// Messages made at or after.
    since: DateTime,
    /// Messages made before; now when not given.
    until: Option<DateTime>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
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
    /// The secret that signs deliveries, `whsec_…`.
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
