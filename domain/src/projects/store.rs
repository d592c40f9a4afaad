//! Queries of projects, config overrides and key sets. Everything but finding a project itself is scoped by it.

use postern_entity::{config_override, installation_secret, key_set, project};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{LockType, OnConflict},
};
use serde_json::{Map, Value};

use crate::{
    Code, KeySetId, Level, ProjectId, TeamId, Timestamp,
    db::Tx,
    error::{Error, Failure, Result, refuse},
    projects::KeySet,
};

pub(super) async fn project(connection: &impl ConnectionTrait, id: &ProjectId) -> Result<Option<project::Model>> {
    Ok(project::Entity::find_by_id(id.clone()).filter(project::Column::DeletedAt.is_null()).one(connection).await?)
}

/// Projects that any of the teams owns, oldest first.
pub(super) async fn projects_of(
    connection: &impl ConnectionTrait,
    owner_team_ids: &[TeamId],
) -> Result<Vec<project::Model>> {
    Ok(project::Entity::find()
        .filter(project::Column::OwnerTeamId.is_in(owner_team_ids.iter().copied()))
        .filter(project::Column::DeletedAt.is_null())
        .order_by_asc(project::Column::CreatedAt)
        .order_by_asc(project::Column::Id)
        .all(connection)
        .await?)
}

