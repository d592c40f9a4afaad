//! Reading teams and their members.

use std::sync::Arc;

use async_graphql::{Context, ID};
use postern_domain::teams::{self, ListTeams, Team, TeamStart};
use postern_gateway_macros::guarded;

use super::types::{MemberPlace, Place, TeamMemberObject, TeamObject};
use crate::graphql::{
    connection::{Connection, Count, decode_cursor, encode_cursor, page_cost, page_size},
    error::Result,
    scalars::parse_id,
    schema::{actor, deps},
};

/// Queries of teams.
#[derive(Default)]
pub(crate) struct TeamQuery;

#[guarded(root)]
impl TeamQuery {
    /// A team by its id. A client sees the teams its user belongs to.
    #[access(CLIENT, self, keys = ANY)]
    async fn team(&self, ctx: &Context<'_>, id: ID) -> Result<Option<TeamObject>> {
        Ok(Some(TeamObject(teams::get(deps(ctx)?, actor(ctx)?, parse_id(&id, "id")?).await?)))
    }

    /// Teams, oldest first: those of a user, or for servers that name none, those of the project.
    #[access(CLIENT, self, keys = ANY)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn teams(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only teams of this user; a client's own when not given.")] user_id: Option<ID>,
        #[graphql(desc = "Case-insensitive part of the name, or exactly an id.")] query: Option<String>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<TeamObject>>> {
        let (deps, actor) = (deps(ctx)?, actor(ctx)?);
        let user_id = user_id.map(|id| parse_id(&id, "userId")).transpose()?;
        let after = after.as_deref().map(decode_cursor::<Place>).transpose()?;
        let size = page_size(first)?;
        let input = ListTeams {
            user_id: if actor.is_server() { user_id } else { user_id.or(actor.user_id()) },
            query,
            start: after.map_or(TeamStart::Beginning, |place| TeamStart::After(place.into())),
            // Nobody who asks for none needs the database, but for whether it may be asked.
            limit: Some(size.max(1)),
            ..ListTeams::default()
        };
        let mut page = teams::list(deps, actor, &input).await?;
        let has_more = page.next.is_some() || (size == 0 && !page.teams.is_empty());
        page.teams.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        let edges: Result<Vec<_>> = page.teams.into_iter().map(edge).collect();
        let (deps, actor) = (Arc::clone(deps), actor.clone());
        let count: Count = Box::new(move || {
            let (deps, actor, input) = (Arc::clone(&deps), actor.clone(), input.clone());
            Box::pin(async move { teams::count(&deps, &actor, &input).await })
        });
        Ok(Some(Connection::new(edges?, has_more, after.is_some()).counted(count)))
    }

    /// The members of a team by the time of joining, as the team sees them. A client needs `$read_members` there.
    #[access(CLIENT, self, keys = USER)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn team_members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The team.")] team_id: ID,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<TeamMemberObject>>> {
        let place = MemberPlace::read(first, after.as_deref())?;
        let (deps, actor, team_id) = (deps(ctx)?, actor(ctx)?, parse_id(&team_id, "teamId")?);
        let page = teams::member_page(deps, actor, team_id, place.after, place.size).await?;
        Ok(Some(place.connection(page)?))
    }
}

fn edge(team: Team) -> Result<(String, TeamObject)> {
    Ok((encode_cursor(&Place { at: team.created_at, id: team.id.0 })?, TeamObject(team)))
}
