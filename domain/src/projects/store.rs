//! Queries of projects, config overrides and key sets. Everything but finding a project itself is scoped by it.

use postern_entity::{config_override, project};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::{ProjectId, error::Result};

pub(super) async fn project(connection: &impl ConnectionTrait, id: &ProjectId) -> Result<Option<project::Model>> {
    Ok(project::Entity::find_by_id(id.clone()).one(connection).await?)
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
