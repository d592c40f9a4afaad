//! Reading teams and memberships.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{Team, store};
use crate::{
    Actor, Code, Deps, Failure, ProjectId, TeamId, Timestamp, UserId,
    db::Tx,
    error::{Result, refuse},
};

/// How many ids one statement asks for; below what either database takes.
pub(super) const MAX_IDS: usize = 1000;

/// One team.
///
/// # Errors
/// Clients: `USER_AUTHENTICATION_REQUIRED`; `TEAM_MEMBERSHIP_NOT_FOUND` when they do not belong to it, whether or not it
/// exists. Servers, and API keys of teams for any team but their own: `TEAM_NOT_FOUND`.
#[crate::boxed]
pub async fn get(deps: &Deps, actor: &Actor, id: TeamId) -> Result<Team> {
    if let Some(own) = actor.team_id() {
        if id != own {
            return refuse(not_found(id));
        }
    } else if !actor.is_server() {
        let Some(user_id) = actor.user_id() else {
            return refuse(Failure::new(Code::UserAuthenticationRequired, "Sign in to see a team."));
        };
        if !is_member(deps, &actor.project_id, id, user_id).await? {
            return refuse(membership_not_found(id, user_id));
        }
    }
    match store::find(deps.db.read(), &actor.project_id, &[id]).await?.pop() {
        Some(row) => Ok(row.into()),
        None => refuse(not_found(id)),
    }
}

/// Where an item stands in a list that is ordered by time and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The time.
    pub at: Timestamp,
    /// The id, for what is of the same time.
    pub id: Uuid,
}

/// The first `limit` of what may be one more, and whether it was.
pub(super) fn cut<T>(mut rows: Vec<T>, limit: u64) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    (rows, has_more)
}

/// Teams of the project by id, for loaders; ids without a team are left out. Checks no access.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn by_ids(deps: &Deps, project_id: &ProjectId, ids: &[TeamId]) -> Result<HashMap<TeamId, Team>> {
    let mut teams = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(MAX_IDS) {
        let rows = store::find(deps.db.read(), project_id, ids).await?;
        teams.extend(rows.into_iter().map(|row| (row.id, Team::from(row))));
    }
    Ok(teams)
}

/// The members of a team who joined first, at most `limit`. Checks no access.
///
/// # Errors
/// Internal only.
pub(crate) async fn member_ids(deps: &Deps, project_id: &ProjectId, id: TeamId, limit: u64) -> Result<Vec<UserId>> {
    let members = store::member_page(deps.db.read(), project_id, id, None, limit).await?;
    Ok(members.into_iter().map(|row| row.member.user_id).collect())
}

/// Those of these teams that the caller may see by [`get`], for loaders; others are left out. At most two statements for up to a
/// thousand teams.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn seen_by_ids(deps: &Deps, actor: &Actor, ids: &[TeamId]) -> Result<HashMap<TeamId, Team>> {
    let project_id = &actor.project_id;
    if actor.is_server() {
        return by_ids(deps, project_id, ids).await;
    }
    if let Some(own) = actor.team_id() {
        let own: Vec<_> = ids.iter().copied().filter(|id| *id == own).collect();
        return by_ids(deps, project_id, &own).await;
    }
    let Some(user_id) = actor.user_id() else { return Ok(HashMap::new()) };
    let teams = of_users(deps, project_id, &[user_id]).await?.remove(&user_id).unwrap_or_default();
    Ok(teams.into_iter().filter(|team| ids.contains(&team.id)).map(|team| (team.id, team)).collect())
}

/// The teams of each user, oldest first, for loaders; users without a team are left out. Checks no access.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn of_users(deps: &Deps, project_id: &ProjectId, user_ids: &[UserId]) -> Result<HashMap<UserId, Vec<Team>>> {
    let mut teams: HashMap<UserId, Vec<Team>> = HashMap::with_capacity(user_ids.len());
    for user_ids in user_ids.chunks(MAX_IDS) {
        for (membership, team) in store::of_users(deps.db.read(), project_id, user_ids).await? {
            teams.entry(membership.user_id).or_default().push(team.into());
        }
    }
    Ok(teams)
}

/// Whether the user belongs to the team, both of the project.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn is_member(deps: &Deps, project_id: &ProjectId, team_id: TeamId, user_id: UserId) -> Result<bool> {
    store::is_member(deps.db.read(), project_id, team_id, user_id).await
}

/// The same, asked within a transaction.
pub(crate) async fn is_member_in(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    team_id: TeamId,
    user_id: UserId,
) -> Result<bool> {
    store::is_member(connection, project_id, team_id, user_id).await
}

/// Holds the team until the transaction ends. Answers whether there is such a team in the project.
pub(crate) async fn lock_in(tx: &Tx, project_id: &ProjectId, id: TeamId) -> Result<bool> {
    Ok(store::lock(tx, project_id, id).await?.is_some())
}

pub(crate) fn not_found(id: TeamId) -> Failure {
    Failure::new(Code::TeamNotFound, format!("There is no team {id}."))
        .with(serde_json::json!({ "team_id": id.to_string() }))
}

/// The user does not belong to the team, or there is no such team.
#[must_use]
pub fn membership_not_found(team_id: TeamId, user_id: UserId) -> Failure {
    Failure::new(Code::TeamMembershipNotFound, format!("User {user_id} is not a member of team {team_id}."))
        .with(serde_json::json!({ "team_id": team_id.to_string(), "user_id": user_id.to_string() }))
}
