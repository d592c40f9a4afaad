//! Reading linked accounts.

use async_graphql::{Context, ID};
use postern_domain::{identity, linked_accounts};
use postern_gateway_macros::guarded;

use super::types::LinkedAccountObject;
use crate::graphql::{
    connection::{Connection, connection_of, page_cost},
    error::Result,
    scalars::parse_id,
    schema::{actor, deps},
};

/// Queries of linked accounts.
#[derive(Default)]
pub(crate) struct LinkedAccountQuery;

#[guarded(root)]
impl LinkedAccountQuery {
    /// The accounts of other sites that a user has linked, oldest first. A client sees those of its own user.
    #[access(CLIENT, self)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn linked_accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user; the signed-in one when not given.")] user_id: Option<ID>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<LinkedAccountObject>>> {
        let actor = actor(ctx)?;
        let user_id = match &user_id {
            Some(id) => parse_id(id, "userId")?,
            None => identity::require_own_user(actor)?.id,
        };
        let found = linked_accounts::list(deps(ctx)?, actor, Some(user_id)).await?;
        connection_of(found, first, after.as_deref(), |account| account.id.0, LinkedAccountObject).map(Some)
    }
}
