//! Signing in with other sites, and linking their accounts.

use async_graphql::{Context, Enum, InputObject};
use postern_domain::oauth::{self, Departing, Purpose};
use postern_gateway_macros::guarded;

use super::{challenge::BotChallengeInput, types::SignInPayload};
use crate::graphql::{
    error::Result,
    repeat,
    schema::{actor, client_info, deps},
};

/// Mutations of visits to other sites.
#[derive(Default)]
pub(crate) struct OAuthMutation;

#[guarded(root)]
impl OAuthMutation {
    /// Begins a visit to another site, from where the browser comes back to the application with a code for
    /// `exchangeAuthorizationCode` (RFC 6749, RFC 7636). For a link the caller is the user who gets the account; an anonymous
    /// caller who signs in becomes a regular user.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn authorize_with_provider(
        &self,
        ctx: &Context<'_>,
        input: AuthorizeWithProviderInput,
    ) -> Result<Option<AuthorizeWithProviderPayload>> {
        let departing = Departing {
            provider: input.provider_key,
            purpose: input.purpose.into(),
            token: None,
            redirect_uri: input.redirect_uri,
            state: input.state,
            code_challenge: input.code_challenge,
            code_challenge_method: None,
            scopes: input.scopes.map(|scopes| scopes.join(" ")),
            error_redirect_url: input.error_redirect_url,
            after_callback_redirect_url: input.after_callback_redirect_url,
            challenge: input.bot_challenge.map(Into::into).unwrap_or_default(),
            has_cookie: false,
        };
        let travel = oauth::depart(deps(ctx)?, actor(ctx)?, departing, &client_info(ctx)).await?;
        Ok(Some(AuthorizeWithProviderPayload { redirect_url: travel.location.into() }))
    }

    /// Signs in whoever has an ID token that one of the project's native apps got from Apple.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 100")]
    async fn sign_in_with_apple(
        &self,
        ctx: &Context<'_>,
        input: SignInWithAppleInput,
    ) -> Result<Option<SignInPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let token = input.id_token.into();
        let signed_in = oauth::sign_in_with_apple(deps(ctx)?, &actor, &token, &client_info(ctx)).await?;
        Ok(Some(SignInPayload::new(ctx, signed_in)))
    }
}

/// What somebody goes to another site for.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(crate) enum OAuthPurpose {
    /// To sign in or up with an account there.
    Authenticate,
    /// To link an account there to the caller.
    Link,
}

impl From<OAuthPurpose> for Purpose {
    fn from(purpose: OAuthPurpose) -> Self {
        match purpose {
            OAuthPurpose::Authenticate => Self::Authenticate,
            OAuthPurpose::Link => Self::Link,
        }
    }
}

/// A visit to begin.
#[derive(InputObject)]
pub(crate) struct AuthorizeWithProviderInput {
    /// Key of the provider in the project's config.
    provider_key: String,
    /// What for.
    purpose: OAuthPurpose,
    /// Where the browser goes in the end; the project must trust it.
    redirect_uri: String,
    /// By which the application knows its own request again, 1 to 2,048 characters.
    state: String,
    /// SHA-256 of its verifier, in base64url.
    code_challenge: String,
    /// What the user is asked for besides who they are.
    scopes: Option<Vec<String>>,
    /// Where errors go when `redirectUri` is not trusted.
    error_redirect_url: Option<String>,
    /// Where the application goes on; the project must trust it.
    after_callback_redirect_url: Option<String>,
    /// What shows that it is no program, where the installation wants that.
    bot_challenge: Option<BotChallengeInput>,
}

/// Who comes from one of Apple's devices.
#[derive(InputObject)]
pub(crate) struct SignInWithAppleInput {
    /// As the app got it.
    #[graphql(secret)]
    id_token: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// Where the browser goes next.
#[guarded(CLIENT)]
pub(crate) struct AuthorizeWithProviderPayload {
    /// The URL of the other site.
    #[access(CLIENT)]
    redirect_url: String,
}
