//! Inviting somebody, and taking that back.

use postern_entity::team_invitation;
use serde_json::json;

use super::{Invitation, TEAM_INVITATION_PAGE, event, store};
use crate::{
    Actor, Deps, TeamId, TeamInvitationId,
    email_address::EmailAddress,
    emails::{self, NewEmail, Recipient, Template},
    error::{Failure, Result, refuse},
    events::{self, EventKind},
    limits, permissions, projects,
    sessions::{
        ClientInfo, CodeKind, LinkTarget,
        codes::{self, NewCode},
    },
    teams::{read::not_found, store as teams},
};

/// Mails an invitation to an address, whoever holds it. The link in it leads to `target`.
///
/// # Errors
/// Clients: `USER_AUTHENTICATION_REQUIRED`; `TEAM_MEMBERSHIP_NOT_FOUND`; `TEAM_PERMISSION_REQUIRED` without
/// `$invite_members`. Then `SCHEMA_ERROR`; `REDIRECT_URL_NOT_WHITELISTED`; `RATE_LIMITED`; for servers `TEAM_NOT_FOUND`.
#[crate::boxed]
pub async fn send(
    deps: &Deps,
    actor: &Actor,
    team_id: TeamId,
    email: &str,
    target: &LinkTarget,
    client: &ClientInfo,
) -> Result<Invitation> {
    let project_id = &actor.project_id;
    permissions::require_in_team(deps, deps.db.read(), actor, team_id, "$invite_members").await?;
    let address = &match EmailAddress::loose(email) {
        Ok(address) => address,
        Err(rule) => return refuse(Failure::schema(format!("email {rule}"))),
    };
    let config = projects::config(deps, project_id).await?;
    let target = &target.resolve(deps, &config, project_id, TEAM_INVITATION_PAGE)?;
    limits::code_mailed(deps, actor, client, address).await?;
    deps.mutate(actor, "teams.invite", |tx| async move {
        let Some(team) = teams::lock(&tx, project_id, team_id).await? else { return refuse(not_found(team_id)) };
        let id = TeamInvitationId::random();
        let new = NewCode {
            project_id: project_id.clone(),
            kind: CodeKind::TeamInvitation,
            user_id: None,
            data: json!({ "invitation_id": id }),
            ttl_seconds: deps.settings.code_seconds,
        };
        let issued = codes::issue(deps, &tx, new).await?;
        let row = team_invitation::Model {
            id,
            project_id: project_id.clone(),
            team_id,
            code_id: issued.id,
            recipient_email: address.as_str().to_owned(),
            created_at: deps.now(),
            expires_at: issued.expires_at,
        };
        store::insert(&tx, row.clone()).await?;
        let recipient = Recipient::CustomEmails { emails: vec![address.as_str().to_owned()] };
        let (link, team_display_name) = (target.with_code(&issued.code), team.display_name.clone());
        let template = Template::TeamInvitation { link, team_display_name };
        emails::enqueue(&tx, deps, NewEmail::new(project_id.clone(), recipient, template)).await?;
        events::record(deps, &tx, event(project_id, EventKind::TeamInvitationCreated, (id, team_id), None)).await?;
        Ok(Invitation::new(row, team.display_name))
    })
    .await
}

/// Takes an invitation into a team back: its code is good for nothing any more.
///
/// # Errors
/// Clients: `USER_AUTHENTICATION_REQUIRED`; `TEAM_MEMBERSHIP_NOT_FOUND`; `TEAM_PERMISSION_REQUIRED` without
/// `$remove_members`. Servers: `TEAM_NOT_FOUND`. `VERIFICATION_CODE_NOT_FOUND` when the team has no such invitation.
#[crate::boxed]
pub async fn revoke(deps: &Deps, actor: &Actor, team_id: TeamId, id: TeamInvitationId) -> Result<()> {
    let project_id = &actor.project_id;
    deps.mutate(actor, "teams.revoke_invitation", |tx| async move {
        permissions::require_in_team(deps, &*tx, actor, team_id, "$remove_members").await?;
        if teams::find(&*tx, project_id, &[team_id]).await?.is_empty() {
            return refuse(not_found(team_id));
        }
        let Some(invitation) = store::find(&*tx, project_id, id).await?.filter(|found| found.team_id == team_id) else {
            return refuse(codes::not_found());
        };
        // The code first, as whoever brings it does.
        if !codes::withdraw(deps, &tx, project_id, invitation.code_id).await?
            || !store::remove(&tx, project_id, id).await?
        {
            return refuse(codes::not_found());
        }
        events::record(deps, &tx, event(project_id, EventKind::TeamInvitationRevoked, (id, team_id), None)).await
    })
    .await
}
