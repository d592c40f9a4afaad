//! Reading what permissions there are, and who holds which.

use async_graphql::{Context, ID, InputObject};
use postern_domain::{
    Actor, UserId,
    permissions::{self, TeamFilter},
};
use postern_gateway_macros::guarded;

use super::types::{PermissionDefinitionObject, PermissionScope, ProjectPermissionObject, TeamPermissionObject};
use crate::graphql::{
    connection::{Connection, connection_of, page_cost},
    error::{Error, Result},
    scalars::parse_id,
    schema::{actor, deps},
};

/// Queries of permissions.
#[derive(Default)]
pub(crate) struct PermissionQuery;

#[guarded(root)]
impl PermissionQuery {
    /// The permissions of a scope, those of the system included, by key.
    #[access(ADMIN)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn permission_definitions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] scope: PermissionScope,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<PermissionDefinitionObject>>> {
        let found = permissions::list(deps(ctx)?, actor(ctx)?, scope.into()).await?;
        let connection =
            connection_of(found, first, after.as_deref(), |found| found.id.clone(), PermissionDefinitionObject);
        Ok(Some(connection?))
    }

    /// Who holds which permissions in teams, by team, user and key. Servers name a team or a user; a client sees its own
    /// user's.
    #[access(CLIENT, self, keys = USER)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn team_permissions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which; a client's own when not given.", default)] filter: TeamPermissionFilter,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<TeamPermissionObject>>> {
        let (actor, team_id) = (actor(ctx)?, filter.team_id.map(|id| parse_id(&id, "filter.teamId")).transpose()?);
        let user_id = user_or_own(actor, filter.user_id)?;
        if team_id.is_none() && user_id.is_none() {
            return Err(Error::bad_input("Give `filter.teamId` or `filter.userId`."));
        }
        let filter = TeamFilter { team_id, user_id, permission_id: filter.key, recursive: filter.recursive };
        let found = permissions::in_teams(deps(ctx)?, actor, &filter).await?;
        let place = |grant: &permissions::TeamGrant| (grant.team_id, grant.user_id, grant.id.clone());
        Ok(Some(connection_of(found, first, after.as_deref(), place, TeamPermissionObject)?))
    }

    /// Which permissions a user holds in the whole project, by key. A client sees its own user's.
    #[access(CLIENT, self, keys = USER)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn project_permissions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which; a client's own when not given.", default)] filter: ProjectPermissionFilter,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<ProjectPermissionObject>>> {
        let actor = actor(ctx)?;
        let user_id = user_or_own(actor, filter.user_id)?;
        if user_id.is_none() {
            return Err(Error::bad_input("Give `filter.userId`."));
        }
        let filter = TeamFilter { team_id: None, user_id, permission_id: filter.key, recursive: filter.recursive };
        let found = permissions::in_project(deps(ctx)?, actor, &filter).await?;
        let place = |grant: &permissions::ProjectGrant| grant.id.clone();
        Ok(Some(connection_of(found, first, after.as_deref(), place, ProjectPermissionObject)?))
    }
}

/// Which permissions in teams to list.
#[derive(Default, InputObject)]
pub(crate) struct TeamPermissionFilter {
    /// Only in this team.
    team_id: Option<ID>,
    /// Only of this user; a client's own when not given.
    user_id: Option<ID>,
    /// Only this permission.
    key: Option<String>,
    /// Also what another permission includes.
    #[graphql(default)]
    recursive: bool,
}

/// Which permissions in the project to list.
#[derive(Default, InputObject)]
pub(crate) struct ProjectPermissionFilter {
    /// The user; a client's own when not given.
    user_id: Option<ID>,
    /// Only this permission.
    key: Option<String>,
    /// Also what another permission includes.
    #[graphql(default)]
    recursive: bool,
}

fn user_or_own(actor: &Actor, user_id: Option<ID>) -> Result<Option<UserId>> {
    let user_id = user_id.map(|id| parse_id(&id, "filter.userId")).transpose()?;
    Ok(if actor.is_server() { user_id } else { user_id.or(actor.user_id()) })
}
