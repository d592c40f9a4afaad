//! The second factor, and passkeys.

use async_graphql::{Context, InputObject};
use postern_domain::{
    Failure,
    passkeys::{self, Challenge},
    sessions::{self, OneTimeCode, SecondFactor},
};
use postern_gateway_macros::guarded;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::types::SignInPayload;
use crate::graphql::{
    error::Result,
    repeat,
    schema::{client_info, deps},
};

/// Mutations of second factors and passkeys.
#[derive(Default)]
pub(crate) struct FactorMutation;

#[guarded(root)]
impl FactorMutation {
    /// Ends a sign-in that answered `MULTI_FACTOR_AUTHENTICATION_REQUIRED`. A wrong code leaves the attempt good.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn sign_in_with_second_factor(
        &self,
        ctx: &Context<'_>,
        input: SignInWithSecondFactorInput,
    ) -> Result<Option<SignInPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let factor = match (input.totp, input.recovery_code) {
            (Some(code), None) => SecondFactor::Totp(code.into()),
            (None, Some(code)) => SecondFactor::RecoveryCode(code.into()),
            _ => return Err(Failure::schema("give one of totp and recoveryCode").into()),
        };
        let attempt = OneTimeCode::parse(&input.attempt_code)?;
        let signed_in =
            sessions::sign_in_with_second_factor(deps(ctx)?, &actor, &attempt, &factor, &client_info(ctx)).await?;
        Ok(Some(SignInPayload::new(ctx, signed_in)))
    }

    /// Makes ten codes that stand in for a lost second factor, each good once. Earlier ones are good no more.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_recovery_codes(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] input: CreateRecoveryCodesInput,
    ) -> Result<Option<RecoveryCodesPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let codes = sessions::create_recovery_codes(deps(ctx)?, &actor, &client_info(ctx)).await?;
        Ok(Some(RecoveryCodesPayload { codes }))
    }

    /// Challenges the browser to make a passkey for the signed-in user.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn start_passkey_registration(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] input: StartPasskeyRegistrationInput,
    ) -> Result<Option<PasskeyChallengePayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let challenge = passkeys::start_registration(deps(ctx)?, &actor, &client_info(ctx)).await?;
        Ok(Some(challenge.into()))
    }

    /// Registers the passkey that the browser made. It takes the place of an earlier one.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn register_passkey(
        &self,
        ctx: &Context<'_>,
        input: RegisterPasskeyInput,
    ) -> Result<Option<RegisterPasskeyPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let code = OneTimeCode::parse(&input.code)?;
        let ends = input.end_other_sessions;
        let id = passkeys::register(deps(ctx)?, &actor, &code, &input.credential, ends, &client_info(ctx)).await?;
        Ok(Some(RegisterPasskeyPayload { credential_id: id }))
    }

    /// Challenges the browser to show a passkey it has.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn start_passkey_sign_in(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] input: StartPasskeySignInInput,
    ) -> Result<Option<PasskeyChallengePayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let challenge = passkeys::start_sign_in(deps(ctx)?, &actor, &client_info(ctx)).await?;
        Ok(Some(challenge.into()))
    }

    /// Signs in by the passkey that the browser showed.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 100")]
    async fn sign_in_with_passkey(
        &self,
        ctx: &Context<'_>,
        input: SignInWithPasskeyInput,
    ) -> Result<Option<SignInPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let code = OneTimeCode::parse(&input.code)?;
        let signed_in = passkeys::sign_in(deps(ctx)?, &actor, &code, &input.credential, &client_info(ctx)).await?;
        Ok(Some(SignInPayload::new(ctx, signed_in)))
    }
}

/// A second factor for a sign-in that waits for it: one of the two codes.
#[derive(InputObject)]
pub(crate) struct SignInWithSecondFactorInput {
    /// `attempt_code` of the error.
    #[graphql(secret)]
    attempt_code: String,
    /// The six digits of the authenticator.
    #[graphql(secret)]
    totp: Option<String>,
    /// One of the recovery codes.
    #[graphql(secret)]
    recovery_code: Option<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// Nothing needs to be told.
#[derive(Default, InputObject)]
pub(crate) struct CreateRecoveryCodesInput {
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// Nothing needs to be told.
#[derive(Default, InputObject)]
pub(crate) struct StartPasskeyRegistrationInput {
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// Nothing needs to be told.
#[derive(Default, InputObject)]
pub(crate) struct StartPasskeySignInInput {
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A passkey to register.
#[derive(InputObject)]
pub(crate) struct RegisterPasskeyInput {
    /// What `navigator.credentials.create()` answered, as JSON.
    credential: Value,
    /// `code` of the challenge.
    #[graphql(secret)]
    code: String,
    /// Whether all sessions end but the caller's own.
    #[graphql(default)]
    end_other_sessions: bool,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A passkey to sign in with.
#[derive(InputObject)]
pub(crate) struct SignInWithPasskeyInput {
    /// What `navigator.credentials.get()` answered, as JSON.
    credential: Value,
    /// `code` of the challenge.
    #[graphql(secret)]
    code: String,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// Codes that were made.
#[guarded(CLIENT)]
pub(crate) struct RecoveryCodesPayload {
    /// The codes. They are told this once.
    #[access(CLIENT)]
    codes: Vec<String>,
}

/// A challenge for the browser.
#[guarded(CLIENT)]
pub(crate) struct PasskeyChallengePayload {
    /// For `navigator.credentials`, as JSON. The host name of the page takes the place of the one in it.
    #[access(CLIENT)]
    options: Value,
    /// Goes along with the answer.
    #[access(CLIENT)]
    code: String,
}

impl From<Challenge> for PasskeyChallengePayload {
    fn from(challenge: Challenge) -> Self {
        Self { options: challenge.options, code: challenge.code.expose_secret().to_owned() }
    }
}

/// A passkey that was registered.
#[guarded(CLIENT)]
pub(crate) struct RegisterPasskeyPayload {
    /// Its id, in base64url.
    #[access(CLIENT)]
    credential_id: String,
}
