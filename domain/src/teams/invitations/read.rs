//! Listing invitations.

use super::{Invitation, store};
use crate::{
    Actor, Deps, Failure, TeamId, TeamInvitationId, UserId,
    error::{Result, refuse},
    identity::require_own_user,
    permissions,
    teams::{read::not_found, store as teams},
};

/// The invitations into a team that can be accepted, newest first, at most 1,000.
///
/// # Errors
/// Clients: `CANNOT_GET_OWN_USER_WITHOUT_USER`; `TEAM_MEMBERSHIP_NOT_FOUND`; `TEAM_PERMISSION_REQUIRED` without
/// `$read_members`, then without `$invite_members`. Servers: `TEAM_NOT_FOUND`.
#[crate::boxed]
pub async fn of_team(deps: &Deps, actor: &Actor, team_id: TeamId) -> Result<Vec<Invitation>> {
    require_sight(deps, actor, team_id).await?;
    store::of_team(deps.db.read(), &actor.project_id, team_id, None, deps.now()).await
}

/// Whether the caller sees the invitations into a team.
async fn require_sight(deps: &Deps, actor: &Actor, team_id: TeamId) -> Result<()> {
    if actor.is_server() {
        if teams::find(deps.db.read(), &actor.project_id, &[team_id]).await?.is_empty() {
            return refuse(not_found(team_id));
        }
    } else {
        require_own_user(actor)?;
        for permission in ["$read_members", "$invite_members"] {
            permissions::require_in_team(deps, deps.db.read(), actor, team_id, permission).await?;
        }
    }
    Ok(())
}

/// The invitations to addresses that a user has proven to hold, newest first, at most 1,000.
///
/// # Errors
/// `CANNOT_GET_OWN_USER_WITHOUT_USER` for clients that do not ask for their own user.
#[crate::boxed]
pub async fn of_recipient(deps: &Deps, actor: &Actor, user_id: UserId) -> Result<Vec<Invitation>> {
    require_own(actor, user_id)?;
    store::of_recipient(deps.db.read(), &actor.project_id, user_id, None, deps.now()).await
}

/// An invitation that can be accepted.
///
/// # Errors
/// `NOT_FOUND` when there is none, or the caller sees it neither as one into a team nor as one to its user.
#[crate::boxed]
pub async fn get(deps: &Deps, actor: &Actor, id: TeamInvitationId) -> Result<Invitation> {
    let (reader, project_id, now) = (deps.db.read(), &actor.project_id, deps.now());
    let hidden = || Failure::not_found("There is no such invitation.");
    if let Some(user_id) = actor.user_id()
        && let Some(own) = store::of_recipient(reader, project_id, user_id, Some(id), now).await?.pop()
    {
        return Ok(own);
    }
    let Some(row) = store::find(reader, project_id, id).await? else { return refuse(hidden()) };
    require_sight(deps, actor, row.team_id).await?;
    let found = store::of_team(reader, project_id, row.team_id, Some(id), now).await?.pop();
    found.map_or_else(|| refuse(hidden()), Ok)
}

/// Clients act for their own user only; another one is, for them, no user (wire §4).
pub(super) fn require_own(actor: &Actor, user_id: UserId) -> Result<()> {
    if actor.is_server() || actor.is_user(user_id) {
        return Ok(());
    }
    require_own_user(&Actor { user: None, ..actor.clone() }).map(drop)
}
