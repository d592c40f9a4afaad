//! Joining and leaving teams, and what members are called there.

use async_graphql::{Context, ID, InputObject, MaybeUndefined};
use postern_domain::{
    TeamId, UserId, identity,
    teams::{self, Membership, UpdateMemberProfile},
};
use postern_gateway_macros::guarded;

use super::types::TeamMemberObject;
use crate::graphql::{
    error::Result,
    repeat,
    scalars::{IntoId, parse_id, patch},
    schema::deps,
};

/// Mutations of members of teams.
#[derive(Default)]
pub(crate) struct TeamMemberMutation;

#[guarded(root)]
impl TeamMemberMutation {
    /// Makes a user a member of a team, with what the project grants to members.
    #[access(SERVER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn add_team_member(&self, ctx: &Context<'_>, input: TeamMemberInput) -> Result<Option<MembershipPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let (team_id, user_id) = input.ids()?;
        Ok(Some(teams::add_member(deps(ctx)?, &actor, team_id, user_id).await?.into()))
    }

    /// Ends the membership of a user. A client needs `$remove_members` in the team, but for its own.
    #[access(CLIENT, self, keys = USER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn remove_team_member(&self, ctx: &Context<'_>, input: TeamMemberInput) -> Result<Option<MembershipPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let (team_id, user_id) = input.ids()?;
        teams::remove_member(deps(ctx)?, &actor, team_id, user_id).await?;
        Ok(Some(Membership { team_id, user_id }.into()))
    }

    /// Ends the membership of the signed-in user.
    #[access(CLIENT, self, keys = USER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn leave_team(&self, ctx: &Context<'_>, input: LeaveTeamInput) -> Result<Option<MembershipPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let team_id = parse_id(&input.team_id, "teamId")?;
        let user_id = identity::own_user_id(&actor)?;
        teams::remove_member(deps(ctx)?, &actor, team_id, user_id).await?;
        Ok(Some(Membership { team_id, user_id }.into()))
    }

    /// Changes what a member is called and looks like in a team: the caller's own user, or for servers any.
    #[access(CLIENT, self, keys = USER)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn update_team_member_profile(
        &self,
        ctx: &Context<'_>,
        input: UpdateTeamMemberProfileInput,
    ) -> Result<Option<TeamMemberPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let team_id = parse_id(&input.team_id, "teamId")?;
        let user_id = match &input.user_id {
            Some(id) => parse_id(id, "userId")?,
            None => identity::own_user_id(&actor)?,
        };
        let change =
            UpdateMemberProfile { display_name: input.display_name, profile_image_url: patch(input.profile_image_url) };
        let profile = teams::update_profile(deps(ctx)?, &actor, team_id, user_id, change).await?;
        Ok(Some(TeamMemberPayload { member: TeamMemberObject(profile) }))
    }
}

/// A user and a team.
#[derive(InputObject)]
pub(crate) struct TeamMemberInput {
    /// The team.
    team_id: ID,
    /// The user.
    user_id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

impl TeamMemberInput {
    fn ids(&self) -> Result<(TeamId, UserId)> {
        Ok((parse_id(&self.team_id, "teamId")?, parse_id(&self.user_id, "userId")?))
    }
}

/// A team to leave.
#[derive(InputObject)]
pub(crate) struct LeaveTeamInput {
    /// The team.
    team_id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// What to change of a member's profile in a team; what is not given stays.
#[derive(InputObject)]
pub(crate) struct UpdateTeamMemberProfileInput {
    /// The team.
    team_id: ID,
    /// The member; the signed-in user when not given.
    user_id: Option<ID>,
    /// The name in the team; an empty one is one, too.
    display_name: Option<String>,
    /// URL of the picture in the team; null shows that of the user again.
    profile_image_url: MaybeUndefined<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// A membership that began or ended.
#[guarded(CLIENT)]
pub(crate) struct MembershipPayload {
    /// The team.
    #[access(CLIENT)]
    team_id: ID,
    /// The user.
    #[access(CLIENT)]
    user_id: ID,
}

impl From<Membership> for MembershipPayload {
    fn from(Membership { team_id, user_id }: Membership) -> Self {
        Self { team_id: team_id.into_id(), user_id: user_id.into_id() }
    }
}

/// A member whose profile was changed.
#[guarded(CLIENT)]
pub(crate) struct TeamMemberPayload {
    /// The member as it is now.
    #[access(CLIENT)]
    member: TeamMemberObject,
}
