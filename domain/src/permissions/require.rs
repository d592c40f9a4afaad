//! Whether somebody may do something within a team.

use std::collections::BTreeSet;

use sea_orm::ConnectionTrait;
use serde_json::json;

use super::{Catalog, PermissionScope, store};
use crate::{
    Actor, Code, Deps, Failure, ProjectId, TeamId, UserId,
    error::{Result, refuse},
    projects, teams,
};

/// What a member of a team holds there; none when the user is no member, or there is no such team.
///
/// # Errors
/// Internal only.
pub async fn held_in_team(
    deps: &Deps,
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    team_id: TeamId,
    user_id: UserId,
) -> Result<Option<BTreeSet<String>>> {
    let Some(direct) = store::of_member(connection, project_id, team_id, user_id).await? else { return Ok(None) };
    let config = projects::config(deps, project_id).await?;
    Ok(Some(Catalog::of(&config).closure(PermissionScope::Team, direct.iter().map(String::as_str))))
}

/// Servers may do everything; a user must be a member of the team and hold `permission` there, directly or included in
/// another one.
///
/// # Errors
/// `USER_AUTHENTICATION_REQUIRED`; `TEAM_MEMBERSHIP_NOT_FOUND`; `TEAM_PERMISSION_REQUIRED`.
pub async fn require_in_team(
    deps: &Deps,
    connection: &impl ConnectionTrait,
    actor: &Actor,
    team_id: TeamId,
    permission: &str,
) -> Result<()> {
    if actor.is_server() {
        return Ok(());
    }
    let Some(user_id) = actor.user_id() else {
        return refuse(Failure::new(Code::UserAuthenticationRequired, "Sign in to act in a team."));
    };
    let Some(held) = held_in_team(deps, connection, &actor.project_id, team_id, user_id).await? else {
        return refuse(teams::membership_not_found(team_id, user_id));
    };
    if held.contains(permission) {
        return Ok(());
    }
    let details = json!({ "team_id": team_id, "user_id": user_id, "permission_id": permission });
    let text = format!("User {user_id} needs the permission {permission} in team {team_id}.");
    refuse(Failure::new(Code::TeamPermissionRequired, text).with(details))
}
