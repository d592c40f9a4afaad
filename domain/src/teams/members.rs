//! Joining and leaving teams.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    read::{membership_not_found, not_found},
    store,
};
use crate::{
    Actor, Code, Deps, Failure, ProjectId, TeamId, UserId,
    db::{NewRows, Tx},
    error::{Result, refuse},
    events::{self, EventKind, NewEvent},
    permissions,
    projects::{self, ProjectConfig},
    signal::Signal,
    users,
};

/// That a user belongs to a team; also its form on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Membership {
    /// The team.
    pub team_id: TeamId,
    /// Its member.
    pub user_id: UserId,
}

/// Makes a user a member of a team, for servers.
///
/// # Errors
/// `FORBIDDEN` for clients; `USER_NOT_FOUND`; `TEAM_NOT_FOUND`; `TEAM_MEMBERSHIP_ALREADY_EXISTS`.
#[crate::boxed]
pub async fn add_member(deps: &Deps, actor: &Actor, team_id: TeamId, user_id: UserId) -> Result<Membership> {
    if !actor.is_server() {
        return refuse(Failure::forbidden("Only servers add members to teams."));
    }
    let (config, project_id) = (&*projects::config(deps, &actor.project_id).await?, &actor.project_id);
    deps.mutate(actor, "teams.add_member", |tx| async move {
        if !users::lock_in(&tx, project_id, user_id).await? {
            return refuse(users::not_found());
        }
        if store::lock(&tx, project_id, team_id).await?.is_none() {
            return refuse(not_found(team_id));
        }
        // Whoever else adds this user waits for the user's row.
        if store::is_member(&*tx, project_id, team_id, user_id).await? {
            let text = format!("User {user_id} is a member of team {team_id} already.");
            return refuse(Failure::new(Code::TeamMembershipAlreadyExists, text));
        }
        join_in(deps, &tx, config, project_id, Membership { team_id, user_id }).await
    })
    .await
}

/// Makes a user of the project a member of one of its teams, with what members are granted, and tells of both. The caller
/// holds the rows of both, and has seen that the user is no member.
pub(super) async fn join_in(
    deps: &Deps,
    tx: &Tx,
    config: &ProjectConfig,
    project_id: &ProjectId,
    membership: Membership,
) -> Result<Membership> {
    let Membership { team_id, user_id } = membership;
    let (mut rows, now) = (NewRows::default(), deps.now());
    rows.add(store::member(project_id, team_id, user_id, false, now));
    let granted = &config.rbac.default_permissions.team_member;
    let granted = permissions::add_team_defaults(&mut rows, config, project_id, (team_id, user_id), granted, now);
    events::add(deps, &mut rows, event(project_id, EventKind::TeamMembershipCreated, membership));
    for grant in granted {
        events::add(deps, &mut rows, permissions::team_event(project_id, EventKind::TeamPermissionCreated, &grant));
    }
    rows.write(tx).await?;
    Ok(membership)
}

/// Ends a membership, and with it what was granted to the member and its profile in the team. Members may leave; for others
/// a client needs `$remove_members`. Nothing protects the last member.
///
/// # Errors
/// Clients: `USER_AUTHENTICATION_REQUIRED`; `TEAM_MEMBERSHIP_NOT_FOUND` of their own; `TEAM_PERMISSION_REQUIRED`. Then
/// `USER_NOT_FOUND`; `TEAM_MEMBERSHIP_NOT_FOUND`.
#[crate::boxed]
pub async fn remove_member(deps: &Deps, actor: &Actor, team_id: TeamId, user_id: UserId) -> Result<()> {
    let project_id = &actor.project_id;
    deps.mutate(actor, "teams.remove_member", |tx| async move {
        if actor.user_id() != Some(user_id) {
            permissions::require_in_team(deps, &*tx, actor, team_id, "$remove_members").await?;
        }
        if !users::lock_in(&tx, project_id, user_id).await? {
            return refuse(users::not_found());
        }
        if !store::remove_member(&tx, project_id, team_id, user_id).await? {
            return refuse(membership_not_found(team_id, user_id));
        }
        tx.raise(Signal::MemberRemoved { team_id, user_id });
        let membership = Membership { team_id, user_id };
        events::record(deps, &tx, event(project_id, EventKind::TeamMembershipDeleted, membership)).await
    })
    .await
}

fn event(project_id: &ProjectId, kind: EventKind, membership: Membership) -> NewEvent {
    let Membership { team_id, user_id } = membership;
    let payload = json!({ "team_id": team_id, "user_id": user_id });
    NewEvent { project_id: project_id.clone(), kind, user_id: Some(user_id), team_id: Some(team_id), payload }
}
