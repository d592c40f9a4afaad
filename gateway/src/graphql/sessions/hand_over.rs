//! Handing sessions over: to programs without a browser, and to other origins.

use async_graphql::{Context, Enum, InputObject};
use postern_domain::{
    api_keys,
    authorization_codes::{self, Exchange, HandOver},
    cli_logins::{self, CliSession, Progress},
};
use postern_gateway_macros::guarded;
use secrecy::ExposeSecret;

use super::types::SignInPayload;
use crate::graphql::{
    error::Result,
    repeat,
    scalars::DateTime,
    schema::{actor, client_info, deps},
};

/// Mutations that hand sessions over.
#[derive(Default)]
pub(crate) struct HandOverMutation;

#[guarded(root)]
impl HandOverMutation {
    /// Begins the login of a program without a browser, which somebody completes in one.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn start_cli_login(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] input: StartCliLoginInput,
    ) -> Result<Option<StartCliLoginPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let millis = input.expires_in_seconds.map(|seconds| seconds.saturating_mul(1000));
        let anonymous = input.anonymous_refresh_token.map(Into::into);
        let started = cli_logins::start(deps(ctx)?, &actor, millis, anonymous.as_ref(), &client_info(ctx)).await?;
        Ok(Some(StartCliLoginPayload {
            polling_code: started.polling_code.expose_secret().to_owned(),
            login_code: started.login_code.expose_secret().to_owned(),
            expires_at: started.expires_at.into(),
        }))
    }

    /// Says how far the login of a program is; once, with the session.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn poll_cli_login(&self, ctx: &Context<'_>, input: PollCliLoginInput) -> Result<Option<PollCliLoginPayload>> {
        let progress = cli_logins::poll(deps(ctx)?, actor(ctx)?, &input.polling_code, &client_info(ctx)).await?;
        let (status, refresh_token) = match progress {
            Progress::Waiting => (CliLoginStatus::Waiting, None),
            Progress::Expired => (CliLoginStatus::Expired, None),
            Progress::Used => (CliLoginStatus::Used, None),
            Progress::Success(token) => (CliLoginStatus::Success, Some(token.expose_secret().to_owned())),
        };
        Ok(Some(PollCliLoginPayload { status, refresh_token }))
    }

    /// Says whether the program has an anonymous session that can be claimed.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn inspect_cli_login(
        &self,
        ctx: &Context<'_>,
        input: InspectCliLoginInput,
    ) -> Result<Option<InspectCliLoginPayload>> {
        let session = cli_logins::inspect(deps(ctx)?, actor(ctx)?, &input.login_code).await?;
        Ok(Some(InspectCliLoginPayload { has_anonymous_session: session == CliSession::Anonymous }))
    }

    /// Takes the anonymous session of the program over, once: whoever signs up by it keeps what the program has done.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn claim_cli_login(&self, ctx: &Context<'_>, input: ClaimCliLoginInput) -> Result<Option<SignInPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let claimed = cli_logins::claim(deps(ctx)?, &actor, &input.login_code, &client_info(ctx)).await?;
        Ok(Some(SignInPayload::new(ctx, claimed)))
    }

    /// Hands the browser's session to the program.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn complete_cli_login(
        &self,
        ctx: &Context<'_>,
        input: CompleteCliLoginInput,
    ) -> Result<Option<CompleteCliLoginPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let token = input.refresh_token.into();
        cli_logins::complete(deps(ctx)?, &actor, &input.login_code, Some(&token), &client_info(ctx)).await?;
        Ok(Some(CompleteCliLoginPayload { success: true }))
    }

    /// Hands the caller's session to the application's other origin: sends the browser there with a code (RFC 6749, RFC 7636).
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn authorize_cross_domain(
        &self,
        ctx: &Context<'_>,
        input: AuthorizeCrossDomainInput,
    ) -> Result<Option<AuthorizeCrossDomainPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let token = input.refresh_token.into();
        let hand_over = HandOver {
            redirect_uri: input.redirect_uri,
            state: input.state,
            code_challenge: input.code_challenge,
            code_challenge_method: None,
            after_callback_redirect_url: input.after_callback_redirect_url,
        };
        let url =
            authorization_codes::hand_over(deps(ctx)?, &actor, Some(&token), hand_over, &client_info(ctx)).await?;
        Ok(Some(AuthorizeCrossDomainPayload { redirect_url: url.into() }))
    }

    /// Takes the session over that a code stands for.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn exchange_authorization_code(
        &self,
        ctx: &Context<'_>,
        input: ExchangeAuthorizationCodeInput,
    ) -> Result<Option<ExchangeAuthorizationCodePayload>> {
        let exchange = Exchange {
            code: input.code,
            redirect_uri: Some(input.redirect_uri),
            code_verifier: Some(input.code_verifier.into()),
        };
        let actor = actor(ctx)?;
        api_keys::require_no_key(actor)?;
        let exchanged =
            authorization_codes::exchange(deps(ctx)?, &actor.project_id, exchange, &client_info(ctx)).await?;
        Ok(Some(ExchangeAuthorizationCodePayload {
            sign_in: SignInPayload::new(ctx, exchanged.signed_in),
            after_callback_redirect_url: exchanged.after_callback_redirect_url,
        }))
    }
}

