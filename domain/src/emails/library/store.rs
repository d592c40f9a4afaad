//! Queries of drafts, always within one project.

use postern_entity::{EmailDraftId, ProjectId, email_draft};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{db::Tx, error::Result};

/// The project's drafts, last changed first.
pub(super) async fn drafts<C: ConnectionTrait>(
    connection: &C,
    project_id: &ProjectId,
    limit: u64,
) -> Result<Vec<email_draft::Model>> {
    let drafts = email_draft::Entity::find()
        .filter(email_draft::Column::ProjectId.eq(project_id.clone()))
        .order_by_desc(email_draft::Column::UpdatedAt)
        .order_by_asc(email_draft::Column::Id)
        .limit(limit);
    Ok(drafts.all(connection).await?)
}

pub(super) async fn count_drafts(tx: &Tx, project_id: &ProjectId) -> Result<u64> {
    let drafts = email_draft::Entity::find().filter(email_draft::Column::ProjectId.eq(project_id.clone()));
    Ok(drafts.count(&**tx).await?)
}

pub(super) async fn draft<C: ConnectionTrait>(
    connection: &C,
    project_id: &ProjectId,
    id: EmailDraftId,
) -> Result<Option<email_draft::Model>> {
    let draft = email_draft::Entity::find_by_id(id).filter(email_draft::Column::ProjectId.eq(project_id.clone()));
    Ok(draft.one(connection).await?)
}

pub(super) async fn insert_draft(tx: &Tx, row: email_draft::ActiveModel) -> Result<()> {
    email_draft::Entity::insert(row).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Answers whether there is such a draft.
pub(super) async fn update_draft(
    tx: &Tx,
    project_id: &ProjectId,
    id: EmailDraftId,
    changes: email_draft::ActiveModel,
) -> Result<bool> {
    let updated = email_draft::Entity::update_many()
        .set(changes)
        .filter(email_draft::Column::ProjectId.eq(project_id.clone()))
        .filter(email_draft::Column::Id.eq(id))
        .exec(&**tx)
        .await?;
    Ok(updated.rows_affected > 0)
}

/// Answers whether there was such a draft.
pub(super) async fn delete_draft(tx: &Tx, project_id: &ProjectId, id: EmailDraftId) -> Result<bool> {
    let deleted = email_draft::Entity::delete_by_id(id)
        .filter(email_draft::Column::ProjectId.eq(project_id.clone()))
        .exec(&**tx)
        .await?;
    Ok(deleted.rows_affected > 0)
}
