//! Inviting into teams, and accepting.

use async_graphql::{Context, ID, InputObject};
use postern_domain::{
    TeamInvitationId, identity,
    sessions::{LinkTarget, OneTimeCode},
    teams::invitations::{self, Invitation},
};
use postern_gateway_macros::guarded;

use super::members::MembershipPayload;
use crate::graphql::{
    connection::{Connection, connection_of, page_cost},
    error::{Error, Result},
    repeat,
    scalars::{DateTime, IntoId, parse_id},
    schema::{actor, client_info, deps},
};

/// An invitation into a team.
pub(crate) struct TeamInvitationObject(pub(crate) Invitation);

/// An invitation into a team that can be accepted. A client sees those to verified addresses of its user, and those into
/// teams in which it holds `$read_members` and `$invite_members`.
#[guarded(CLIENT, graphql(name = "TeamInvitation"))]
impl TeamInvitationObject {
    /// The id of the invitation, the same as over REST.
    #[access(CLIENT)]
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// The team.
    #[access(CLIENT)]
    fn team_id(&self) -> ID {
        self.0.team_id.into_id()
    }

    /// The name of the team; may be empty.
    #[access(CLIENT)]
    fn team_display_name(&self) -> &str {
        &self.0.team_display_name
    }

    /// The address that the invitation was mailed to.
    #[access(CLIENT)]
    fn recipient_email(&self) -> &str {
        &self.0.recipient_email
    }

    /// From then on the invitation is good for nothing.
    #[access(CLIENT)]
    fn expires_at(&self) -> DateTime {
        self.0.expires_at.into()
    }
}

/// Queries of invitations.
#[derive(Default)]
pub(crate) struct TeamInvitationQuery;

#[guarded(root)]
impl TeamInvitationQuery {
    /// Invitations that can be accepted, newest first: those into a team, for which a client needs `$read_members` and
    /// `$invite_members` there, or those to verified addresses of a user, for a client its own.
    #[access(CLIENT, self)]
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn team_invitations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Invitations into this team.")] team_id: Option<ID>,
        #[graphql(desc = "Invitations to this user; a client's own when neither is given.")] user_id: Option<ID>,
        #[graphql(desc = "At most 200; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<Option<Connection<TeamInvitationObject>>> {
        let (deps, actor) = (deps(ctx)?, actor(ctx)?);
        let found = match (team_id, user_id) {
            (Some(team_id), None) => invitations::of_team(deps, actor, parse_id(&team_id, "teamId")?).await?,
            (None, Some(user_id)) => invitations::of_recipient(deps, actor, parse_id(&user_id, "userId")?).await?,
            (None, None) => invitations::of_recipient(deps, actor, identity::require_own_user(actor)?.id).await?,
            (Some(_), Some(_)) => return Err(Error::bad_input("Give either `teamId` or `userId`.")),
        };
        let page = connection_of(found, first, after.as_deref(), |invitation| invitation.id, TeamInvitationObject)?;
        Ok(Some(page))
    }
}

/// Mutations of invitations.
#[derive(Default)]
pub(crate) struct TeamInvitationMutation;

#[guarded(root)]
impl TeamInvitationMutation {
    /// Mails an invitation into a team. A client needs `$invite_members` there.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn invite_to_team(
        &self,
        ctx: &Context<'_>,
        input: InviteToTeamInput,
    ) -> Result<Option<TeamInvitationPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let (deps, team_id) = (deps(ctx)?, parse_id(&input.team_id, "teamId")?);
        let target = LinkTarget::or_own_page(input.callback_url);
        let invitation = invitations::send(deps, &actor, team_id, &input.email, &target, &client_info(ctx)).await?;
        Ok(Some(TeamInvitationPayload { invitation: TeamInvitationObject(invitation) }))
    }

    /// Makes the signed-in user a member of the team it was invited into: by the code of the mail, whoever it was sent to,
    /// or by the id of an invitation to a verified address of the user. A server names the user whose invitation it is.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn accept_team_invitation(
        &self,
        ctx: &Context<'_>,
        input: AcceptTeamInvitationInput,
    ) -> Result<Option<MembershipPayload>> {
        let (deps, actor) = (deps(ctx)?, repeat::actor(ctx, input.idempotency_key.as_deref())?);
        let membership = match (input.code, input.id) {
            (Some(code), None) if input.user_id.is_none() => {
                invitations::accept_by_code(deps, &actor, &OneTimeCode::parse(&code)?).await?
            }
            (None, Some(id)) => {
                let user_id = match &input.user_id {
                    Some(id) => parse_id(id, "userId")?,
                    None => identity::require_own_user(&actor)?.id,
                };
                invitations::accept(deps, &actor, parse_id(&id, "id")?, user_id).await?
            }
            _ => return Err(Error::bad_input("Give either `code`, or `id` and for servers `userId`.")),
        };
        Ok(Some(membership.into()))
    }

    /// Takes an invitation into a team back. A client needs `$remove_members` there.
    #[access(CLIENT, self)]
    #[graphql(complexity = "child_complexity + 50")]
    async fn revoke_team_invitation(
        &self,
        ctx: &Context<'_>,
        input: RevokeTeamInvitationInput,
    ) -> Result<Option<RevokeTeamInvitationPayload>> {
        let actor = repeat::actor(ctx, input.idempotency_key.as_deref())?;
        let id: TeamInvitationId = parse_id(&input.id, "id")?;
        invitations::revoke(deps(ctx)?, &actor, parse_id(&input.team_id, "teamId")?, id).await?;
        Ok(Some(RevokeTeamInvitationPayload { id: id.into_id() }))
    }
}

/// Whom to invite, and where to.
#[derive(InputObject)]
pub(crate) struct InviteToTeamInput {
    /// The team.
    team_id: ID,
    /// Where the mail goes.
    email: String,
    /// Where the link in the mail leads: a trusted URL, which gets the code in its parameter `code`. When not given, a page of
    /// this server, where the invited person joins with a password.
    callback_url: Option<String>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// An invitation to accept.
#[derive(InputObject)]
pub(crate) struct AcceptTeamInvitationInput {
    /// The code of the mail.
    code: Option<String>,
    /// The invitation, when it went to a verified address of the user.
    id: Option<ID>,
    /// Whose invitation it is, beside `id`; the signed-in user when not given.
    user_id: Option<ID>,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// An invitation to take back.
#[derive(InputObject)]
pub(crate) struct RevokeTeamInvitationInput {
    /// The team.
    team_id: ID,
    /// The invitation.
    id: ID,
    /// Makes the mutation repeatable for 24 hours.
    idempotency_key: Option<String>,
}

/// An invitation that was sent.
#[guarded(CLIENT)]
pub(crate) struct TeamInvitationPayload {
    /// The invitation.
    #[access(CLIENT)]
    invitation: TeamInvitationObject,
}

/// An invitation that was taken back.
#[guarded(CLIENT)]
pub(crate) struct RevokeTeamInvitationPayload {
    /// The id that the invitation had.
    #[access(CLIENT)]
    id: ID,
}
