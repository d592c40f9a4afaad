//! Queries of contact channels, each scoped by project. None begins a transaction.

use postern_entity::contact_channel;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, Select};

use super::EMAIL;
use crate::{
    ContactChannelId, ProjectId, UserId,
    db::{Tx, violates_unique},
    email_address::EmailAddress,
    error::Result,
};

/// Whether the write was refused because somebody in the project already signs in with the address.
pub(super) fn is_taken_for_auth(error: &DbErr) -> bool {
    violates_unique(
        error,
        "contact_channel_auth",
        "contact_channel.project_id, contact_channel.kind, contact_channel.value",
    )
}

/// All channels of the project, oldest first.
pub(super) fn channels(project_id: &ProjectId) -> Select<contact_channel::Entity> {
    contact_channel::Entity::find()
        .filter(contact_channel::Column::ProjectId.eq(project_id.clone()))
        .filter(contact_channel::Column::Kind.eq(EMAIL))
        .order_by_asc(contact_channel::Column::CreatedAt)
        .order_by_asc(contact_channel::Column::Id)
}

pub(super) async fn list(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_id: Option<UserId>,
    id: Option<ContactChannelId>,
) -> Result<Vec<contact_channel::Model>> {
    let mut select = channels(project_id);
    if let Some(user_id) = user_id {
        select = select.filter(contact_channel::Column::UserId.eq(user_id));
    }
    if let Some(id) = id {
        select = select.filter(contact_channel::Column::Id.eq(id));
    }
    Ok(select.all(connection).await?)
}

/// The channels of some users, each user's oldest first.
pub(in crate::users) async fn of_users(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_ids: &[UserId],
) -> Result<Vec<contact_channel::Model>> {
    Ok(channels(project_id)
        .filter(contact_channel::Column::UserId.is_in(user_ids.iter().copied()))
        .all(connection)
        .await?)
}

pub(super) async fn find_many(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    ids: &[ContactChannelId],
) -> Result<Vec<contact_channel::Model>> {
    Ok(channels(project_id).filter(contact_channel::Column::Id.is_in(ids.iter().copied())).all(connection).await?)
}

pub(super) async fn find_for_auth(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    address: &EmailAddress,
) -> Result<Option<contact_channel::Model>> {
    Ok(channels(project_id)
        .filter(contact_channel::Column::Value.eq(address.as_str()))
        .filter(contact_channel::Column::UsedForAuth.eq(true))
        .one(connection)
        .await?)
}

pub(in crate::users) async fn insert(tx: &Tx, row: contact_channel::Model) -> Result<()> {
    contact_channel::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Writes the columns that are set.
pub(in crate::users) async fn update(tx: &Tx, row: contact_channel::ActiveModel) -> Result<contact_channel::Model> {
    Ok(contact_channel::Entity::update(row).exec(&**tx).await?)
}

pub(super) async fn delete(tx: &Tx, project_id: &ProjectId, id: ContactChannelId) -> Result<()> {
    contact_channel::Entity::delete_many()
        .filter(contact_channel::Column::ProjectId.eq(project_id.clone()))
        .filter(contact_channel::Column::Id.eq(id))
        .exec(&**tx)
        .await?;
    Ok(())
}