pub(super) async fn insert_project(tx: &Tx, row: project::Model) -> Result<()> {
    project::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Writes every column of a project that is there.
pub(super) async fn update_project(tx: &Tx, row: project::Model) -> Result<()> {
    let id = row.id.clone();
    project::Entity::update_many()
        .set(row.into_active_model().reset_all())
        .filter(project::Column::Id.eq(id))
        .exec(&**tx)
        .await?;
    Ok(())
}

/// Whether the project is marked as deleted and its row still there. Held until the transaction ends, so that nobody adds rows to it meanwhile.
pub(super) async fn hold_deleted(tx: &Tx, id: &ProjectId) -> Result<bool> {
    let mut query = project::Entity::find_by_id(id.clone());
    if tx.backend() == crate::db::Backend::Postgres {
        query = query.lock(LockType::Update);
    }
    Ok(query.one(&**tx).await?.is_some_and(|row| row.deleted_at.is_some()))
}

/// Removes the row of a project marked as deleted, and what hangs on it.
pub(super) async fn remove_deleted(tx: &Tx, id: &ProjectId) -> Result<()> {
    project::Entity::delete_many()
        .filter(project::Column::Id.eq(id.clone()))
        .filter(project::Column::DeletedAt.is_not_null())
        .exec(&**tx)
        .await?;
    Ok(())
}

/// The project, held until the transaction ends: whoever changes it or its config comes one after the other. A project that
/// was deleted meanwhile is refused.
pub(super) async fn lock_project(tx: &Tx, id: &ProjectId) -> Result<project::Model> {
    locked_project(tx, id, LockType::Update).await
}

/// The same for whoever changes what follows from the config: several may at once, while nobody changes the config.
pub(super) async fn hold_project(tx: &Tx, id: &ProjectId) -> Result<project::Model> {
    locked_project(tx, id, LockType::Share).await
}

async fn locked_project(tx: &Tx, id: &ProjectId, lock: LockType) -> Result<project::Model> {
    let mut query = project::Entity::find_by_id(id.clone()).filter(project::Column::DeletedAt.is_null());
    if tx.backend() == crate::db::Backend::Postgres {
        query = query.lock(lock);
    }
    match query.one(&**tx).await? {
        Some(project) => Ok(project),
        None => refuse(no_such_project(id)),
    }
}

/// The refusal of a request whose own project is not there.
pub(super) fn no_such_project(id: &ProjectId) -> Failure {
    Failure::new(Code::CurrentProjectNotFound, "There is no such project.")
        .with(serde_json::json!({ "project_id": id.as_str() }))
}

/// What the levels store; a level that stores nothing may have no row.
pub(super) async fn overrides(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
) -> Result<Vec<config_override::Model>> {
    Ok(config_override::Entity::find()
        .filter(config_override::Column::ProjectId.eq(project_id.clone()))
        .all(connection)
        .await?)
}

pub(super) async fn config_override(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    level: &str,
) -> Result<Option<config_override::Model>> {
    Ok(config_override::Entity::find_by_id((project_id.clone(), level.to_owned())).one(connection).await?)
}

/// What one level stores, secrets sealed; empty when it stores nothing.
pub(super) async fn override_value(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    level: &str,
) -> Result<Map<String, Value>> {
    match config_override(connection, project_id, level).await?.map(|row| row.value) {
        None => Ok(Map::new()),
        Some(Value::Object(value)) => Ok(value),
        Some(_) => Err(Error::internal("a stored config override is no object")),
    }
}

/// Stores a level. `source`: `None` keeps the one that is there.
pub(super) async fn put_override(
    tx: &Tx,
    project_id: &ProjectId,
    level: &str,
    value: &Map<String, Value>,
    source: Option<Option<Value>>,
    now: Timestamp,
) -> Result<()> {
    let mut columns = vec![config_override::Column::Value, config_override::Column::UpdatedAt];
    if source.is_some() {
        columns.push(config_override::Column::Source);
    }
    let row = config_override::ActiveModel {
        project_id: Set(project_id.clone()),
        level: Set(level.to_owned()),
        value: Set(Value::Object(value.clone())),
        source: source.map_or(NotSet, Set),
        updated_at: Set(now),
    };
    let key = [config_override::Column::ProjectId, config_override::Column::Level];
    config_override::Entity::insert(row)
        .on_conflict(OnConflict::columns(key).update_columns(columns).to_owned())
        .exec_without_returning(&**tx)
        .await?;
    Ok(())
}

pub(super) async fn forget_source(tx: &Tx, project_id: &ProjectId, now: Timestamp) -> Result<()> {
    config_override::Entity::update_many()
        .set(config_override::ActiveModel { source: Set(None), updated_at: Set(now), ..Default::default() })
        .filter(config_override::Column::ProjectId.eq(project_id.clone()))
        .filter(config_override::Column::Level.eq("branch"))
        .exec(&**tx)
        .await?;
    Ok(())
}

pub(super) async fn insert_key_set(tx: &Tx, row: key_set::Model) -> Result<()> {
    key_set::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

pub(super) async fn key_sets(connection: &impl ConnectionTrait, project_id: &ProjectId) -> Result<Vec<key_set::Model>> {
    Ok(key_set::Entity::find()
        .filter(key_set::Column::ProjectId.eq(project_id.clone()))
        .order_by_desc(key_set::Column::CreatedAt)
        .order_by_desc(key_set::Column::Id)
        .all(connection)
        .await?)
}

pub(super) async fn key_set(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: KeySetId,
) -> Result<Option<key_set::Model>> {
    Ok(key_set::Entity::find_by_id(id)
        .filter(key_set::Column::ProjectId.eq(project_id.clone()))
        .one(connection)
        .await?)
}

/// Writes what may change of a key set.
pub(super) async fn update_key_set(tx: &Tx, project_id: &ProjectId, changed: &KeySet) -> Result<()> {
    key_set::Entity::update_many()
        .set(key_set::ActiveModel {
            description: Set(changed.description.clone()),
            revoked_at: Set(changed.revoked_at),
            ..Default::default()
        })
        .filter(key_set::Column::Id.eq(changed.id))
        .filter(key_set::Column::ProjectId.eq(project_id.clone()))
        .exec(&**tx)
        .await?;
    Ok(())
}

/// When the key with this hash expires; `None` when the project has no such key for this level, or it was revoked.
pub(super) async fn key_expiry(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    level: Level,
    hash: &[u8],
) -> Result<Option<Timestamp>> {
    let column = match level {
        Level::Client => key_set::Column::PublishableClientKeyHash,
        Level::Server => key_set::Column::SecretServerKeyHash,
        Level::Admin => key_set::Column::SuperSecretAdminKeyHash,
    };
    let found = key_set::Entity::find()
        .filter(column.eq(hash.to_vec()))
        .filter(key_set::Column::ProjectId.eq(project_id.clone()))
        .filter(key_set::Column::RevokedAt.is_null())
        .one(connection)
        .await?;
    Ok(found.map(|row| row.expires_at))
}

pub(super) async fn delete_key_set(tx: &Tx, project_id: &ProjectId, id: KeySetId) -> Result<()> {
    key_set::Entity::delete_many()
        .filter(key_set::Column::Id.eq(id))
        .filter(key_set::Column::ProjectId.eq(project_id.clone()))
        .exec(&**tx)
        .await?;
    Ok(())
}

pub(super) async fn installation_secret(
    connection: &impl ConnectionTrait,
    name: &str,
) -> Result<Option<installation_secret::Model>> {
    Ok(installation_secret::Entity::find_by_id(name.to_owned()).one(connection).await?)
}

/// Writes it, over one of the same name.
pub(super) async fn put_installation_secret(tx: &Tx, row: installation_secret::Model) -> Result<()> {
    let over = OnConflict::column(installation_secret::Column::Name)
        .update_column(installation_secret::Column::Value)
        .to_owned();
    installation_secret::Entity::insert(row.into_active_model())
        .on_conflict(over)
        .exec_without_returning(&**tx)
        .await?;
    Ok(())
}
