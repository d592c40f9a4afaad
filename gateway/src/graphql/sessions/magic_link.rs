//! Signing in by a code that is mailed.

use async_graphql::{Context, InputObject};
use postern_domain::sessions::{self, LinkTarget, OneTimeCode};
use postern_gateway_macros::guarded;
use secrecy::ExposeSecret;

use super::{challenge::BotChallengeInput, types::SignInPayload};
use crate::graphql::{
    error::Result,
    repeat,
    schema::{client_info, deps},
};

/// Mutations of mailed codes.
#[derive(Default)]
pub(crate) struct MagicLinkMutation;

#[guarded(root)]
impl MagicLinkMutation {
    /// Mails a link and a code to sign in with. Whoever has no account gets one by using them, where people may sign up.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn send_magic_link(&self, ctx: &Context<'_>, input: SendMagicLinkInput) -> Result<Option<MagicLinkPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let target = LinkTarget::or_own_page(input.callback_url);
        let challenge = input.bot_challenge.map(Into::into).unwrap_or_default();
        let sent = sessions::send_sign_in_code(deps(ctx)?, &actor, &input.email, target, &challenge, &client_info(ctx))
            .await?;
        Ok(Some(MagicLinkPayload { nonce: sent.nonce.expose_secret().to_owned() }))
    }

    /// Signs in by the code of a link, or by the six characters of the mail with the nonce behind them. An anonymous caller
    /// becomes the new user, if the address has none yet.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 100")]
    async fn sign_in_with_magic_link(
        &self,
        ctx: &Context<'_>,
        input: SignInWithMagicLinkInput,
    ) -> Result<Option<SignInPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let code = OneTimeCode::parse(&input.code)?;
        let signed_in = sessions::sign_in_with_magic_link(deps(ctx)?, &actor, &code, &client_info(ctx)).await?;
        Ok(Some(SignInPayload::new(ctx, signed_in)))
    }
}

/// Who is to get a code.
#[derive(InputObject)]
pub(crate) struct SendMagicLinkInput {
    /// The e-mail address.
    email: String,
    /// Where the link of the mail leads; the project must trust it. A page of this server when not given, which shows the
    /// code.
    callback_url: Option<String>,
    /// What shows that it is no program, where the installation wants that.
    bot_challenge: Option<BotChallengeInput>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A code to sign in with.
#[derive(InputObject)]
pub(crate) struct SignInWithMagicLinkInput {
    /// 45 characters: the code of the link, or the six of the mail and the nonce.
    #[graphql(secret)]
    code: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A code that is on its way.
#[guarded(CLIENT)]
pub(crate) struct MagicLinkPayload {
    /// The code but for its first six characters, which the mail shows.
    #[access(CLIENT)]
    nonce: String,
}
