//! Reading sessions.

use async_graphql::{Context, ID};
use postern_domain::{identity, sessions};
use postern_gateway_macros::guarded;

use super::types::SessionObject;
use crate::graphql::{
    connection::{Connection, connection_of, page_cost},
    error::Result,
    scalars::parse_id,
    schema::{actor, deps},
};

/// Queries of sessions.
#[derive(Default)]
pub(crate) struct SessionQuery;

#[guarded(root)]
impl SessionQuery {
    /// The sessions of a user, newest first: of the signed-in user, or for servers of any.
    #[access(CLIENT, self)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user; the signed-in one when not given.")] user_id: Option<ID>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<SessionObject>>> {
        let actor = actor(ctx)?;
        let user_id = match user_id {
            Some(id) => parse_id(&id, "userId")?,
            None => identity::require_own_user(actor)?.id,
        };
        let sessions = sessions::list(deps(ctx)?, actor, user_id).await?;
        connection_of(sessions, first, after.as_deref(), |session| session.id.0, SessionObject).map(Some)
    }
}
