//! Queries of users, each scoped by project. None begins a transaction.

use futures::FutureExt;
use postern_entity::{ContactChannelId, TeamId, contact_channel, positional::Positional, team, team_membership, user};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, JoinType,
    QueryFilter, QueryResult, QuerySelect, QueryTrait, RelationDef, Select, TryGetable,
    sea_query::{Condition, Expr, ExprTrait, IntoCondition, LockType},
};
use serde::Deserialize;

use super::{OAuthAccount, User, channels::EMAIL};
use crate::{
    ProjectId, UserId,
    db::{Backend, Fetched, KeptLookup, KeptQuery, Reader, Tx, beside_key, constant},
    email_address::EmailAddress,
    error::Result,
    projects::ProjectConfig,
};

/// A user with what its view is made of.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) row: user::Model,
    pub(super) primary: Option<contact_channel::Model>,
    pub(super) selected_team: Option<team::Model>,
    /// Oldest first.
    pub(super) oauth_accounts: Vec<OAuthAccount>,
    pub(super) has_passkey: bool,
}

impl Loaded {
    pub(super) fn into_user(self, config: &ProjectConfig) -> User {
        User::new(self.row, self.primary, self.selected_team, self.oauth_accounts, self.has_passkey, config)
    }
}

const PRIMARY: &str = "primary_";
const TEAM: &str = "team_";
const ACCOUNTS: &str = "linked_accounts";
const HAS_PASSKEY: &str = "has_passkey";
/// Where the columns begin that [`loaded`] selects, in its order.
const PRIMARY_AT: usize = user::Model::COLUMNS.len();
const TEAM_AT: usize = PRIMARY_AT + contact_channel::Model::COLUMNS.len();
const ACCOUNTS_AT: usize = TEAM_AT + team::Model::COLUMNS.len();
const HAS_PASSKEY_AT: usize = ACCOUNTS_AT + 1;

impl FromQueryResult for Loaded {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        Ok(Self {
            row: user::Model::read_at(row, 0)?,
            primary: joined::<_, ContactChannelId>(row, PRIMARY_AT)?,
            selected_team: joined::<_, TeamId>(row, TEAM_AT)?,
            oauth_accounts: match row.try_get_by_index::<Option<String>>(ACCOUNTS_AT)? {
                Some(json) => read_accounts(&json).map_err(|error| DbErr::Json(error.to_string()))?,
                None => Vec::new(),
            },
            has_passkey: row.try_get_by_index(HAS_PASSKEY_AT)?,
        })
    }
}

/// A row that was joined, if there is one: its key, which stands first, tells.
fn joined<M: Positional, I: TryGetable>(row: &QueryResult, first: usize) -> Result<Option<M>, DbErr> {
    match row.try_get_by_index::<Option<I>>(first)? {
        Some(_) => M::read_at(row, first).map(Some),
        None => Ok(None),
    }
}

/// The linked accounts of the user of the outer statement as one JSON text: a join would make a row of each.
fn accounts_as_json(backend: DbBackend) -> Expr {
    let (list, object, id, text) = match backend {
        DbBackend::Sqlite => ("json_group_array", "json_object", "hex(a.id)", ""),
        _ => ("json_agg", "json_build_object", "a.id", "::text"),
    };
    Expr::cust(format!(
        r#"(SELECT {list}({object}('id', {id}, 'created_at', a.created_at, 'provider_config_id', a.provider_config_id,
            'account_id', a.account_id, 'email', a.email)){text}
            FROM "linked_account" AS a WHERE a.user_id = "user"."id")"#
    ))
}

/// Sorted here: the databases would sort the accounts of each user anew.
fn read_accounts(json: &str) -> serde_json::Result<Vec<OAuthAccount>> {
    #[derive(Deserialize)]
    struct Account {
        id: String,
        created_at: i64,
        #[serde(flatten)]
        account: OAuthAccount,
    }
    let mut accounts: Vec<Account> = serde_json::from_str(json)?;
    accounts.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    Ok(accounts.into_iter().map(|account| account.account).collect())
}

