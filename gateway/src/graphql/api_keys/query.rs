//! Reading API keys, and asking whether one is good.

use async_graphql::{Context, ID};
use postern_domain::{
    api_keys::{self, KeyOwner},
    identity,
};
use postern_gateway_macros::guarded;

use super::types::{ApiKeyObject, ApiKeyType};
use crate::graphql::{
    connection::{Connection, connection_of, page_cost},
    error::{Error, Result},
    scalars::parse_id,
    schema::{actor, deps},
};

/// Queries of API keys.
#[derive(Default)]
pub(crate) struct ApiKeyQuery;

#[guarded(root)]
impl ApiKeyQuery {
    /// The API keys of a user or of a team, newest first, revoked and expired ones included. A client sees those of its own
    /// user, and those of a team in which it holds `$manage_api_keys`.
    #[access(CLIENT, self)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn api_keys(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user; the signed-in one when neither user nor team is given.")] user_id: Option<ID>,
        #[graphql(desc = "The team.")] team_id: Option<ID>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<ApiKeyObject>>> {
        let actor = actor(ctx)?;
        let owner = match (user_id, team_id) {
            (Some(_), Some(_)) => return Err(Error::bad_input("Give `userId` or `teamId`, not both.")),
            (Some(id), None) => KeyOwner::User(parse_id(&id, "userId")?),
            (None, Some(id)) => KeyOwner::Team(parse_id(&id, "teamId")?),
            (None, None) => KeyOwner::User(identity::require_own_user(actor)?.id),
        };
        let found = api_keys::list(deps(ctx)?, actor, owner).await?;
        connection_of(found, first, after.as_deref(), |key| key.id.0, ApiKeyObject).map(Some)
    }

    /// The API key that is written so, if it is good now; else the error says why not.
    #[access(SERVER)]
    async fn check_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(secret, desc = "The key in full, as somebody showed it.")] key: String,
        #[graphql(name = "type", desc = "Whose it must be; anybody's when not given.")] kind: Option<ApiKeyType>,
    ) -> Result<Option<ApiKeyObject>> {
        let found = api_keys::check(deps(ctx)?, actor(ctx)?, kind.map(Into::into), &key).await?;
        Ok(Some(ApiKeyObject(found)))
    }
}
