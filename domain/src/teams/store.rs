//! Queries of teams and memberships, each scoped by project. None begins a transaction.

use postern_entity::{team, team_membership, user};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, JoinType, Order,
    PaginatorTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, LockType, Query as SeaQuery, WindowStatement},
};

use super::Position;
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

/// The condition that teams belong to the project, or to a user of it.
pub(super) fn in_project(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_id: Option<UserId>,
) -> Condition {
    let Some(user_id) = user_id else { return Condition::all().add(team::Column::ProjectId.eq(project_id.clone())) };
    let of_user = team_membership::Entity::find()
        .select_only()
        .column(team_membership::Column::TeamId)
        .filter(team_membership::Column::UserId.eq(user_id))
        .into_query();
    Condition::all()
        .add(beside_key(connection, team::Column::ProjectId, project_id))
        .add(team::Column::Id.in_subquery(of_user))
}

/// Teams by the time they were made, from a position on, which is told with whether it is the first one itself.
pub(super) async fn list(
    connection: &impl ConnectionTrait,
    filter: Condition,
    start: Option<(Position, bool)>,
    descending: bool,
    limit: Option<u64>,
) -> Result<Vec<team::Model>> {
    let mut select = team::Entity::find().filter(filter);
    if let Some((Position { at, id }, inclusive)) = start {
        let place = Expr::tuple([team::Column::CreatedAt.into_expr(), team::Column::Id.into_expr()]);
        let position = Expr::tuple([Expr::value(at), Expr::value(id)]);
        select = select.filter(match (descending, inclusive) {
            (false, true) => place.gte(position),
            (false, false) => place.gt(position),
            (true, true) => place.lte(position),
            (true, false) => place.lt(position),
        });
    }
    let order = if descending { Order::Desc } else { Order::Asc };
    let select = select.order_by(team::Column::CreatedAt, order.clone()).order_by(team::Column::Id, order);
    Ok(select.limit(limit).all(connection).await?)
}

/// How many members a team has.
pub(super) async fn count_members(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    team_id: TeamId,
) -> Result<u64> {
    Ok(team_membership::Entity::find()
        .filter(beside_key(connection, team_membership::Column::ProjectId, project_id))
        .filter(team_membership::Column::TeamId.eq(team_id))
        .count(connection)
        .await?)
}

