//! Queries of projects, config overrides and key sets. Everything but finding a project itself is scoped by it.

use postern_entity::{config_override, project};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::OnConflict,
};
use serde_json::{Map, Value};

use crate::{
    Code, ProjectId, Timestamp,
    db::Tx,
    error::{Error, Failure, Result, refuse},
};

pub(super) async fn project(connection: &impl ConnectionTrait, id: &ProjectId) -> Result<Option<project::Model>> {
    Ok(project::Entity::find_by_id(id.clone()).one(connection).await?)
}

/// The project, held until the transaction ends: whoever changes it or its config comes one after the other. A project that
/// was deleted meanwhile is refused.
pub(super) async fn lock_project(tx: &Tx, id: &ProjectId) -> Result<project::Model> {
    let mut query = project::Entity::find_by_id(id.clone());
    if tx.backend() == crate::db::Backend::Postgres {
        query = query.lock_exclusive();
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
