//! Queries of users, each scoped by project. None begins a transaction.

use postern_entity::{contact_channel, team, team_membership, user};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, IntoActiveModel, Iterable, JoinType,
    QueryFilter, QueryResult, QuerySelect, QueryTrait, RelationDef, Select,
    sea_query::{Condition, Expr, ExprTrait, IntoCondition, LockType},
};

use super::{User, channels::EMAIL};
use crate::{
    ProjectId, UserId,
    db::{Backend, Tx},
    email_address::EmailAddress,
    error::Result,
    projects::ProjectConfig,
};

/// A user with what its view is made of.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) row: user::Model,
    pub(super) primary: Option<contact_channel::Model>,
    pub(super) selected_team: Option<team::Model>,
}

impl Loaded {
    pub(super) fn into_user(self, config: &ProjectConfig) -> User {
        User::new(self.row, self.primary, self.selected_team, config)
    }
}

const PRIMARY: &str = "primary_";
const TEAM: &str = "team_";

impl FromQueryResult for Loaded {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        Ok(Self {
            row: user::Model::from_query_result(row, "")?,
            primary: contact_channel::Model::from_query_result_optional(row, PRIMARY)?,
            selected_team: team::Model::from_query_result_optional(row, TEAM)?,
        })
    }
}

/// All users of the project with what their views are made of: one statement, however many they are.
pub(super) fn loaded(project_id: &ProjectId) -> Select<user::Entity> {
    let mut select = user::Entity::find()
        .join(JoinType::LeftJoin, to_primary_email())
        .join(JoinType::LeftJoin, to_selected_membership())
        .join(JoinType::LeftJoin, to_team())
        .filter(user::Column::ProjectId.eq(project_id.clone()));
    for column in contact_channel::Column::iter() {
        select = select.column_as(column, format!("{PRIMARY}{}", column.as_str()));
    }
    for column in team::Column::iter() {
        select = select.column_as(column, format!("{TEAM}{}", column.as_str()));
    }
    select
}

fn to_primary_email() -> RelationDef {
    user::Entity::belongs_to(contact_channel::Entity)
        .from(user::Column::Id)
        .to(contact_channel::Column::UserId)
        .on_condition(|_, channel| {
            Condition::all()
                .add(Expr::col((channel.clone(), contact_channel::Column::Kind)).eq(EMAIL))
                .add(Expr::col((channel, contact_channel::Column::IsPrimary)).eq(true))
        })
        .into()
}

fn to_selected_membership() -> RelationDef {
    user::Entity::belongs_to(team_membership::Entity)
        .from(user::Column::Id)
        .to(team_membership::Column::UserId)
        .on_condition(|_, membership| {
            Expr::col((membership, team_membership::Column::IsSelected)).eq(true).into_condition()
        })
        .into()
}

fn to_team() -> RelationDef {
    team_membership::Entity::belongs_to(team::Entity).from(team_membership::Column::TeamId).to(team::Column::Id).into()
}

pub(super) async fn find(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: UserId,
) -> Result<Option<Loaded>> {
    Ok(loaded(project_id).filter(user::Column::Id.eq(id)).into_model().one(connection).await?)
}

pub(super) async fn find_many(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    ids: &[UserId],
) -> Result<Vec<Loaded>> {
    Ok(loaded(project_id).filter(user::Column::Id.is_in(ids.iter().copied())).into_model().all(connection).await?)
}

/// The user who may sign in with the address.
pub(super) async fn find_by_auth_email(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    address: &EmailAddress,
) -> Result<Option<Loaded>> {
    let holder = contact_channel::Entity::find()
        .select_only()
        .column(contact_channel::Column::UserId)
        .filter(contact_channel::Column::ProjectId.eq(project_id.clone()))
        .filter(contact_channel::Column::Kind.eq(EMAIL))
        .filter(contact_channel::Column::Value.eq(address.as_str()))
        .filter(contact_channel::Column::UsedForAuth.eq(true))
        .into_query();
    Ok(loaded(project_id).filter(user::Column::Id.in_subquery(holder)).into_model().one(connection).await?)
}

/// Holds the user until the transaction ends, so that changes of one user follow each other. Answers whether there is such
/// a user. What is read of the user must be read after this: on PostgreSQL a statement that waits for the lock still sees
/// other tables as they were before.
pub(super) async fn lock(tx: &Tx, project_id: &ProjectId, id: UserId) -> Result<bool> {
    let mut select = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::ProjectId.eq(project_id.clone()))
        .filter(user::Column::Id.eq(id));
    if tx.backend() == Backend::Postgres {
        QueryTrait::query(&mut select).lock(LockType::Update);
    }
    Ok(select.into_tuple::<UserId>().one(&**tx).await?.is_some())
}

pub(super) async fn insert(tx: &Tx, row: user::Model) -> Result<()> {
    user::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Writes the columns that are set.
pub(super) async fn update(tx: &Tx, row: user::ActiveModel) -> Result<()> {
    user::Entity::update(row).exec_without_returning(&**tx).await?;
    Ok(())
}

pub(super) async fn delete(tx: &Tx, project_id: &ProjectId, id: UserId) -> Result<()> {
    user::Entity::delete_many()
        .filter(user::Column::ProjectId.eq(project_id.clone()))
        .filter(user::Column::Id.eq(id))
        .exec(&**tx)
        .await?;
    Ok(())
}
