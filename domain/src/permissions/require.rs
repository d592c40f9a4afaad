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

/// The members of a team who hold `permission` there, directly or included in another one.
///
/// # Errors
/// Internal only.
pub(crate) async fn holders_in_team(
    deps: &Deps,
    project_id: &ProjectId,
    team_id: TeamId,
    permission: &str,
) -> Result<Vec<UserId>> {
    let config = projects::config(deps, project_id).await?;
    let catalog = Catalog::of(&config);
    let grants = store::in_teams(deps.db.read(), project_id, Some(team_id), None).await?;
    let holds = |of_one: &&[(TeamId, UserId, String)]| {
        let direct = of_one.iter().map(|(_, _, id)| id.as_str());
        catalog.closure(PermissionScope::Team, direct).contains(permission)
    };
    // Ordered by user.
    let by_member = grants.chunk_by(|(_, one, _), (_, other, _)| one == other);
    Ok(by_member.filter(holds).filter_map(|of_one| of_one.first().map(|(_, user_id, _)| *user_id)).collect())
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
