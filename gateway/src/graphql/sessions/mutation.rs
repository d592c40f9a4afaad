//! Beginning and ending sessions.

use async_graphql::{Context, ID, InputObject};
use postern_domain::{
    SessionId, identity,
    sessions::{self, NewSession},
};
use postern_gateway_macros::guarded;

use super::types::SignInPayload;
use crate::graphql::{
    error::Result,
    repeat,
    scalars::{IntoId, parse_id},
    schema::{actor, client_info, deps},
};

/// Mutations of sessions.
#[derive(Default)]
pub(crate) struct SessionMutation;

#[guarded(root)]
impl SessionMutation {
    /// Begins a session for a user.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_session(&self, ctx: &Context<'_>, input: CreateSessionInput) -> Result<Option<SignInPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let new = NewSession {
            user_id: parse_id(&input.user_id, "userId")?,
            expires_in_millis: input.expires_in_seconds.map(|seconds| seconds.saturating_mul(1000)),
            is_impersonation: input.is_impersonation,
        };
        let signed_in = sessions::create(deps(ctx)?, &actor, new, &client_info(ctx)).await?;
        Ok(Some(SignInPayload::new(ctx, signed_in)))
    }

    /// Ends the session of the caller's access token.
    #[access(CLIENT)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn sign_out(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] input: SignOutInput,
    ) -> Result<Option<EndSessionPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        sessions::sign_out(deps(ctx)?, &actor).await?;
        Ok(actor.user.map(|user| EndSessionPayload { id: user.session_id.into_id() }))
    }

    /// Ends another session than the caller's own.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn revoke_session(&self, ctx: &Context<'_>, input: RevokeSessionInput) -> Result<Option<EndSessionPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id: SessionId = parse_id(&input.id, "id")?;
        sessions::revoke(deps(ctx)?, &actor, id).await?;
        Ok(Some(EndSessionPayload { id: id.into_id() }))
    }

    /// Ends all sessions of a user, the caller's own included.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn revoke_all_sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] input: RevokeAllSessionsInput,
    ) -> Result<Option<RevokeAllSessionsPayload>> {
        let user_id = match &input.user_id {
            Some(id) => parse_id(id, "userId")?,
            None => identity::require_own_user(actor(ctx)?)?.id,
        };
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let count = sessions::revoke_all(deps(ctx)?, &actor, user_id).await?;
        Ok(Some(RevokeAllSessionsPayload { count }))
    }
}

/// A session to begin.
#[derive(InputObject)]
pub(crate) struct CreateSessionInput {
    /// For whom.
    user_id: ID,
    /// How long it lives; 365 days when not given.
    expires_in_seconds: Option<i64>,
    /// Whether it is made to act as the user; then it is shown to administrators only.
    #[graphql(default)]
    is_impersonation: bool,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// The caller's own session, to be ended.
#[derive(Default, InputObject)]
pub(crate) struct SignOutInput {
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A session to end.
#[derive(InputObject)]
pub(crate) struct RevokeSessionInput {
    /// The session.
    id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// Whose sessions to end.
#[derive(Default, InputObject)]
pub(crate) struct RevokeAllSessionsInput {
    /// The user; the signed-in one when not given.
    user_id: Option<ID>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A session that was ended.
#[guarded(CLIENT)]
pub(crate) struct EndSessionPayload {
    /// The id that the session had.
    #[access(CLIENT)]
    id: ID,
}

/// Sessions that were ended.
#[guarded(CLIENT)]
pub(crate) struct RevokeAllSessionsPayload {
    /// How many there were.
    #[access(CLIENT)]
    count: u64,
}
