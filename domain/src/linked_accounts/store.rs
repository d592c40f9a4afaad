//! Queries of links, each scoped by project. None begins a transaction.

use postern_entity::{linked_account, linked_account_token};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, Select};

use super::visits::AccountAt;
use crate::{
    LinkedAccountId, ProjectId, UserId,
    db::{Tx, beside_key},
    error::Result,
};

fn by_age(select: Select<linked_account::Entity>) -> Select<linked_account::Entity> {
    select.order_by_asc(linked_account::Column::CreatedAt).order_by_asc(linked_account::Column::Id)
}

/// All links of the project, oldest first.
pub(super) async fn of_project(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
) -> Result<Vec<linked_account::Model>> {
    let select = linked_account::Entity::find().filter(linked_account::Column::ProjectId.eq(project_id.clone()));
    Ok(by_age(select).all(connection).await?)
}

/// The links of some users, each user's oldest first.
pub(crate) async fn of_users(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    user_ids: &[UserId],
) -> Result<Vec<linked_account::Model>> {
    let select = linked_account::Entity::find()
        .filter(beside_key(connection, linked_account::Column::ProjectId, project_id))
        .filter(linked_account::Column::UserId.is_in(user_ids.iter().copied()));
    Ok(by_age(select).all(connection).await?)
}

/// The link by which somebody signs in with an account, if anybody does.
pub(super) async fn for_sign_in(
    tx: &Tx,
    project_id: &ProjectId,
    account: AccountAt<'_>,
) -> Result<Option<linked_account::Model>> {
    let select = linked_account::Entity::find()
        .filter(linked_account::Column::ProjectId.eq(project_id.clone()))
        .filter(linked_account::Column::ProviderConfigId.eq(account.provider))
        .filter(linked_account::Column::Kind.eq(account.kind.as_str()))
        .filter(linked_account::Column::AccountId.eq(account.id))
        .filter(linked_account::Column::AllowSignIn.eq(true));
    Ok(select.one(&**tx).await?)
}

/// What other sites gave for some accounts, newest first.
pub(super) async fn tokens_of(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    ids: impl IntoIterator<Item = LinkedAccountId>,
) -> Result<Vec<linked_account_token::Model>> {
    let select = linked_account_token::Entity::find()
        .filter(beside_key(connection, linked_account_token::Column::ProjectId, project_id))
        .filter(linked_account_token::Column::LinkedAccountId.is_in(ids))
        .order_by_desc(linked_account_token::Column::CreatedAt)
        .order_by_desc(linked_account_token::Column::Id);
    Ok(select.all(connection).await?)
}

pub(super) async fn insert(tx: &Tx, row: linked_account::Model) -> Result<()> {
    linked_account::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Writes the columns that are set.
pub(super) async fn update(tx: &Tx, row: linked_account::ActiveModel) -> Result<()> {
    linked_account::Entity::update(row).exec_without_returning(&**tx).await?;
    Ok(())
}

pub(super) async fn delete(tx: &Tx, project_id: &ProjectId, id: LinkedAccountId) -> Result<()> {
    linked_account::Entity::delete_many()
        .filter(linked_account::Column::ProjectId.eq(project_id.clone()))
        .filter(linked_account::Column::Id.eq(id))
        .exec(&**tx)
        .await?;
    Ok(())
}

/// Removes what the other site gave for an account.
pub(super) async fn forget_tokens(tx: &Tx, project_id: &ProjectId, id: LinkedAccountId) -> Result<()> {
    linked_account_token::Entity::delete_many()
        .filter(linked_account_token::Column::ProjectId.eq(project_id.clone()))
        .filter(linked_account_token::Column::LinkedAccountId.eq(id))
        .exec(&**tx)
        .await?;
    Ok(())
}
