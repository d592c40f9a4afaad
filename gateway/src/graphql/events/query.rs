//! Reading the log by pages.

use std::sync::Arc;

use async_graphql::{Context, ID};
use postern_domain::events::{self, EventFilter};
use postern_gateway_macros::guarded;

use super::types::{EventObject, cursor, kinds, position};
use crate::graphql::{
    connection::{Connection, page_cost, page_size},
    error::Result,
    scalars::parse_id,
    schema::{actor, deps},
};

/// Queries of the event log.
#[derive(Default)]
pub(crate) struct EventQuery;

#[guarded(root)]
impl EventQuery {
    /// What changed, oldest first. Without `after` from the oldest event that is kept. An `after` older than that is
    /// refused with `CURSOR_EXPIRED`.
    #[access(SERVER)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last event that was read.")] after: Option<String>,
        #[graphql(desc = "Only events of these types.")] types: Option<Vec<String>>,
        #[graphql(desc = "Only events about this user.")] user_id: Option<ID>,
    ) -> Result<Option<Connection<EventObject>>> {
        let size = page_size(first)?;
        let after = position(after.as_deref())?;
        let user_id = user_id.map(|id| parse_id(&id, "userId")).transpose()?;
        let filter = EventFilter { kinds: kinds(types.as_deref())?, user_id, team_id: None };
        let page = events::read(deps(ctx)?, &actor(ctx)?.project_id, after, &filter, size.max(1)).await?;
        let taken = page.events.into_iter().take(usize::try_from(size).unwrap_or(usize::MAX));
        let edges: Result<Vec<_>> =
            taken.map(|event| Ok((cursor(event.position)?, EventObject(Arc::new(event))))).collect();
        Ok(Some(Connection::new(edges?, page.has_more, after.is_some())))
    }
}
