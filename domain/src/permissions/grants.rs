//! Granting and revoking permissions, for servers, and who holds which.

use std::collections::{BTreeSet, HashMap};

use postern_entity::{project_permission, team_permission};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Catalog, PermissionScope, definitions::not_found, store};
use crate::{
    Actor, Code, Deps, Failure, ProjectId, TeamId, Timestamp, UserId,
    db::{NewRows, Tx},
    error::{Result, refuse},
    events::{self, EventKind, NewEvent},
    projects::{self, ProjectConfig},
    teams, users,
};

/// A permission held by a member of a team; also its form on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct TeamGrant {
    /// In which team.
    pub team_id: TeamId,
    /// By whom.
    pub user_id: UserId,
    /// The permission.
    pub id: String,
}

/// A permission held by a user in the whole project; also its form on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ProjectGrant {
    /// By whom.
    pub user_id: UserId,
    /// The permission.
    pub id: String,
}

/// How many ids one statement asks for; below what either database takes.
const MAX_IDS: usize = 1000;

/// Which permissions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamFilter {
    /// Only in this team; means nothing in the project's scope.
    pub team_id: Option<TeamId>,
    /// Only of this user.
    pub user_id: Option<UserId>,
    /// Only this permission.
    pub permission_id: Option<String>,
    /// Also what is held because another permission includes it.
    pub recursive: bool,
}

/// Who holds what in teams, by team, user and id.
///
/// # Errors
/// Clients: `CANNOT_GET_OWN_USER_WITHOUT_USER`; `FORBIDDEN` unless they ask for themselves.
#[crate::boxed]
pub async fn in_teams(deps: &Deps, actor: &Actor, filter: &TeamFilter) -> Result<Vec<TeamGrant>> {
    require_own(actor, filter.user_id)?;
    let users = filter.user_id.as_ref().map(std::slice::from_ref);
    of_teams(deps, &actor.project_id, users, filter).await
}

/// Who holds what in the project, by user and id.
///
/// # Errors
/// Those of [`in_teams`].
#[crate::boxed]
pub async fn in_project(deps: &Deps, actor: &Actor, filter: &TeamFilter) -> Result<Vec<ProjectGrant>> {
    require_own(actor, filter.user_id)?;
    let users = filter.user_id.as_ref().map(std::slice::from_ref);
    of_project(deps, &actor.project_id, users, filter).await
}

/// What each user holds in its teams, by team and id, for loaders; users who hold nothing are left out. Checks no access.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn of_users_in_teams(
    deps: &Deps,
    project_id: &ProjectId,
    user_ids: &[UserId],
    recursive: bool,
) -> Result<HashMap<UserId, Vec<TeamGrant>>> {
    let mut held: HashMap<UserId, Vec<TeamGrant>> = HashMap::with_capacity(user_ids.len());
    let filter = TeamFilter { recursive, ..TeamFilter::default() };
    for user_ids in user_ids.chunks(MAX_IDS) {
        for grant in of_teams(deps, project_id, Some(user_ids), &filter).await? {
            held.entry(grant.user_id).or_default().push(grant);
        }
    }
    Ok(held)
}

/// What each user holds in the whole project, by id, for loaders; users who hold nothing are left out. Checks no access.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn of_users_in_project(
    deps: &Deps,
    project_id: &ProjectId,
    user_ids: &[UserId],
    recursive: bool,
) -> Result<HashMap<UserId, Vec<ProjectGrant>>> {
    let mut held: HashMap<UserId, Vec<ProjectGrant>> = HashMap::with_capacity(user_ids.len());
    let filter = TeamFilter { recursive, ..TeamFilter::default() };
    for user_ids in user_ids.chunks(MAX_IDS) {
        for grant in of_project(deps, project_id, Some(user_ids), &filter).await? {
            held.entry(grant.user_id).or_default().push(grant);
        }
    }
    Ok(held)
}

async fn of_teams(
    deps: &Deps,
    project_id: &ProjectId,
    user_ids: Option<&[UserId]>,
    filter: &TeamFilter,
) -> Result<Vec<TeamGrant>> {
    let config = projects::config(deps, project_id).await?;
    let rows = store::in_teams(deps.db.read(), project_id, filter.team_id, user_ids).await?;
    let rows = rows.into_iter().map(|(team_id, user_id, id)| ((team_id, user_id), id));
    let held = held(&config, PermissionScope::Team, rows, filter);
    Ok(held.into_iter().map(|((team_id, user_id), id)| TeamGrant { team_id, user_id, id }).collect())
}

async fn of_project(
    deps: &Deps,
    project_id: &ProjectId,
    user_ids: Option<&[UserId]>,
    filter: &TeamFilter,
) -> Result<Vec<ProjectGrant>> {
    let config = projects::config(deps, project_id).await?;
    let rows = store::in_project(deps.db.read(), project_id, user_ids).await?;
    let held = held(&config, PermissionScope::Project, rows, filter);
    Ok(held.into_iter().map(|(user_id, id)| ProjectGrant { user_id, id }).collect())
}

