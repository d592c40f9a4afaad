//! Queries of teams and memberships, each scoped by project. None begins a transaction.

use postern_entity::{team, team_membership};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{ExprTrait, LockType},
};

use crate::{
    ProjectId, TeamId, Timestamp, UserId,
    db::{Backend, Tx, beside_key, constant},
    error::Result,
};

/// The row of a member without a profile of its own.
pub(super) fn member(
    project_id: &ProjectId,
    team_id: TeamId,
    user_id: UserId,
    is_selected: bool,
    now: Timestamp,
) -> team_membership::Model {
    team_membership::Model {
        team_id,
        user_id,
        project_id: project_id.clone(),
        is_selected,
        display_name: None,
        profile_image_url: None,
        created_at: now,
    }
}

pub(super) async fn find(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    ids: &[TeamId],
) -> Result<Vec<team::Model>> {
    Ok(team::Entity::find()
        .filter(beside_key(connection, team::Column::ProjectId, project_id))
        .filter(team::Column::Id.is_in(ids.iter().copied()))
        .all(connection)
        .await?)
}

/// All teams of the project, oldest first.
pub(super) async fn all(connection: &impl ConnectionTrait, project_id: &ProjectId) -> Result<Vec<team::Model>> {
    Ok(team::Entity::find()
        .filter(team::Column::ProjectId.eq(project_id.clone()))
        .order_by_asc(team::Column::CreatedAt)
        .order_by_asc(team::Column::Id)
        .all(connection)
        .await?)
}

/// The team, held until the transaction ends.
pub(super) async fn lock(tx: &Tx, project_id: &ProjectId, id: TeamId) -> Result<Option<team::Model>> {
    let mut select =
        team::Entity::find().filter(team::Column::ProjectId.eq(project_id.clone())).filter(team::Column::Id.eq(id));
    if tx.backend() == Backend::Postgres {
        QueryTrait::query(&mut select).lock(LockType::NoKeyUpdate);
    }
    Ok(select.one(&**tx).await?)
}

pub(super) async fn update(tx: &Tx, row: team::ActiveModel) -> Result<team::Model> {
    Ok(row.update(&**tx).await?)
}

/// Who belongs to which team, of the users given; each user's teams oldest first.
pub(super) async fn of_users(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_ids: &[UserId],
) -> Result<Vec<(team_membership::Model, team::Model)>> {
    let on_team = team_membership::Entity::belongs_to(team::Entity)
        .from(team_membership::Column::TeamId)
        .to(team::Column::Id)
        .into();
    Ok(team_membership::Entity::find()
        .join(JoinType::InnerJoin, on_team)
        .filter(beside_key(connection, team_membership::Column::ProjectId, project_id))
        .filter(team_membership::Column::UserId.is_in(user_ids.iter().copied()))
        .order_by_asc(team::Column::CreatedAt)
        .order_by_asc(team::Column::Id)
        .select_also(team::Entity)
        .all(connection)
        .await?
        .into_iter()
        .filter_map(|(membership, team)| Some((membership, team?)))
        .collect())
}

pub(super) async fn is_member(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    team_id: TeamId,
    user_id: UserId,
) -> Result<bool> {
    Ok(team_membership::Entity::find_by_id((team_id, user_id))
        .filter(team_membership::Column::ProjectId.eq(project_id.clone()))
        .one(connection)
        .await?
        .is_some())
}

/// The teams a user belongs to, in the order of joining.
pub(crate) async fn memberships_of(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_id: UserId,
) -> Result<Vec<TeamId>> {
    Ok(team_membership::Entity::find()
        .select_only()
        .column(team_membership::Column::TeamId)
        .filter(team_membership::Column::ProjectId.eq(project_id.clone()))
        .filter(team_membership::Column::UserId.eq(user_id))
        .order_by_asc(team_membership::Column::CreatedAt)
        .order_by_asc(team_membership::Column::TeamId)
        .into_tuple()
        .all(connection)
        .await?)
}

/// Makes `team_id` the only selected team of the user, or none. Answers whether the user belongs to it. The caller holds
/// the user's row.
pub(crate) async fn select_in(
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    team_id: Option<TeamId>,
) -> Result<bool> {
    let of_user = || {
        team_membership::Entity::update_many()
            .filter(team_membership::Column::ProjectId.eq(project_id.clone()))
            .filter(team_membership::Column::UserId.eq(user_id))
    };
    // First none, then one: at no instant are two selected, which the index would refuse.
    of_user()
        .col_expr(team_membership::Column::IsSelected, false.into())
        .filter(team_membership::Column::IsSelected.into_expr().eq(constant(true)))
        .exec(&**tx)
        .await?;
    let Some(team_id) = team_id else { return Ok(true) };
    let selected = of_user()
        .col_expr(team_membership::Column::IsSelected, true.into())
        .filter(team_membership::Column::TeamId.eq(team_id))
        .exec(&**tx)
        .await?;
    Ok(selected.rows_affected > 0)
}

/// Renames every team of the user that is called `from`.
pub(super) async fn rename_of_user(
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    from: &str,
    to: &str,
    now: Timestamp,
) -> Result<()> {
    let of_user = team_membership::Entity::find()
        .select_only()
        .column(team_membership::Column::TeamId)
        .filter(team_membership::Column::UserId.eq(user_id))
        .into_query();
    team::Entity::update_many()
        .col_expr(team::Column::DisplayName, to.into())
        .col_expr(team::Column::UpdatedAt, now.millis().into())
        .filter(team::Column::ProjectId.eq(project_id.clone()))
        .filter(team::Column::DisplayName.eq(from))
        .filter(team::Column::Id.in_subquery(of_user))
        .exec(&**tx)
        .await?;
    Ok(())
}
