//! Queries of contact channels, each scoped by project. None begins a transaction.

use postern_entity::contact_channel;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, Select,
    sea_query::{Expr, ExprTrait},
};

use super::EMAIL;
use crate::{
    ContactChannelId, ProjectId, UserId,
    db::{Tx, beside_key, constant, violates_unique},
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

/// Channels, oldest first. The caller adds `scope`, the condition that they are of the project.
fn channels(scope: Expr) -> Select<contact_channel::Entity> {
    contact_channel::Entity::find()
        .filter(scope)
        .filter(contact_channel::Column::Kind.into_expr().eq(constant(EMAIL)))
        .order_by_asc(contact_channel::Column::CreatedAt)
        .order_by_asc(contact_channel::Column::Id)
}

fn channels_by_key(connection: &impl ConnectionTrait, project_id: &ProjectId) -> Select<contact_channel::Entity> {
    channels(beside_key(connection, contact_channel::Column::ProjectId, project_id))
}

/// All channels of the project, those of a user, a single one, or a single one if it is the user's.
pub(in crate::users) fn list(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_id: Option<UserId>,
    id: Option<ContactChannelId>,
) -> Select<contact_channel::Entity> {
    if user_id.is_none() && id.is_none() {
        return channels(contact_channel::Column::ProjectId.eq(project_id.clone()));
    }
    let mut select = channels_by_key(connection, project_id);
    if let Some(user_id) = user_id {
        select = select.filter(contact_channel::Column::UserId.eq(user_id));
    }
    if let Some(id) = id {
        select = select.filter(contact_channel::Column::Id.eq(id));
    }
    select
}

/// The channels of some users, each user's oldest first.
pub(in crate::users) fn of_users(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_ids: &[UserId],
) -> Select<contact_channel::Entity> {
    channels_by_key(connection, project_id).filter(contact_channel::Column::UserId.is_in(user_ids.iter().copied()))
}

/// The channels of one user, oldest first, as the transaction sees them.
pub(in crate::users) async fn of_user_in(
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
) -> Result<Vec<contact_channel::Model>> {
    Ok(of_users(&**tx, project_id, &[user_id]).all(&**tx).await?)
}

pub(super) fn with_ids(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    ids: &[ContactChannelId],
) -> Select<contact_channel::Entity> {
    channels_by_key(connection, project_id).filter(contact_channel::Column::Id.is_in(ids.iter().copied()))
}

/// The channel by which somebody signs in with the address; at most one.
pub(in crate::users) fn for_auth(project_id: &ProjectId, address: &EmailAddress) -> Select<contact_channel::Entity> {
    contact_channel::Entity::find()
        .filter(contact_channel::Column::ProjectId.eq(project_id.clone()))
        .filter(contact_channel::Column::Kind.into_expr().eq(constant(EMAIL)))
        .filter(contact_channel::Column::Value.eq(address.as_str()))
        .filter(contact_channel::Column::UsedForAuth.into_expr().eq(constant(true)))
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
