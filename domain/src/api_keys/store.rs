//! Queries of API keys. Each is scoped by project, but for the one by which a leaked key is found: whoever finds it does not
//! know where it belongs. None begins a transaction.

use postern_entity::api_key;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::{KeyOwner, text::KeyText};
use crate::{
    ApiKeyId, ProjectId, Timestamp,
    db::{Backend, Tx},
    error::Result,
    random::equal_secrets,
};

pub(super) async fn insert(tx: &Tx, row: api_key::Model) -> Result<()> {
    api_key::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

pub(super) async fn find(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: ApiKeyId,
) -> Result<Option<api_key::Model>> {
    let select = api_key::Entity::find_by_id(id).filter(api_key::Column::ProjectId.eq(project_id.clone()));
    Ok(select.one(connection).await?)
}

/// Notes that a key is used now, unless a use after `due` is noted. Answers whether it was this one.
pub(super) async fn note_use(
    tx: &Tx,
    project_id: &ProjectId,
    id: ApiKeyId,
    now: Timestamp,
    due: Timestamp,
) -> Result<bool> {
    let last = api_key::Column::LastUsedAt;
    let noted = api_key::Entity::update_many()
        .col_expr(last, Expr::value(Some(now)))
        .filter(api_key::Column::ProjectId.eq(project_id.clone()))
        .filter(api_key::Column::Id.eq(id))
        .filter(last.is_null().or(last.lte(due)))
        .exec(&**tx)
        .await?;
    Ok(noted.rows_affected > 0)
}

/// The key, held until the transaction ends.
pub(super) async fn lock(tx: &Tx, project_id: &ProjectId, id: ApiKeyId) -> Result<Option<api_key::Model>> {
    let mut select = api_key::Entity::find_by_id(id).filter(api_key::Column::ProjectId.eq(project_id.clone()));
    if tx.backend() == Backend::Postgres {
        QueryTrait::query(&mut select).lock(LockType::NoKeyUpdate);
    }
    Ok(select.one(&**tx).await?)
}

/// The key that is written so, within the project.
pub(super) async fn find_by_text(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    text: &KeyText,
) -> Result<Option<api_key::Model>> {
    let found = find(connection, project_id, text.id).await?;
    Ok(found.filter(|row| equal_secrets(&row.key_hash, &text.hash)))
}

/// The key that is written so, in whatever project.
pub(super) async fn find_anywhere(connection: &impl ConnectionTrait, text: &KeyText) -> Result<Option<api_key::Model>> {
    let found = api_key::Entity::find_by_id(text.id).one(connection).await?;
    Ok(found.filter(|row| equal_secrets(&row.key_hash, &text.hash)))
}

/// The newest keys of an owner, revoked and expired ones included.
pub(super) async fn of_owner(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    owner: KeyOwner,
    limit: u64,
) -> Result<Vec<api_key::Model>> {
    let owned = match owner {
        KeyOwner::User(id) => api_key::Column::UserId.eq(id),
        KeyOwner::Team(id) => api_key::Column::TeamId.eq(id),
    };
    Ok(api_key::Entity::find()
        .filter(api_key::Column::ProjectId.eq(project_id.clone()))
        .filter(owned)
        .order_by_desc(api_key::Column::CreatedAt)
        .order_by_desc(api_key::Column::Id)
        .limit(limit)
        .all(connection)
        .await?)
}

/// Writes the columns that are set.
pub(super) async fn update(tx: &Tx, row: api_key::ActiveModel) -> Result<()> {
    api_key::Entity::update(row).exec_without_returning(&**tx).await?;
    Ok(())
}
