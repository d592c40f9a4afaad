//! What becomes of a stored password outside a change of the user as a whole.

use postern_entity::user;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::{
    Deps, ProjectId, UserId,
    db::Tx,
    error::Result,
    events::{self, EventKind, NewEvent},
};

/// Sets the password of a user, in the caller's transaction. No `user.updated` is written and no session ends: what
/// follows from a new password differs by the way it came about. Answers whether there is such a user.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn set_password_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    id: UserId,
    hash: &SecretString,
) -> Result<bool> {
    let written = user::Entity::update_many()
        .col_expr(user::Column::PasswordHash, hash.expose_secret().into())
        .col_expr(user::Column::UpdatedAt, deps.now().millis().into())
        .filter(user::Column::ProjectId.eq(project_id.clone()))
        .filter(user::Column::Id.eq(id))
        .exec(&**tx)
        .await?;
    if written.rows_affected == 0 {
        return Ok(false);
    }
    changed_in(deps, tx, project_id, id).await?;
    Ok(true)
}

/// Replaces the stored form of the same password; nothing if another one was set meanwhile.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn replace_outdated_hash_in(
    tx: &Tx,
    project_id: &ProjectId,
    id: UserId,
    outdated: &SecretString,
    hash: &SecretString,
) -> Result<()> {
    user::Entity::update_many()
        .col_expr(user::Column::PasswordHash, hash.expose_secret().into())
        .filter(user::Column::ProjectId.eq(project_id.clone()))
        .filter(user::Column::Id.eq(id))
        .filter(user::Column::PasswordHash.eq(outdated.expose_secret()))
        .exec(&**tx)
        .await?;
    Ok(())
}

/// Writes that the password was set, changed or removed.
pub(super) async fn changed_in(deps: &Deps, tx: &Tx, project_id: &ProjectId, id: UserId) -> Result<()> {
    let event = NewEvent {
        project_id: project_id.clone(),
        kind: EventKind::UserPasswordChanged,
        user_id: Some(id),
        team_id: None,
        payload: json!({ "user_id": id }),
    };
    events::record(deps, tx, event).await
}