fn require_own(actor: &Actor, user_id: Option<UserId>) -> Result<()> {
    if actor.is_server() {
        return Ok(());
    }
    let Some(own) = actor.user_id() else {
        return refuse(Failure::new(Code::CannotGetOwnUserWithoutUser, "Sign in to list your permissions."));
    };
    if user_id == Some(own) {
        return Ok(());
    }
    refuse(Failure::forbidden("A user can list its own permissions only."))
}

/// What follows from grants, which come ordered by their holder.
fn held<H: Copy + PartialEq>(
    config: &ProjectConfig,
    scope: PermissionScope,
    rows: impl IntoIterator<Item = (H, String)>,
    filter: &TeamFilter,
) -> Vec<(H, String)> {
    let catalog = Catalog::of(config);
    let rows: Vec<_> = rows.into_iter().collect();
    let mut held = Vec::with_capacity(rows.len());
    for of_one in rows.chunk_by(|(a, _), (b, _)| a == b) {
        let direct = of_one.iter().map(|(_, id)| id.as_str());
        let ids: BTreeSet<String> = if filter.recursive {
            catalog.closure(scope, direct)
        } else {
            direct.filter(|id| catalog.defines(scope, id)).map(ToOwned::to_owned).collect()
        };
        let wanted = |id: &String| filter.permission_id.as_ref().is_none_or(|wanted| wanted == id);
        held.extend(of_one.first().into_iter().flat_map(|(holder, _)| {
            let ids = ids.iter().filter(|id| wanted(id));
            ids.map(|id| (*holder, id.clone()))
        }));
    }
    held
}

/// Grants a permission to a member of a team. Granting it again changes nothing, and is told again.
///
/// # Errors
/// `FORBIDDEN` for clients; `USER_NOT_FOUND`; `TEAM_MEMBERSHIP_NOT_FOUND`; `PERMISSION_NOT_FOUND`;
/// `WRONG_PERMISSION_SCOPE`.
#[crate::boxed]
pub async fn grant_in_team(
    deps: &Deps,
    actor: &Actor,
    team_id: TeamId,
    user_id: UserId,
    id: &str,
) -> Result<TeamGrant> {
    require_server(actor)?;
    let project_id = &actor.project_id;
    deps.mutate(actor, "permissions.grant_in_team", |tx| async move {
        let config = projects::config_in(deps, &tx, project_id).await?;
        require_member(&tx, project_id, team_id, user_id).await?;
        require_defined(&config, PermissionScope::Team, id)?;
        store::put_in_team(&tx, team_row(project_id, team_id, user_id, id, deps.now())).await?;
        let grant = TeamGrant { team_id, user_id, id: id.to_owned() };
        events::record(deps, &tx, team_event(project_id, EventKind::TeamPermissionCreated, &grant)).await?;
        Ok(grant)
    })
    .await
}

/// Takes a permission from a member of a team that was granted to it directly.
///
/// # Errors
/// `FORBIDDEN` for clients; `USER_NOT_FOUND`; `TEAM_MEMBERSHIP_NOT_FOUND`; `TEAM_PERMISSION_NOT_FOUND`.
#[crate::boxed]
pub async fn revoke_in_team(deps: &Deps, actor: &Actor, team_id: TeamId, user_id: UserId, id: &str) -> Result<()> {
    require_server(actor)?;
    let project_id = &actor.project_id;
    deps.mutate(actor, "permissions.revoke_in_team", |tx| async move {
        require_member(&tx, project_id, team_id, user_id).await?;
        if !store::take_in_team(&tx, project_id, team_id, user_id, id).await? {
            let text = format!("User {user_id} was not granted {id:?} in team {team_id}.");
            let details = json!({ "team_id": team_id, "user_id": user_id, "permission_id": id });
            return refuse(Failure::new(Code::TeamPermissionNotFound, text).with(details));
        }
        let grant = TeamGrant { team_id, user_id, id: id.to_owned() };
        events::record(deps, &tx, team_event(project_id, EventKind::TeamPermissionDeleted, &grant)).await
    })
    .await
}

/// Grants a permission to a user in the whole project. Granting it again changes nothing, and is told again.
///
/// # Errors
/// `FORBIDDEN` for clients; `USER_NOT_FOUND`; `PERMISSION_NOT_FOUND`; `WRONG_PERMISSION_SCOPE`, also for the system's.
#[crate::boxed]
pub async fn grant_in_project(deps: &Deps, actor: &Actor, user_id: UserId, id: &str) -> Result<ProjectGrant> {
    require_server(actor)?;
    let project_id = &actor.project_id;
    deps.mutate(actor, "permissions.grant_in_project", |tx| async move {
        let config = projects::config_in(deps, &tx, project_id).await?;
        require_user(&tx, project_id, user_id).await?;
        require_defined(&config, PermissionScope::Project, id)?;
        store::put_in_project(&tx, project_row(project_id, user_id, id, deps.now())).await?;
        let grant = ProjectGrant { user_id, id: id.to_owned() };
        events::record(deps, &tx, project_event(project_id, EventKind::ProjectPermissionCreated, &grant)).await?;
        Ok(grant)
    })
    .await
}

