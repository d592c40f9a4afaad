//! Sending mails, and changing those that have not left.

use async_graphql::{Context, ID};
use postern_domain::{emails, projects::EmailConnection};
use postern_gateway_macros::guarded;

use super::{
    input::{BoostEmailCapacityInput, InviteToSignInInput, SendEmailInput, SendTestEmailInput, UpdateEmailInput},
    types::EmailObject,
};
use crate::graphql::{
    error::Result,
    repeat,
    scalars::{DateTime, IntoId, parse_id},
    schema::{actor, client_info, deps},
};

/// Mutations of mails.
#[derive(Default)]
pub(crate) struct EmailMutation;

#[guarded(root)]
impl EmailMutation {
    /// Sends a mail to users: to all of them, or to nobody when one is unknown. Needs a mail server of the project's own.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 100")]
    async fn send_email(&self, ctx: &Context<'_>, input: SendEmailInput) -> Result<Option<SendEmailPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let users = emails::send_emails(deps(ctx)?, &actor, &input.try_into()?).await?;
        Ok(Some(SendEmailPayload { user_ids: users.into_iter().map(IntoId::into_id).collect() }))
    }

    /// Changes a mail that has not left: pauses, cancels, puts it off or gives it another content.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_email(&self, ctx: &Context<'_>, input: UpdateEmailInput) -> Result<Option<EmailPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id = parse_id(&input.id, "id")?;
        let email = emails::update(deps(ctx)?, &actor, id, input.try_into()?).await?;
        Ok(Some(EmailPayload { email: EmailObject(email) }))
    }

    /// Lets the project's mails leave four times faster for four hours.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn boost_email_capacity(
        &self,
        ctx: &Context<'_>,
        input: BoostEmailCapacityInput,
    ) -> Result<Option<BoostEmailCapacityPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let expires_at = emails::boost(deps(ctx)?, &actor).await?;
        Ok(Some(BoostEmailCapacityPayload { expires_at: expires_at.into() }))
    }

    /// Tries a mail server out by a mail that stands in no outbox.
    #[access(ADMIN)]
    #[graphql(complexity = "child_complexity + 100")]
    async fn send_test_email(&self, ctx: &Context<'_>, input: SendTestEmailInput) -> Result<Option<TestEmailPayload>> {
        let connection = EmailConnection {
            host: input.host,
            port: input.port,
            username: input.username,
            password: input.password.into(),
            sender_name: input.sender_name,
            sender_email: input.sender_email,
        };
        let error = emails::send_test(deps(ctx)?, actor(ctx)?, &input.recipient, connection).await?;
        Ok(Some(TestEmailPayload { succeeded: error.is_none(), error }))
    }

    /// Mails somebody an invitation to sign in.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn invite_to_sign_in(
        &self,
        ctx: &Context<'_>,
        input: InviteToSignInInput,
    ) -> Result<Option<InviteToSignInPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let client = client_info(ctx);
        emails::invite_to_sign_in(deps(ctx)?, &actor, &input.email, &input.callback_url, &client).await?;
        Ok(Some(InviteToSignInPayload { email: input.email }))
    }
}

/// A mail was put into the outbox for each user.
#[guarded(SERVER)]
pub(crate) struct SendEmailPayload {
    /// The users, at most 10,000.
    #[access(SERVER)]
    user_ids: Vec<ID>,
}

/// A mail was changed.
#[guarded(SERVER)]
pub(crate) struct EmailPayload {
    /// The mail as it is now.
    #[access(SERVER)]
    email: EmailObject,
}

/// Mails leave faster.
#[guarded(SERVER)]
pub(crate) struct BoostEmailCapacityPayload {
    /// Until then.
    #[access(SERVER)]
    expires_at: DateTime,
}

/// A mail server was tried out.
#[guarded(ADMIN)]
pub(crate) struct TestEmailPayload {
    /// Whether it took the mail.
    #[access(ADMIN)]
    succeeded: bool,
    /// Why not.
    #[access(ADMIN)]
    error: Option<String>,
}

/// An invitation is on its way.
#[guarded(SERVER)]
pub(crate) struct InviteToSignInPayload {
    /// To this address.
    #[access(SERVER)]
    email: String,
}