/// Users of the project with what their views are made of: one statement, however many they are. The caller adds `scope`,
/// the condition that they are of the project.
pub(super) fn loaded(backend: DbBackend, scope: impl IntoCondition) -> Select<user::Entity> {
    let mut select = user::Entity::find()
        .join(JoinType::LeftJoin, to_primary_email())
        .join(JoinType::LeftJoin, to_selected_membership())
        .join(JoinType::LeftJoin, to_team())
        .filter(scope);
    for column in contact_channel::Column::iter() {
        select = select.column_as(column, format!("{PRIMARY}{}", column.as_str()));
    }
    for column in team::Column::iter() {
        select = select.column_as(column, format!("{TEAM}{}", column.as_str()));
    }
    let has_passkey = Expr::cust(r#"EXISTS (SELECT 1 FROM "passkey" AS p WHERE p.user_id = "user"."id")"#);
    select.expr_as(accounts_as_json(backend), ACCOUNTS).expr_as(has_passkey, HAS_PASSKEY)
}

fn loaded_by_key(connection: &impl ConnectionTrait, project_id: &ProjectId) -> Select<user::Entity> {
    loaded(connection.get_database_backend(), beside_key(connection, user::Column::ProjectId, project_id))
}

fn to_primary_email() -> RelationDef {
    user::Entity::belongs_to(contact_channel::Entity)
        .from(user::Column::Id)
        .to(contact_channel::Column::UserId)
        .on_condition(|_, channel| {
            Condition::all()
                .add(Expr::col((channel.clone(), contact_channel::Column::Kind)).eq(constant(EMAIL)))
                .add(Expr::col((channel, contact_channel::Column::IsPrimary)).eq(constant(true)))
        })
        .into()
}

fn to_selected_membership() -> RelationDef {
    user::Entity::belongs_to(team_membership::Entity)
        .from(user::Column::Id)
        .to(team_membership::Column::UserId)
        .on_condition(|_, membership| {
            Expr::col((membership, team_membership::Column::IsSelected)).eq(constant(true)).into_condition()
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
    static BY_ID: KeptQuery = KeptQuery::new();
    let statement = BY_ID.with(connection, [project_id.clone().into(), id.into()], |backend| {
        loaded_by_key(connection, project_id).filter(user::Column::Id.eq(id)).build(backend)
    });
    Ok(Loaded::find_by_statement(statement).one(connection).await?)
}

/// Users by id, whatever their projects.
pub(super) fn find_all<'a>(connection: &'a Reader, ids: &'a [UserId]) -> Fetched<'a, UserId, Loaded> {
    static BY_IDS: KeptLookup = KeptLookup::new();
    async move {
        let statement = BY_IDS.with(connection, ids, |backend| {
            loaded(backend, user::Column::Id.is_in(ids.iter().copied())).build(backend)
        });
        let found = Loaded::find_by_statement(statement).all(connection).await?;
        Ok(found.into_iter().map(|loaded| (loaded.row.id, loaded)).collect())
    }
    .boxed()
}

/// Users by id.
pub(super) fn with_ids(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    ids: &[UserId],
) -> Select<user::Entity> {
    loaded_by_key(connection, project_id).filter(user::Column::Id.is_in(ids.iter().copied()))
}

/// The user who may sign in with the address.
pub(super) fn with_auth_email(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    address: &EmailAddress,
) -> Select<user::Entity> {
    let holder = contact_channel::Entity::find()
        .select_only()
        .column(contact_channel::Column::UserId)
        .filter(contact_channel::Column::ProjectId.eq(project_id.clone()))
        .filter(contact_channel::Column::Kind.into_expr().eq(constant(EMAIL)))
        .filter(contact_channel::Column::Value.eq(address.as_str()))
        .filter(contact_channel::Column::UsedForAuth.into_expr().eq(constant(true)))
        .into_query();
    // At most one by the unique index; as a single value, not as a list, it is looked up by the primary key.
    let holder = Expr::SubQuery(None, Box::new(holder.into()));
    loaded_by_key(connection, project_id).filter(Expr::col((user::Entity, user::Column::Id)).eq(holder))
}

/// Holds the user until the transaction ends, so that changes of one user follow each other. Answers whether there is such
/// a user. What is read of the user must be read after this: on PostgreSQL a statement that waits for the lock still sees
/// other tables as they were before.
pub(super) async fn lock(tx: &Tx, project_id: &ProjectId, id: UserId) -> Result<bool> {
    // The weaker lock lets others write rows that refer to the user, such as sessions.
    hold(tx, project_id, id, LockType::NoKeyUpdate).await
}

/// The same for a user about to be deleted.
pub(super) async fn lock_to_delete(tx: &Tx, project_id: &ProjectId, id: UserId) -> Result<bool> {
    hold(tx, project_id, id, LockType::Update).await
}

async fn hold(tx: &Tx, project_id: &ProjectId, id: UserId, lock: LockType) -> Result<bool> {
    let mut select = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::ProjectId.eq(project_id.clone()))
        .filter(user::Column::Id.eq(id));
    if tx.backend() == Backend::Postgres {
        QueryTrait::query(&mut select).lock(lock);
    }
    Ok(select.into_tuple::<UserId>().one(&**tx).await?.is_some())
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
