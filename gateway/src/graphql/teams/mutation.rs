//! Making, changing and deleting teams.

use async_graphql::{Context, ID, InputObject, MaybeUndefined};
use postern_domain::{
    TeamId,
    teams::{self, CreateTeam, UpdateTeam},
};
use postern_gateway_macros::guarded;
use serde_json::Value;

use super::types::TeamObject;
use crate::graphql::{
    error::Result,
    repeat,
    scalars::{IntoId, parse_id, patch},
    schema::deps,
};

/// Mutations of teams.
#[derive(Default)]
pub(crate) struct TeamMutation;

#[guarded(root)]
impl TeamMutation {
    /// Makes a team. A client's user becomes its first member; a server's team is empty unless it names a creator.
    #[access(CLIENT, self, keys = USER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn create_team(&self, ctx: &Context<'_>, input: CreateTeamInput) -> Result<Option<TeamPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let team = CreateTeam {
            display_name: input.display_name,
            profile_image_url: input.profile_image_url,
            client_metadata: input.client_metadata,
            client_read_only_metadata: input.client_read_only_metadata,
            server_metadata: input.server_metadata,
            creator_user_id: input.creator_user_id.map(|id| parse_id(&id, "creatorUserId")).transpose()?,
        };
        Ok(Some(TeamPayload { team: TeamObject(teams::create(deps(ctx)?, &actor, team).await?) }))
    }

    /// Changes a team. A client needs `$update_team` there.
    #[access(CLIENT, self, keys = USER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_team(&self, ctx: &Context<'_>, input: UpdateTeamInput) -> Result<Option<TeamPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id = parse_id(&input.id, "id")?;
        let change = UpdateTeam {
            display_name: input.display_name,
            profile_image_url: patch(input.profile_image_url),
            client_metadata: replaced(input.client_metadata),
            client_read_only_metadata: replaced(input.client_read_only_metadata),
            server_metadata: replaced(input.server_metadata),
        };
        Ok(Some(TeamPayload { team: TeamObject(teams::update(deps(ctx)?, &actor, id, change).await?) }))
    }

    /// Deletes a team with its memberships and what was granted in it. A client needs `$delete_team` there.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn delete_team(&self, ctx: &Context<'_>, input: DeleteTeamInput) -> Result<Option<DeleteTeamPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id: TeamId = parse_id(&input.id, "id")?;
        teams::delete(deps(ctx)?, &actor, id).await?;
        Ok(Some(DeleteTeamPayload { id: id.into_id() }))
    }
}

/// Metadata is replaced whole, by null too.
fn replaced(value: MaybeUndefined<Value>) -> Option<Value> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(Value::Null),
        MaybeUndefined::Value(value) => Some(value),
    }
}

/// A team to make.
#[derive(InputObject)]
pub(crate) struct CreateTeamInput {
    /// The name to show; may be empty.
    display_name: String,
    /// URL of the picture.
    profile_image_url: Option<String>,
    /// Data that members and servers read and write.
    client_metadata: Option<Value>,
    /// Data that members read and servers write; servers only.
    client_read_only_metadata: Option<Value>,
    /// Data that only servers read and write; servers only.
    server_metadata: Option<Value>,
    /// Who becomes its first member. A client can name its own user only.
    creator_user_id: Option<ID>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// What to change of a team: what is not given stays, null empties.
#[derive(InputObject)]
pub(crate) struct UpdateTeamInput {
    /// The team.
    id: ID,
    /// The name to show; may be empty.
    display_name: Option<String>,
    /// URL of the picture.
    profile_image_url: MaybeUndefined<String>,
    /// Data that members and servers read and write.
    client_metadata: MaybeUndefined<Value>,
    /// Data that members read and servers write; servers only.
    client_read_only_metadata: MaybeUndefined<Value>,
    /// Data that only servers read and write; servers only.
    server_metadata: MaybeUndefined<Value>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A team to delete.
#[derive(InputObject)]
pub(crate) struct DeleteTeamInput {
    /// The team.
    id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A team that was made or changed.
#[guarded(CLIENT)]
pub(crate) struct TeamPayload {
    /// The team as it is now.
    #[access(CLIENT)]
    team: TeamObject,
}

/// A team that was deleted.
#[guarded(CLIENT)]
pub(crate) struct DeleteTeamPayload {
    /// The id that the team had.
    #[access(CLIENT)]
    id: ID,
}