/// Members of a team after a position, by the time of joining.
pub(super) async fn member_page(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    team_id: TeamId,
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<ProfileRow>> {
    let select = select_profiles(connection, project_id, Some(team_id), None);
    let select = select.filter(joined_after(after));
    Ok(select.limit(limit).into_model().all(connection).await?)
}

/// Whether a membership comes after a position in the list by the time of joining.
fn joined_after(after: Option<Position>) -> Condition {
    let mut condition = Condition::all();
    if let Some(Position { at, id }) = after {
        let place =
            Expr::tuple([team_membership::Column::CreatedAt.into_expr(), team_membership::Column::UserId.into_expr()]);
        condition = condition.add(place.gt(Expr::tuple([Expr::value(at), Expr::value(id)])));
    }
    condition
}

/// The first `limit` members of each team after a position, by the time of joining.
pub(super) async fn member_pages(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    team_ids: &[TeamId],
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<ProfileRow>> {
    const NUMBERED: &str = "numbered";
    const NUMBER: &str = "number";
    let (team_id, user_id) = (team_membership::Column::TeamId, team_membership::Column::UserId);
    let mut by_joining = WindowStatement::partition_by(team_id);
    by_joining.order_by(team_membership::Column::CreatedAt, Order::Asc).order_by(user_id, Order::Asc);
    let mut numbered = team_membership::Entity::find()
        .select_only()
        .column(team_id)
        .column(user_id)
        .filter(team_id.is_in(team_ids.iter().copied()))
        .filter(joined_after(after))
        .into_query();
    numbered.expr_window_as(Expr::cust("ROW_NUMBER()"), by_joining, NUMBER);
    let mut first = SeaQuery::select();
    first
        .columns([team_id, user_id])
        .from_subquery(numbered, NUMBERED)
        .and_where(Expr::col(NUMBER).lte(i64::try_from(limit).unwrap_or(i64::MAX)));
    let select = select_profiles(connection, project_id, None, None)
        .filter(team_id.is_in(team_ids.iter().copied()))
        .filter(Expr::tuple([team_id.into_expr(), user_id.into_expr()]).in_subquery(first));
    Ok(select.into_model().all(connection).await?)
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

/// Deletes a team and what hangs on it. Answers whether it was there.
pub(super) async fn delete(tx: &Tx, project_id: &ProjectId, id: TeamId) -> Result<bool> {
    let gone = team::Entity::delete_many()
        .filter(team::Column::ProjectId.eq(project_id.clone()))
        .filter(team::Column::Id.eq(id))
        .exec(&**tx)
        .await?;
    Ok(gone.rows_affected > 0)
}

/// Ends a membership. Answers whether there was one.
pub(super) async fn remove_member(tx: &Tx, project_id: &ProjectId, team_id: TeamId, user_id: UserId) -> Result<bool> {
    let gone = team_membership::Entity::delete_many()
        .filter(team_membership::Column::ProjectId.eq(project_id.clone()))
        .filter(team_membership::Column::TeamId.eq(team_id))
        .filter(team_membership::Column::UserId.eq(user_id))
        .exec(&**tx)
        .await?;
    Ok(gone.rows_affected > 0)
}

/// Writes the columns that are set.
pub(super) async fn update_member(tx: &Tx, row: team_membership::ActiveModel) -> Result<()> {
    team_membership::Entity::update(row).exec_without_returning(&**tx).await?;
    Ok(())
}

/// A member with what its user is called and looks like.
pub(super) struct ProfileRow {
    pub(super) member: team_membership::Model,
    pub(super) display_name: Option<String>,
    pub(super) profile_image_url: Option<String>,
}

const OF_USER: &str = "user_";

impl FromQueryResult for ProfileRow {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        Ok(Self {
            member: team_membership::Model::from_query_result(row, "")?,
            display_name: row.try_get(OF_USER, "display_name")?,
            profile_image_url: row.try_get(OF_USER, "profile_image_url")?,
        })
    }
}

fn select_profiles(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    team_id: Option<TeamId>,
    user_id: Option<UserId>,
) -> Select<team_membership::Entity> {
    let to_user = team_membership::Entity::belongs_to(user::Entity)
        .from(team_membership::Column::UserId)
        .to(user::Column::Id)
        .into();
    let mut select = team_membership::Entity::find()
        .column_as(user::Column::DisplayName, format!("{OF_USER}display_name"))
        .column_as(user::Column::ProfileImageUrl, format!("{OF_USER}profile_image_url"))
        .join(JoinType::InnerJoin, to_user)
        .order_by_asc(team_membership::Column::CreatedAt)
        .order_by_asc(team_membership::Column::TeamId)
        .order_by_asc(team_membership::Column::UserId);
    select = if team_id.is_some() || user_id.is_some() {
        select.filter(beside_key(connection, team_membership::Column::ProjectId, project_id))
    } else {
        select.filter(team_membership::Column::ProjectId.eq(project_id.clone()))
    };
    if let Some(team_id) = team_id {
        select = select.filter(team_membership::Column::TeamId.eq(team_id));
    }
    if let Some(user_id) = user_id {
        select = select.filter(team_membership::Column::UserId.eq(user_id));
    }
    select
}

/// Members by the time of joining.
pub(super) async fn profiles(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    team_id: Option<TeamId>,
    user_id: Option<UserId>,
) -> Result<Vec<ProfileRow>> {
    Ok(select_profiles(connection, project_id, team_id, user_id).into_model().all(connection).await?)
}

/// One member, held until the transaction ends.
pub(super) async fn lock_profile(
    tx: &Tx,
    project_id: &ProjectId,
    team_id: TeamId,
    user_id: UserId,
) -> Result<Option<ProfileRow>> {
    let mut select = select_profiles(&**tx, project_id, Some(team_id), Some(user_id));
    if tx.backend() == Backend::Postgres {
        QueryTrait::query(&mut select).lock_with_tables(LockType::NoKeyUpdate, [team_membership::Entity]);
    }
    Ok(select.into_model().one(&**tx).await?)
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
