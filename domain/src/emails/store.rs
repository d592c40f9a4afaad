//! Queries of the outbox, always within one project.

use postern_entity::{EmailId, ProjectId, Timestamp, UserId, contact_channel, email, user};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, Func, LikeExpr},
};
use uuid::Uuid;

use crate::{
    db::{Tx, constant},
    error::Result,
};

/// Recipient kinds as stored and as on the wire.
pub(super) const USER_PRIMARY_EMAIL: &str = "user-primary-email";
pub(super) const USER_CUSTOM_EMAILS: &str = "user-custom-emails";
pub(super) const CUSTOM_EMAILS: &str = "custom-emails";
/// `created_with` of mails that are not made from a draft.
pub(super) const PROGRAMMATIC_CALL: &str = "programmatic-call";
/// `created_with` of those that are.
pub(super) const DRAFT: &str = "draft";

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

/// The mail.
pub(super) async fn find<C: ConnectionTrait>(
    connection: &C,
    project_id: &ProjectId,
    id: EmailId,
) -> Result<Option<email::Model>> {
    Ok(one(project_id, id).one(connection).await?)
}

/// The mail, kept from everybody else until the transaction ends.
pub(super) async fn lock(tx: &Tx, project_id: &ProjectId, id: EmailId) -> Result<Option<email::Model>> {
    Ok(one(project_id, id).lock_exclusive().one(&**tx).await?)
}

fn one(project_id: &ProjectId, id: EmailId) -> Select<email::Entity> {
    email::Entity::find().filter(email::Column::ProjectId.eq(project_id.clone())).filter(email::Column::Id.eq(id))
}

/// Changes the set columns of `changes`, and says when.
pub(super) async fn update(
    tx: &Tx,
    email: &email::Model,
    now: Timestamp,
    mut changes: email::ActiveModel,
) -> Result<()> {
    changes.updated_at = Set(now);
    email::Entity::update_many()
        .set(changes)
        .filter(email::Column::ProjectId.eq(email.project_id.clone()))
        .filter(email::Column::Id.eq(email.id))
        .exec(&**tx)
        .await?;
    Ok(())
}

/// The same, but only while the try to send that `claim_id` names is the present one. Answers whether it was.
pub(super) async fn update_claimed(
    tx: &Tx,
    email: &email::Model,
    claim_id: Uuid,
    now: Timestamp,
    mut changes: email::ActiveModel,
) -> Result<bool> {
    changes.updated_at = Set(now);
    let updated = email::Entity::update_many()
        .set(changes)
        .filter(email::Column::ProjectId.eq(email.project_id.clone()))
        .filter(email::Column::Id.eq(email.id))
        .filter(email::Column::SendingClaimId.eq(claim_id))
        .filter(email::Column::FinishedSendingAt.is_null())
        .exec(&**tx)
        .await?;
    Ok(updated.rows_affected > 0)
}

/// Whether the project has this user.
pub(super) async fn user_exists<C: ConnectionTrait>(
    connection: &C,
    project_id: &ProjectId,
    user_id: UserId,
) -> Result<bool> {
    Ok(user_display_name(connection, project_id, user_id).await?.is_some())
}

/// The display name of the user, when there is such a user; empty when it has none.
pub(super) async fn user_display_name<C: ConnectionTrait>(
    connection: &C,
    project_id: &ProjectId,
    user_id: UserId,
) -> Result<Option<String>> {
    let name: Option<Option<String>> = user::Entity::find()
        .select_only()
        .column(user::Column::DisplayName)
        .filter(user::Column::ProjectId.eq(project_id.clone()))
        .filter(user::Column::Id.eq(user_id))
        .into_tuple()
        .one(connection)
        .await?;
    Ok(name.map(Option::unwrap_or_default))
}

/// The primary address of the user.
pub(super) async fn primary_email<C: ConnectionTrait>(
    connection: &C,
    project_id: &ProjectId,
    user_id: UserId,
) -> Result<Option<String>> {
    let value = contact_channel::Entity::find()
        .select_only()
        .column(contact_channel::Column::Value)
        .filter(contact_channel::Column::ProjectId.eq(project_id.clone()))
        .filter(contact_channel::Column::UserId.eq(user_id))
        .filter(contact_channel::Column::Kind.into_expr().eq(constant("email")))
        .filter(contact_channel::Column::IsPrimary.into_expr().eq(constant(true)))
        .into_tuple()
        .one(connection)
        .await?;
    Ok(value)
}

/// Addresses as the column of the local mailbox keeps them: each between line feeds, so that one is found as a whole.
pub(super) fn mailbox_recipients(addresses: &[String]) -> String {
    format!("\n{}\n", addresses.join("\n"))
}

/// The rows that [`mailbox_recipients`] says arrived at `address`, upper and lower case alike.
pub(super) fn in_mailbox_of(address: &str) -> Condition {
    let escaped = address.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let recipients = Expr::expr(Func::lower(Expr::col(email::Column::MailboxRecipients)));
    Condition::all().add(recipients.like(LikeExpr::new(format!("%\n{escaped}\n%")).escape('\\')))
}
