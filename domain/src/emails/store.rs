//! Queries of the outbox, always within one project.

use postern_entity::{EmailId, ProjectId, email};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::error::Result;

/// Recipient kinds as stored and as on the wire.
pub(super) const USER_PRIMARY_EMAIL: &str = "user-primary-email";
pub(super) const USER_CUSTOM_EMAILS: &str = "user-custom-emails";
pub(super) const CUSTOM_EMAILS: &str = "custom-emails";
/// `created_with` of mails that are not made from a draft.
pub(super) const PROGRAMMATIC_CALL: &str = "programmatic-call";

/// The mail that was enqueued under `key`.
pub(super) async fn by_dedup_key<C: ConnectionTrait>(
    connection: &C,
    project_id: &ProjectId,
    key: &str,
) -> Result<Option<EmailId>> {
    let id = email::Entity::find()
        .select_only()
        .column(email::Column::Id)
        .filter(email::Column::ProjectId.eq(project_id.clone()))
        .filter(email::Column::DedupKey.eq(key))
        .into_tuple()
        .one(connection)
        .await?;
    Ok(id)
}
