//! The local mailbox: mails that local mode caught because there is no mail server. Its messages are rows of the outbox;
//! only here, besides the mail itself, is the content readable with its codes. It exists in local mode only.

use postern_entity::{EmailId, email};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{outgoing::content, seal::Content, send::wiped, store};
use crate::{
    deps::Deps,
    error::{Failure, Result, refuse},
};

/// The most messages of one answer.
pub const MAX_MESSAGES: u32 = 200;

/// A caught mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The mail of the outbox.
    pub id: EmailId,
    /// Addresses of the recipients.
    pub to: Vec<String>,
    /// Subject.
    pub subject: String,
    /// HTML part.
    pub html: String,
    /// Text part.
    pub text: String,
    /// When it was caught.
    pub received_at_millis: i64,
}

/// The newest messages, at most `limit` and [`MAX_MESSAGES`]; only those to the address `to`, when one is given.
///
/// # Errors
/// `NOT_FOUND` outside local mode.
#[crate::boxed]
pub async fn list(deps: &Deps, to: Option<&str>, limit: u32) -> Result<Vec<Message>> {
    require_local_mode(deps)?;
    let mut found = email::Entity::find().filter(email::Column::MailboxRecipients.is_not_null());
    if let Some(address) = to {
        found = found.filter(store::in_mailbox_of(address));
    }
    let rows = found
        .order_by_desc(email::Column::FinishedSendingAt)
        .order_by_desc(email::Column::Id)
        .limit(u64::from(limit.min(MAX_MESSAGES)))
        .all(deps.db.read())
        .await?;
    rows.iter().map(|row| message(deps, row)).collect()
}

/// One message.
///
/// # Errors
/// `NOT_FOUND` when there is none, and outside local mode.
#[crate::boxed]
pub async fn get(deps: &Deps, id: EmailId) -> Result<Message> {
    require_local_mode(deps)?;
    let row = email::Entity::find_by_id(id)
        .filter(email::Column::MailboxRecipients.is_not_null())
        .one(deps.db.read())
        .await?;
    match row {
        Some(row) => message(deps, &row),
        None => refuse(no_message()),
    }
}

/// Takes a message out of the mailbox and forgets its codes. The outbox keeps its entry.
///
/// # Errors
/// `NOT_FOUND` when there is none, and outside local mode.
#[crate::boxed]
pub async fn delete(deps: &Deps, id: EmailId) -> Result<()> {
    require_local_mode(deps)?;
    let changes = || email::ActiveModel { mailbox_recipients: Set(None), updated_at: Set(deps.now()), ..wiped() };
    let deleted = deps
        .db
        .write(async |tx| {
            let done = email::Entity::update_many()
                .set(changes())
                .filter(email::Column::Id.eq(id))
                .filter(email::Column::MailboxRecipients.is_not_null())
                .exec(&*tx)
                .await?;
            Ok(done.rows_affected)
        })
        .await?;
    if deleted == 0 { refuse(no_message()) } else { Ok(()) }
}

fn message(deps: &Deps, row: &email::Model) -> Result<Message> {
    let Content { subject, html, text, .. } = content(deps, row)?;
    let to = row.mailbox_recipients.as_deref().unwrap_or_default();
    Ok(Message {
        id: row.id,
        to: to.split('\n').filter(|address| !address.is_empty()).map(str::to_owned).collect(),
        subject,
        html,
        text,
        received_at_millis: row.finished_sending_at.map_or(0, |at| at.millis()),
    })
}

fn require_local_mode(deps: &Deps) -> Result<()> {
    if deps.settings.local_mode { Ok(()) } else { refuse(Failure::not_found("There is no such page.")) }
}

fn no_message() -> Failure {
    Failure::not_found("There is no such message.")
}
