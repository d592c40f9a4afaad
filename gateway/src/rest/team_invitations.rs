//! `/team-invitations`: inviting into teams by mail, and accepting.

use postern_domain::{
    Failure, TeamId, TeamInvitationId, Timestamp,
    identity::UserRef,
    sessions::{self, CodeKind, LinkTarget, OneTimeCode},
    teams::invitations::{self, Invitation},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::{Call, OPEN},
    input::{Empty, Ignored, UrlText, input},
    reply::{Answer, List, Nothing, Reply, Success, success},
    routes::{About, Routes},
    verification::{CodeBody, CodeIsValid, VALID},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Team invitations", summary, OPEN);
    Routes::new()
        .get("/team-invitations", list, about("Lists invitations of a team, or to a user").query::<ListQuery>())
        .delete(
            "/team-invitations/{id}",
            revoke,
            about("Takes an invitation back").path::<InvitationPath>().query::<TeamQuery>(),
        )
        .post(
            "/team-invitations/{id}/accept",
            accept,
            about("Accepts an invitation to a verified address").path::<InvitationPath>().query::<UserQuery>(),
        )
        .post("/team-invitations/send-code", send, about("Mails an invitation").body::<SendBody>())
        .post("/team-invitations/accept", accept_by_code, about("Accepts an invitation by its code").body::<CodeBody>())
        .post("/team-invitations/accept/check-code", check, about("Says whether a code is good").body::<CodeBody>())
        .post("/team-invitations/accept/details", details, about("Says where a code invites to").body::<CodeBody>())
}

input! {
    struct InvitationPath { id: TeamInvitationId }
}

input! {
    struct ListQuery { team_id: Option<TeamId>, user_id: Option<UserRef> }
}

input! {
    struct TeamQuery { team_id: Option<TeamId> }
}

input! {
    struct UserQuery { user_id: UserRef }
}

input! {
    struct SendBody { team_id: TeamId, email: String, callback_url: UrlText }
}

/// An invitation, the same for everybody who may see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TeamInvitation")]
struct InvitationView {
    id: TeamInvitationId,
    team_id: TeamId,
    team_display_name: String,
    expires_at_millis: Timestamp,
    recipient_email: String,
}

impl From<Invitation> for InvitationView {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id,
            team_id: invitation.team_id,
            team_display_name: invitation.team_display_name,
            expires_at_millis: invitation.expires_at,
            recipient_email: invitation.recipient_email,
        }
    }
}

/// That an invitation was sent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SentInvitation")]
struct Sent {
    success: bool,
    id: TeamInvitationId,
}

/// Where a code invites to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "InvitedTeam")]
struct Invited {
    team_id: TeamId,
    team_display_name: String,
}

async fn send(mut call: Call) -> Answer<Sent> {
    let actor = call.actor(OPEN)?;
    let body: SendBody = call.body()?;
    let target = LinkTarget::Callback(body.callback_url.0);
    let invitation = invitations::send(&call.deps, &actor, body.team_id, &body.email, &target, &call.client).await?;
    Ok(Reply::ok(Sent { success: true, id: invitation.id }))
}

async fn list(mut call: Call) -> Answer<List<InvitationView>> {
    let actor = call.actor(OPEN)?;
    let (_, query, _) = call.read::<Empty, ListQuery, Ignored>()?;
    let found = match (query.team_id, query.user_id) {
        (Some(team_id), None) => invitations::of_team(&call.deps, &actor, team_id).await?,
        (None, Some(user)) => invitations::of_recipient(&call.deps, &actor, user.resolve(&actor)?).await?,
        _ => return Err(Failure::bad_request("Give either team_id or user_id.").into()),
    };
    Ok(Reply::ok(List::whole(found.into_iter().map(InvitationView::from).collect())))
}

async fn revoke(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let (path, query, _) = call.read::<InvitationPath, TeamQuery, Ignored>()?;
    let Some(team_id) = query.team_id else {
        return Err(Failure::bad_request("team_id must be given.").into());
    };
    invitations::revoke(&call.deps, &actor, team_id, path.id).await?;
    Ok(success())
}

async fn accept(mut call: Call) -> Answer<Nothing> {
    let actor = call.actor(OPEN)?;
    let (path, query, _) = call.read::<InvitationPath, UserQuery, Ignored>()?;
    invitations::accept(&call.deps, &actor, path.id, query.user_id.resolve(&actor)?).await?;
    Ok(Reply::ok(Nothing {}))
}

async fn accept_by_code(mut call: Call) -> Answer<Nothing> {
    let actor = call.actor(OPEN)?;
    let body: CodeBody = call.body()?;
    invitations::accept_by_code(&call.deps, &actor, &OneTimeCode::parse(&body.code)?).await?;
    Ok(Reply::ok(Nothing {}))
}

async fn check(mut call: Call) -> Answer<CodeIsValid> {
    let actor = call.actor(OPEN)?;
    let body: CodeBody = call.body()?;
    let code = OneTimeCode::parse(&body.code)?;
    sessions::check_code(&call.deps, &actor.project_id, CodeKind::TeamInvitation, &code).await?;
    Ok(VALID)
}

async fn details(mut call: Call) -> Answer<Invited> {
    let actor = call.actor(OPEN)?;
    let body: CodeBody = call.body()?;
    let team = invitations::invited_team(&call.deps, &actor, &OneTimeCode::parse(&body.code)?).await?;
    Ok(Reply::ok(Invited { team_id: team.id, team_display_name: team.display_name }))
}
