//! Signing up and in.

use async_graphql::{Context, InputObject};
use postern_domain::sessions::{self, LinkTarget, PasswordSignUp};
use postern_gateway_macros::guarded;

use super::{
    challenge::BotChallengeInput,
    types::{RefreshSessionPayload, SignInPayload},
};
use crate::graphql::{
    error::Result,
    repeat,
    schema::{actor, client_info, deps},
};

/// Mutations that sign somebody in.
#[derive(Default)]
pub(crate) struct SignInMutation;

#[guarded(root)]
impl SignInMutation {
    /// Makes an account with a password and signs its user in. An anonymous caller becomes that user.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 100")]
    async fn sign_up_with_password(
        &self,
        ctx: &Context<'_>,
        input: SignUpWithPasswordInput,
    ) -> Result<Option<SignInPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let target = LinkTarget::or_own_page(input.verification_callback_url);
        let sign_up = PasswordSignUp {
            email: input.email,
            password: input.password.into(),
            verification: input.send_verification_email.then_some(target),
            invite_code: input.invite_code.map(Into::into),
            challenge: input.bot_challenge.map(Into::into).unwrap_or_default(),
        };
        let signed_in = sessions::sign_up_with_password(deps(ctx)?, &actor, sign_up, &client_info(ctx)).await?;
        Ok(Some(SignInPayload::new(ctx, signed_in)))
    }

    /// Signs a user in by password. `MULTI_FACTOR_AUTHENTICATION_REQUIRED` with an `attempt_code` asks for the second
    /// factor.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 100")]
    async fn sign_in_with_password(
        &self,
        ctx: &Context<'_>,
        input: SignInWithPasswordInput,
    ) -> Result<Option<SignInPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let (email, password) = (input.email, input.password.into());
        let signed_in =
            sessions::sign_in_with_password(deps(ctx)?, &actor, &email, &password, &client_info(ctx)).await?;
        Ok(Some(SignInPayload::new(ctx, signed_in)))
    }

    /// Makes a user without any credentials and signs it in.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn sign_up_anonymously(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] input: SignUpAnonymouslyInput,
    ) -> Result<Option<SignInPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let signed_in = sessions::sign_up_anonymously(deps(ctx)?, &actor, &client_info(ctx)).await?;
        Ok(Some(SignInPayload::new(ctx, signed_in)))
    }

    /// Makes an access token from a refresh token, as often as wanted.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        input: RefreshSessionInput,
    ) -> Result<Option<RefreshSessionPayload>> {
        let (project_id, token) = (&actor(ctx)?.project_id, input.refresh_token.into());
        let refreshed = sessions::refresh(deps(ctx)?, project_id, &token, &client_info(ctx)).await?;
        Ok(Some(RefreshSessionPayload::new(ctx, refreshed)))
    }
}

/// Who signs up.
#[derive(InputObject)]
pub(crate) struct SignUpWithPasswordInput {
    /// The e-mail address.
    email: String,
    /// The password, 8 to 70 characters.
    #[graphql(secret)]
    password: String,
    /// Whether a mail asks to verify the address.
    #[graphql(default = true)]
    send_verification_email: bool,
    /// Where the link of that mail leads; the project must trust it. A page of this server when not given.
    verification_callback_url: Option<String>,
    /// Where signing up needs an invitation: its code.
    #[graphql(secret)]
    invite_code: Option<String>,
    /// What shows that it is no program, where the installation wants that.
    bot_challenge: Option<BotChallengeInput>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// Who signs in.
#[derive(InputObject)]
pub(crate) struct SignInWithPasswordInput {
    /// The e-mail address.
    email: String,
    /// The password.
    #[graphql(secret)]
    password: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// Nothing needs to be told.
#[derive(Default, InputObject)]
pub(crate) struct SignUpAnonymouslyInput {
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// The session to go on with.
#[derive(InputObject)]
pub(crate) struct RefreshSessionInput {
    /// As signing in answered it.
    #[graphql(secret)]
    refresh_token: String,
}