/// Takes a permission from a user that was granted to it directly in the project.
///
/// # Errors
/// `FORBIDDEN` for clients; `USER_NOT_FOUND`; `PERMISSION_NOT_FOUND`.
#[crate::boxed]
pub async fn revoke_in_project(deps: &Deps, actor: &Actor, user_id: UserId, id: &str) -> Result<()> {
    require_server(actor)?;
    let project_id = &actor.project_id;
    deps.mutate(actor, "permissions.revoke_in_project", |tx| async move {
        require_user(&tx, project_id, user_id).await?;
        if !store::take_in_project(&tx, project_id, user_id, id).await? {
            return refuse(not_found(id));
        }
        let grant = ProjectGrant { user_id, id: id.to_owned() };
        events::record(deps, &tx, project_event(project_id, EventKind::ProjectPermissionDeleted, &grant)).await
    })
    .await
}

/// Adds what a new member of a team is granted: those of `ids` that are defined. Answers them.
pub(crate) fn add_team_defaults(
    rows: &mut NewRows,
    config: &ProjectConfig,
    project_id: &ProjectId,
    (team_id, user_id): (TeamId, UserId),
    ids: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<TeamGrant> {
    let catalog = Catalog::of(config);
    let ids = ids.iter().filter(|id| catalog.defines(PermissionScope::Team, id));
    ids.map(|id| {
        rows.add(team_row(project_id, team_id, user_id, id, now));
        TeamGrant { team_id, user_id, id: id.clone() }
    })
    .collect()
}

/// Adds what a new user is granted in the project. Nobody is told (wire: users-teams-permissions §1.6).
pub(crate) fn add_sign_up_defaults(
    rows: &mut NewRows,
    config: &ProjectConfig,
    project_id: &ProjectId,
    user_id: UserId,
    now: Timestamp,
) {
    let catalog = Catalog::of(config);
    let ids = config.rbac.default_permissions.sign_up.iter();
    for id in ids.filter(|id| catalog.defines(PermissionScope::Project, id)) {
        rows.add(project_row(project_id, user_id, id, now));
    }
}

/// That a permission was granted or revoked in a team.
pub(crate) fn team_event(project_id: &ProjectId, kind: EventKind, grant: &TeamGrant) -> NewEvent {
    let TeamGrant { team_id, user_id, id } = grant;
    let payload = json!({ "id": id, "team_id": team_id, "user_id": user_id });
    NewEvent { project_id: project_id.clone(), kind, user_id: Some(*user_id), team_id: Some(*team_id), payload }
}

fn project_event(project_id: &ProjectId, kind: EventKind, grant: &ProjectGrant) -> NewEvent {
    let payload = json!({ "id": grant.id, "user_id": grant.user_id });
    NewEvent { project_id: project_id.clone(), kind, user_id: Some(grant.user_id), team_id: None, payload }
}

fn team_row(
    project_id: &ProjectId,
    team_id: TeamId,
    user_id: UserId,
    id: &str,
    now: Timestamp,
) -> team_permission::Model {
    let (project_id, permission_id) = (project_id.clone(), id.to_owned());
    team_permission::Model { team_id, user_id, permission_id, project_id, created_at: now }
}

fn project_row(project_id: &ProjectId, user_id: UserId, id: &str, now: Timestamp) -> project_permission::Model {
    let (project_id, permission_id) = (project_id.clone(), id.to_owned());
    project_permission::Model { user_id, permission_id, project_id, created_at: now }
}

fn require_server(actor: &Actor) -> Result<()> {
    if actor.is_server() {
        return Ok(());
    }
    refuse(Failure::forbidden("Only servers grant and revoke permissions."))
}

async fn require_user(tx: &Tx, project_id: &ProjectId, user_id: UserId) -> Result<()> {
    if users::lock_in(tx, project_id, user_id).await? {
        return Ok(());
    }
    refuse(users::not_found())
}

async fn require_member(tx: &Tx, project_id: &ProjectId, team_id: TeamId, user_id: UserId) -> Result<()> {
    require_user(tx, project_id, user_id).await?;
    if store::hold_membership(tx, project_id, team_id, user_id).await? {
        return Ok(());
    }
    refuse(teams::membership_not_found(team_id, user_id))
}

fn require_defined(config: &ProjectConfig, scope: PermissionScope, id: &str) -> Result<()> {
    let Some(actual) = Catalog::of(config).scope_of(id) else { return refuse(not_found(id)) };
    if actual == scope {
        return Ok(());
    }
    let text = format!("The permission {id:?} is of the scope {}, not {}.", actual.as_str(), scope.as_str());
    let details = json!({ "permission_id": id, "expected_scope": scope.as_str(), "actual_scope": actual.as_str() });
    refuse(Failure::new(Code::WrongPermissionScope, text).with(details))
}
