//! Queries of grants, each scoped by project. None begins a transaction.

use postern_entity::{project_permission, team_membership, team_permission};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, JoinType, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{LockType, OnConflict},
};

use crate::{
    ProjectId, TeamId, UserId,
    db::{Backend, Tx, beside_key},
    error::Result,
};

/// What was granted to a member of a team; none when the user is no member.
pub(super) async fn of_member(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    team_id: TeamId,
    user_id: UserId,
) -> Result<Option<Vec<String>>> {
    let to_grants = team_membership::Entity::belongs_to(team_permission::Entity)
        .from((team_membership::Column::TeamId, team_membership::Column::UserId))
        .to((team_permission::Column::TeamId, team_permission::Column::UserId))
        .into();
    let rows: Vec<Option<String>> = team_membership::Entity::find()
        .select_only()
        .column(team_permission::Column::PermissionId)
        .join(JoinType::LeftJoin, to_grants)
        .filter(beside_key(connection, team_membership::Column::ProjectId, project_id))
        .filter(team_membership::Column::TeamId.eq(team_id))
        .filter(team_membership::Column::UserId.eq(user_id))
        .into_tuple()
        .all(connection)
        .await?;
    Ok((!rows.is_empty()).then(|| rows.into_iter().flatten().collect()))
}

/// Grants in teams, ordered by team and user.
pub(super) async fn in_teams(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    team_id: Option<TeamId>,
    user_ids: Option<&[UserId]>,
) -> Result<Vec<(TeamId, UserId, String)>> {
    let mut select = team_permission::Entity::find()
        .select_only()
        .columns([
            team_permission::Column::TeamId,
            team_permission::Column::UserId,
            team_permission::Column::PermissionId,
        ])
        .order_by_asc(team_permission::Column::TeamId)
        .order_by_asc(team_permission::Column::UserId);
    select = if team_id.is_some() || user_ids.is_some() {
        select.filter(beside_key(connection, team_permission::Column::ProjectId, project_id))
    } else {
        select.filter(team_permission::Column::ProjectId.eq(project_id.clone()))
    };
    if let Some(team_id) = team_id {
        select = select.filter(team_permission::Column::TeamId.eq(team_id));
    }
    if let Some(user_ids) = user_ids {
        select = select.filter(team_permission::Column::UserId.is_in(user_ids.iter().copied()));
    }
    Ok(select.into_tuple().all(connection).await?)
}

/// Grants in the project, ordered by user.
pub(super) async fn in_project(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_ids: Option<&[UserId]>,
) -> Result<Vec<(UserId, String)>> {
    let mut select = project_permission::Entity::find()
        .select_only()
        .columns([project_permission::Column::UserId, project_permission::Column::PermissionId])
        .order_by_asc(project_permission::Column::UserId);
    select = match user_ids {
        Some(user_ids) => select
            .filter(beside_key(connection, project_permission::Column::ProjectId, project_id))
            .filter(project_permission::Column::UserId.is_in(user_ids.iter().copied())),
        None => select.filter(project_permission::Column::ProjectId.eq(project_id.clone())),
    };
    Ok(select.into_tuple().all(connection).await?)
}

/// Holds the membership until the transaction ends, so that it cannot end meanwhile. Answers whether there is one.
pub(super) async fn hold_membership(tx: &Tx, project_id: &ProjectId, team_id: TeamId, user_id: UserId) -> Result<bool> {
    let mut select = team_membership::Entity::find()
        .select_only()
        .column(team_membership::Column::TeamId)
        .filter(team_membership::Column::ProjectId.eq(project_id.clone()))
        .filter(team_membership::Column::TeamId.eq(team_id))
        .filter(team_membership::Column::UserId.eq(user_id));
    if tx.backend() == Backend::Postgres {
        QueryTrait::query(&mut select).lock(LockType::KeyShare);
    }
    Ok(select.into_tuple::<TeamId>().one(&**tx).await?.is_some())
}

/// Writes a grant; one that is there stays.
pub(super) async fn put_in_team(tx: &Tx, row: team_permission::Model) -> Result<()> {
    let key = [team_permission::Column::TeamId, team_permission::Column::UserId, team_permission::Column::PermissionId];
    team_permission::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
        .exec_without_returning(&**tx)
        .await?;
    Ok(())
}

/// Writes a grant; one that is there stays.
pub(super) async fn put_in_project(tx: &Tx, row: project_permission::Model) -> Result<()> {
    let key = [project_permission::Column::UserId, project_permission::Column::PermissionId];
    project_permission::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
        .exec_without_returning(&**tx)
        .await?;
    Ok(())
}

/// Answers whether it was granted.
pub(super) async fn take_in_team(
    tx: &Tx,
    project_id: &ProjectId,
    team_id: TeamId,
    user_id: UserId,
    id: &str,
) -> Result<bool> {
    let gone = team_permission::Entity::delete_many()
        .filter(team_permission::Column::ProjectId.eq(project_id.clone()))
        .filter(team_permission::Column::TeamId.eq(team_id))
        .filter(team_permission::Column::UserId.eq(user_id))
        .filter(team_permission::Column::PermissionId.eq(id))
        .exec(&**tx)
        .await?;
    Ok(gone.rows_affected > 0)
}

/// Answers whether it was granted.
pub(super) async fn take_in_project(tx: &Tx, project_id: &ProjectId, user_id: UserId, id: &str) -> Result<bool> {
    let gone = project_permission::Entity::delete_many()
        .filter(project_permission::Column::ProjectId.eq(project_id.clone()))
        .filter(project_permission::Column::UserId.eq(user_id))
        .filter(project_permission::Column::PermissionId.eq(id))
        .exec(&**tx)
        .await?;
    Ok(gone.rows_affected > 0)
}

/// Takes a permission from everybody, in either scope.
pub(super) async fn take_from_all(tx: &Tx, project_id: &ProjectId, id: &str) -> Result<()> {
    team_permission::Entity::delete_many()
        .filter(team_permission::Column::ProjectId.eq(project_id.clone()))
        .filter(team_permission::Column::PermissionId.eq(id))
        .exec(&**tx)
        .await?;
    project_permission::Entity::delete_many()
        .filter(project_permission::Column::ProjectId.eq(project_id.clone()))
        .filter(project_permission::Column::PermissionId.eq(id))
        .exec(&**tx)
        .await?;
    Ok(())
}

/// Renames a permission wherever it was granted. Nobody must hold one of the new id.
pub(super) async fn rename(tx: &Tx, project_id: &ProjectId, from: &str, to: &str) -> Result<()> {
    team_permission::Entity::update_many()
        .col_expr(team_permission::Column::PermissionId, to.into())
        .filter(team_permission::Column::ProjectId.eq(project_id.clone()))
        .filter(team_permission::Column::PermissionId.eq(from))
        .exec(&**tx)
        .await?;
    project_permission::Entity::update_many()
        .col_expr(project_permission::Column::PermissionId, to.into())
        .filter(project_permission::Column::ProjectId.eq(project_id.clone()))
        .filter(project_permission::Column::PermissionId.eq(from))
        .exec(&**tx)
        .await?;
    Ok(())
}
