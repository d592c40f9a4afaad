//! Queries of pictures, each scoped by project. None begins a transaction.

use postern_entity::image;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, Value};

use super::{Place, columns};
use crate::{ImageId, ProjectId, db::Tx, error::Result};

pub(super) async fn find(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: ImageId,
) -> Result<Option<image::Model>> {
    let select = image::Entity::find_by_id(id).filter(image::Column::ProjectId.eq(project_id.clone()));
    Ok(select.one(connection).await?)
}

pub(super) async fn insert(tx: &Tx, row: image::Model) -> Result<()> {
    image::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Removes the picture of a place.
pub(super) async fn remove(tx: &Tx, project_id: &ProjectId, place: Place) -> Result<()> {
    let (user_id, team_id, slot) = columns(place);
    let is = |column: image::Column, value: Option<Value>| match value {
        Some(value) => column.eq(value),
        None => column.is_null(),
    };
    image::Entity::delete_many()
        .filter(image::Column::ProjectId.eq(project_id.clone()))
        .filter(is(image::Column::UserId, user_id.map(Into::into)))
        .filter(is(image::Column::TeamId, team_id.map(Into::into)))
        .filter(is(image::Column::Slot, slot.map(Into::into)))
        .exec(&**tx)
        .await?;
    Ok(())
}
