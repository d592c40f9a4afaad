//! Queries of passkeys, each scoped by project. None begins a transaction.

use postern_entity::passkey;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};
use serde_json::Value;

use crate::{
    Deps, ProjectId, UserId,
    db::{Tx, violates_unique},
    error::Result,
};

/// Puts a passkey in the place of the user's earlier one. Answers false when somebody else of the project has one with the
/// same id, which is theirs: ids are no secrets.
pub(super) async fn replace(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    credential_id: Vec<u8>,
    rp_id: String,
    credential: Value,
) -> Result<bool> {
    forget_in(tx, project_id, user_id).await?;
    let row = passkey::ActiveModel {
        user_id: Set(user_id),
        project_id: Set(project_id.clone()),
        credential_id: Set(credential_id),
        rp_id: Set(rp_id),
        credential: Set(credential),
        created_at: Set(deps.now()),
        last_used_at: Set(None),
    };
    match passkey::Entity::insert(row).exec_without_returning(&**tx).await {
        Err(error) if violates_unique(&error, "passkey_by_credential", "passkey.project_id, passkey.credential_id") => {
            Ok(false)
        }
        inserted => Ok(inserted.map(|_| true)?),
    }
}

/// Removes the passkey of a user, if it has one.
pub(crate) async fn forget_in(tx: &Tx, project_id: &ProjectId, user_id: UserId) -> Result<()> {
    passkey::Entity::delete_many()
        .filter(passkey::Column::ProjectId.eq(project_id.clone()))
        .filter(passkey::Column::UserId.eq(user_id))
        .exec(&**tx)
        .await?;
    Ok(())
}

/// Whose passkey has this id.
pub(super) async fn owner(tx: &Tx, project_id: &ProjectId, credential_id: &[u8]) -> Result<Option<UserId>> {
    find_owner(&**tx, project_id, credential_id).await
}

/// The same outside of a transaction.
pub(super) async fn owner_of(deps: &Deps, project_id: &ProjectId, credential_id: &[u8]) -> Result<Option<UserId>> {
    find_owner(deps.db.read(), project_id, credential_id).await
}

async fn find_owner(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    credential_id: &[u8],
) -> Result<Option<UserId>> {
    let owner = passkey::Entity::find()
        .select_only()
        .column(passkey::Column::UserId)
        .filter(passkey::Column::ProjectId.eq(project_id.clone()))
        .filter(passkey::Column::CredentialId.eq(credential_id.to_vec()));
    Ok(owner.into_tuple::<UserId>().one(connection).await?)
}

pub(super) async fn of_user(tx: &Tx, project_id: &ProjectId, user_id: UserId) -> Result<Option<passkey::Model>> {
    let found = passkey::Entity::find_by_id(user_id).filter(passkey::Column::ProjectId.eq(project_id.clone()));
    Ok(found.one(&**tx).await?)
}

/// Notes that somebody signed in by it, and what it is from then on.
pub(super) async fn used(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    credential: Value,
) -> Result<()> {
    passkey::Entity::update_many()
        .col_expr(passkey::Column::Credential, Expr::value(credential))
        .col_expr(passkey::Column::LastUsedAt, Expr::value(Some(deps.now())))
        .filter(passkey::Column::ProjectId.eq(project_id.clone()))
        .filter(passkey::Column::UserId.eq(user_id))
        .exec(&**tx)
        .await?;
    Ok(())
}
