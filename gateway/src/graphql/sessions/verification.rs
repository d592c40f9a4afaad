//! Verifying that a user holds an e-mail address.

use async_graphql::{Context, ID, InputObject};
use postern_domain::{
    ContactChannelId,
    sessions::{self, LinkTarget, OneTimeCode},
};
use postern_gateway_macros::guarded;

use crate::graphql::{
    contact_channels::{mutation::owner, types::ContactChannelObject},
    error::Result,
    repeat,
    scalars::{IntoId, parse_id},
    schema::{client_info, deps},
};

/// Mutations that verify addresses.
#[derive(Default)]
pub(crate) struct VerificationMutation;

#[guarded(root)]
impl VerificationMutation {
    /// Sends a mail with a link that verifies a contact channel: of the signed-in user, or for servers of any.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn send_verification_email(
        &self,
        ctx: &Context<'_>,
        input: SendVerificationEmailInput,
    ) -> Result<Option<SendVerificationEmailPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id: ContactChannelId = parse_id(&input.contact_channel_id, "contactChannelId")?;
        let deps = deps(ctx)?;
        let target = LinkTarget::or_own_page(input.callback_url);
        sessions::send_verification(deps, &actor, owner(deps, &actor, id).await?, id, target, &client_info(ctx))
            .await?;
        Ok(Some(SendVerificationEmailPayload { contact_channel_id: id.into_id() }))
    }

    /// Verifies the address that a code was sent to. Who brings the code does not matter.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn verify_email(&self, ctx: &Context<'_>, input: VerifyEmailInput) -> Result<Option<VerifyEmailPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let channel = sessions::verify_email(deps(ctx)?, &actor, &OneTimeCode::parse(&input.code)?).await?;
        Ok(Some(VerifyEmailPayload { channel }))
    }
}

/// Which address to verify.
#[derive(InputObject)]
pub(crate) struct SendVerificationEmailInput {
    /// The contact channel.
    contact_channel_id: ID,
    /// Where the link of the mail leads; the project must trust it. A page of this server when not given.
    callback_url: Option<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// Proof of holding an address.
#[derive(InputObject)]
pub(crate) struct VerifyEmailInput {
    /// The code of the mail.
    #[graphql(secret)]
    code: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A mail that is on its way.
#[guarded(CLIENT)]
pub(crate) struct SendVerificationEmailPayload {
    /// The contact channel that it verifies.
    #[access(CLIENT)]
    contact_channel_id: ID,
}

/// An address that was verified.
pub(crate) struct VerifyEmailPayload {
    channel: postern_domain::users::channels::ContactChannel,
}

/// An address that was verified.
#[guarded(CLIENT, owner = self.channel.user_id)]
impl VerifyEmailPayload {
    /// Always true: what fails is an error.
    #[access(CLIENT)]
    fn success(&self) -> bool {
        true
    }

    /// The contact channel, for the user whose it is.
    #[access(CLIENT, self)]
    fn contact_channel(&self) -> Option<ContactChannelObject> {
        Some(ContactChannelObject(self.channel.clone()))
    }
}