/// A login of a program to begin.
#[derive(Default, InputObject)]
pub(crate) struct StartCliLoginInput {
    /// How long it waits, at most a day; two hours when not given.
    expires_in_seconds: Option<i64>,
    /// That of an anonymous session which the program has.
    #[graphql(secret)]
    anonymous_refresh_token: Option<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A login of a program to ask about.
#[derive(InputObject)]
pub(crate) struct PollCliLoginInput {
    /// As beginning it answered.
    #[graphql(secret)]
    polling_code: String,
}

/// A login of a program to look at.
#[derive(InputObject)]
pub(crate) struct InspectCliLoginInput {
    /// That of the link.
    #[graphql(secret)]
    login_code: String,
}

/// A login of a program whose anonymous session to take.
#[derive(InputObject)]
pub(crate) struct ClaimCliLoginInput {
    /// That of the link.
    #[graphql(secret)]
    login_code: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A login of a program to complete.
#[derive(InputObject)]
pub(crate) struct CompleteCliLoginInput {
    /// That of the link.
    #[graphql(secret)]
    login_code: String,
    /// That of the session which the program gets.
    #[graphql(secret)]
    refresh_token: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// An origin that is to get the session.
#[derive(InputObject)]
pub(crate) struct AuthorizeCrossDomainInput {
    /// Where the browser goes; the project must trust it.
    redirect_uri: String,
    /// By which the application there knows its own request again, 1 to 512 characters.
    state: String,
    /// SHA-256 of its verifier, in base64url.
    code_challenge: String,
    /// Where the application goes on; the project must trust it.
    after_callback_redirect_url: Option<String>,
    /// That of the caller's session.
    #[graphql(secret)]
    refresh_token: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A code to use.
#[derive(InputObject)]
pub(crate) struct ExchangeAuthorizationCodeInput {
    /// The code.
    #[graphql(secret)]
    code: String,
    /// Where it was sent.
    redirect_uri: String,
    /// What the challenge was made of.
    #[graphql(secret)]
    code_verifier: String,
}

/// A login that was begun.
#[guarded(CLIENT)]
pub(crate) struct StartCliLoginPayload {
    /// By which the program asks how far it is.
    #[access(CLIENT)]
    polling_code: String,
    /// For the link that the program shows.
    #[access(CLIENT)]
    login_code: String,
    /// From then on it is refused.
    #[access(CLIENT)]
    expires_at: DateTime,
}

/// How far the login of a program is.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(crate) enum CliLoginStatus {
    /// Nobody has completed it.
    Waiting,
    /// Its time is over.
    Expired,
    /// Somebody has completed it; told once.
    Success,
    /// It was told before.
    Used,
}

/// How far a login is.
#[guarded(CLIENT)]
pub(crate) struct PollCliLoginPayload {
    /// How far.
    #[access(CLIENT)]
    status: CliLoginStatus,
    /// The session, told once.
    #[access(CLIENT)]
    refresh_token: Option<String>,
}

/// What a login has to hand over.
#[guarded(CLIENT)]
pub(crate) struct InspectCliLoginPayload {
    /// Whether the program has an anonymous session that can be claimed.
    #[access(CLIENT)]
    has_anonymous_session: bool,
}

/// What became of it.
#[guarded(CLIENT)]
pub(crate) struct CompleteCliLoginPayload {
    /// Always true: what fails is an error.
    #[access(CLIENT)]
    success: bool,
}

/// Where the browser goes next.
#[guarded(CLIENT)]
pub(crate) struct AuthorizeCrossDomainPayload {
    /// The URL, with code and state.
    #[access(CLIENT)]
    redirect_url: String,
}

/// A session that was taken over.
#[guarded(CLIENT)]
pub(crate) struct ExchangeAuthorizationCodePayload {
    /// The session.
    #[access(CLIENT)]
    sign_in: SignInPayload,
    /// Where the application goes on.
    #[access(CLIENT)]
    after_callback_redirect_url: Option<String>,
}
