//! Making, changing and revoking API keys.

use async_graphql::{Context, ID, InputObject};
use postern_domain::{
    api_keys::{self, ApiKeyChange, CreatedApiKey, KeyOwner, NewApiKey},
    identity,
};
use postern_gateway_macros::guarded;

use super::types::ApiKeyObject;
use crate::graphql::{
    error::Result,
    repeat,
    scalars::{DateTime, parse_id},
    schema::deps,
};

/// Mutations of API keys.
#[derive(Default)]
pub(crate) struct ApiKeyMutation;

#[guarded(root)]
impl ApiKeyMutation {
    /// Makes an API key of a user: of the signed-in one, or for servers of any.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_user_api_key(
        &self,
        ctx: &Context<'_>,
        input: CreateUserApiKeyInput,
    ) -> Result<Option<CreateApiKeyPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let user_id = match &input.user_id {
            Some(id) => parse_id(id, "userId")?,
            None => identity::require_own_user(&actor)?.id,
        };
        let new = NewApiKey {
            owner: KeyOwner::User(user_id),
            description: input.description,
            expires_at: input.expires_at.map(|time| time.0),
            is_public: input.is_public,
        };
        Ok(Some(api_keys::create(deps(ctx)?, &actor, new).await?.into()))
    }

    /// Makes an API key of a team. A client needs `$manage_api_keys` there.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_team_api_key(
        &self,
        ctx: &Context<'_>,
        input: CreateTeamApiKeyInput,
    ) -> Result<Option<CreateApiKeyPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let new = NewApiKey {
            owner: KeyOwner::Team(parse_id(&input.team_id, "teamId")?),
            description: input.description,
            expires_at: input.expires_at.map(|time| time.0),
            is_public: input.is_public,
        };
        Ok(Some(api_keys::create(deps(ctx)?, &actor, new).await?.into()))
    }

    /// Changes what is written about an API key. A client needs to own it, or `$manage_api_keys` in its team.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_api_key(&self, ctx: &Context<'_>, input: UpdateApiKeyInput) -> Result<Option<ApiKeyPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id = parse_id(&input.id, "id")?;
        let change = ApiKeyChange { description: input.description, revoke: false };
        Ok(Some(api_keys::update(deps(ctx)?, &actor, None, id, change).await?.into()))
    }

    /// Refuses an API key from now on, for ever. A client needs to own it, or `$manage_api_keys` in its team.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn revoke_api_key(&self, ctx: &Context<'_>, input: RevokeApiKeyInput) -> Result<Option<ApiKeyPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id = parse_id(&input.id, "id")?;
        let change = ApiKeyChange { description: None, revoke: true };
        Ok(Some(api_keys::update(deps(ctx)?, &actor, None, id, change).await?.into()))
    }
}

/// An API key of a user to make.
#[derive(InputObject)]
pub(crate) struct CreateUserApiKeyInput {
    /// The user; the signed-in one when not given.
    user_id: Option<ID>,
    /// What it is for, at most 1,000 characters.
    description: String,
    /// From when on it is refused; never when not given.
    expires_at: Option<DateTime>,
    /// Whether anybody may see it. Such a key proves nothing.
    #[graphql(default)]
    is_public: bool,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// An API key of a team to make.
#[derive(InputObject)]
pub(crate) struct CreateTeamApiKeyInput {
    /// The team.
    team_id: ID,
    /// What it is for, at most 1,000 characters.
    description: String,
    /// From when on it is refused; never when not given.
    expires_at: Option<DateTime>,
    /// Whether anybody may see it. Such a key proves nothing.
    #[graphql(default)]
    is_public: bool,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// What to change of an API key; what is not given stays.
#[derive(InputObject)]
pub(crate) struct UpdateApiKeyInput {
    /// The key.
    id: ID,
    /// What it is for, at most 1,000 characters.
    description: Option<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// An API key to revoke.
#[derive(InputObject)]
pub(crate) struct RevokeApiKeyInput {
    /// The key.
    id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// An API key that was made.
#[guarded(CLIENT)]
pub(crate) struct CreateApiKeyPayload {
    /// The key as it can be read later.
    #[access(CLIENT)]
    api_key: ApiKeyObject,
    /// The key in full. It is shown here and never again.
    #[access(CLIENT)]
    value: String,
}

impl From<CreatedApiKey> for CreateApiKeyPayload {
    fn from(created: CreatedApiKey) -> Self {
        Self { api_key: ApiKeyObject(created.api_key), value: created.value }
    }
}

/// An API key that was changed or revoked.
#[guarded(CLIENT)]
pub(crate) struct ApiKeyPayload {
    /// The key as it is now.
    #[access(CLIENT)]
    api_key: ApiKeyObject,
}

impl From<api_keys::ApiKey> for ApiKeyPayload {
    fn from(api_key: api_keys::ApiKey) -> Self {
        Self { api_key: ApiKeyObject(api_key) }
    }
}
