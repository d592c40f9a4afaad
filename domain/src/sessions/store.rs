//! Queries of sessions, each scoped by project. None begins a transaction.

use futures::FutureExt;
use postern_entity::session;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, sea_query::LockType,
};

use crate::{
    ProjectId, SessionId, Timestamp, UserId,
    db::{Backend, Fetched, KeptLookup, Reader, Tx},
    error::Result,
};

/// What the database holds of a refresh token.
pub(super) type TokenHash = Vec<u8>;

/// From where sessions of the user that have not ended were begun, and where browsers last used them; the newest ones.
pub(super) async fn places(
    reader: &Reader,
    project_id: &ProjectId,
    user_id: UserId,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<(Option<String>, Option<String>)>> {
    let found = session::Entity::find()
        .select_only()
        .columns([session::Column::Network, session::Column::LastUsedIp])
        .filter(session::Column::UserId.eq(user_id))
        .filter(session::Column::ProjectId.eq(project_id.clone()))
        .filter(session::Column::ExpiresAt.gt(now))
        .order_by_desc(session::Column::CreatedAt)
        .limit(limit);
    Ok(found.into_tuple().all(reader).await?)
}

pub(super) async fn insert(tx: &Tx, row: session::Model) -> Result<()> {
    session::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

/// The session that each of these tokens belongs to.
pub(super) fn by_token_hashes<'a, C: ConnectionTrait>(
    connection: &'a C,
    hashes: &'a [TokenHash],
) -> Fetched<'a, TokenHash, session::Model> {
    static BY_TOKEN: KeptLookup = KeptLookup::new();
    async move {
        let statement = BY_TOKEN.with(connection, hashes, |backend| {
            session::Entity::find().filter(session::Column::TokenHash.is_in(hashes.iter().cloned())).build(backend)
        });
        let rows = session::Model::find_by_statement(statement).all(connection).await?;
        Ok(rows.into_iter().map(|row| (row.token_hash.clone(), row)).collect())
    }
    .boxed()
}

/// Of what project each of these sessions is, and when it ends.
pub(super) fn lives<'a>(
    connection: &'a Reader,
    ids: &'a [SessionId],
) -> Fetched<'a, SessionId, (ProjectId, Timestamp)> {
    static LIVES: KeptLookup = KeptLookup::new();
    async move {
        let statement = LIVES.with(connection, ids, |backend| {
            session::Entity::find()
                .select_only()
                .columns([session::Column::Id, session::Column::ProjectId, session::Column::ExpiresAt])
                .filter(session::Column::Id.is_in(ids.iter().copied()))
                .build(backend)
        });
        let rows = connection.query_all_raw(statement).await?;
        let read =
            |row: &QueryResult| Ok((row.try_get_by_index(0)?, (row.try_get_by_index(1)?, row.try_get_by_index(2)?)));
        rows.iter().map(read).collect()
    }
    .boxed()
}

pub(super) async fn find(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: SessionId,
) -> Result<Option<session::Model>> {
    Ok(session::Entity::find_by_id(id)
        .filter(session::Column::ProjectId.eq(project_id.clone()))
        .one(connection)
        .await?)
}

/// The newest sessions of a user, expired ones included.
pub(super) async fn of_user(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_id: UserId,
    with_impersonation: bool,
    limit: u64,
) -> Result<Vec<session::Model>> {
    let mut select = session::Entity::find()
        .filter(session::Column::ProjectId.eq(project_id.clone()))
        .filter(session::Column::UserId.eq(user_id));
    if !with_impersonation {
        select = select.filter(session::Column::IsImpersonation.eq(false));
    }
    Ok(select
        .order_by_desc(session::Column::CreatedAt)
        .order_by_desc(session::Column::Id)
        .limit(limit)
        .all(connection)
        .await?)
}

/// Holds the sessions of a user, in key order, and answers their ids.
pub(super) async fn lock_of_user(tx: &Tx, project_id: &ProjectId, user_id: UserId) -> Result<Vec<SessionId>> {
    let mut select = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Column::ProjectId.eq(project_id.clone()))
        .filter(session::Column::UserId.eq(user_id))
        .order_by_asc(session::Column::Id);
    if tx.backend() == Backend::Postgres {
        QueryTrait::query(&mut select).lock(LockType::Update);
    }
    Ok(select.into_tuple().all(&**tx).await?)
}

/// Removes sessions of the project; answers how many there were.
pub(super) async fn delete(
    tx: &Tx,
    project_id: &ProjectId,
    ids: impl IntoIterator<Item = SessionId> + Send,
) -> Result<u64> {
    let deleted = session::Entity::delete_many()
        .filter(session::Column::ProjectId.eq(project_id.clone()))
        .filter(session::Column::Id.is_in(ids))
        .exec(&**tx)
        .await?;
    Ok(deleted.rows_affected)
}

/// Removes some sessions of all projects that expired before `before`.
pub(super) async fn delete_expired(tx: &Tx, before: Timestamp, limit: u64) -> Result<u64> {
    let old: Vec<SessionId> = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Column::ExpiresAt.lt(before))
        .limit(limit)
        .into_tuple()
        .all(&**tx)
        .await?;
    let expired = session::Entity::delete_many().filter(session::Column::Id.is_in(old));
    Ok(expired.exec(&**tx).await?.rows_affected)
}
