//! Queries of preferences, each scoped by project. None begins a transaction.

use std::collections::HashMap;

use postern_entity::notification_preference as preference;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::OnConflict};
use uuid::Uuid;

use crate::{ProjectId, Timestamp, UserId, db::Tx, error::Result};

/// What a user chose, by category.
pub(super) async fn of_user(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_id: UserId,
) -> Result<HashMap<Uuid, bool>> {
    let rows = preference::Entity::find()
        .filter(preference::Column::ProjectId.eq(project_id.clone()))
        .filter(preference::Column::UserId.eq(user_id))
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.category_id, row.is_enabled)).collect())
}

/// Writes a choice over the one before.
pub(super) async fn choose(
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    category_id: Uuid,
    is_enabled: bool,
    updated_at: Timestamp,
) -> Result<()> {
    let row = preference::Model { user_id, category_id, project_id: project_id.clone(), is_enabled, updated_at };
    let over = OnConflict::columns([preference::Column::UserId, preference::Column::CategoryId])
        .update_columns([preference::Column::IsEnabled, preference::Column::UpdatedAt])
        .to_owned();
    preference::Entity::insert(row.into_active_model()).on_conflict(over).exec_without_returning(&**tx).await?;
    Ok(())
}
