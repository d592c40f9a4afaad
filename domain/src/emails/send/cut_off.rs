//! Tries that nobody has ended: their process died, or was stopped. The mail waits until such a try counts as cut off, and is
//! then tried again, perhaps for the second time as far as the server is concerned.

use postern_entity::{Timestamp, email};
use sea_orm::ActiveValue::{NotSet, Set};

use super::tell;
use crate::{
    db::Tx,
    deps::Deps,
    emails::{
        capacity,
        failure::{self, Failed},
        store,
    },
    error::{Error, Result},
    events::EventKind,
    ports::mail::{MailError, MailErrorKind},
    queue::Lease,
};

/// A try that has not ended after this long was cut off: the time in which a mailer must be done, and some more.
pub(super) const CUT_OFF_AFTER_MILLIS: i64 = 60 * 1000;

/// Notes since when somebody tries to send the mail. If it is whoever had this job before, that one has lost it, and is dead or
/// was stopped: others need not wait for that try, though the mail itself must until it is cut off. (A mail that was edited
/// has a second job.)
pub(super) async fn leave_to_time(
    tx: &Tx,
    deps: &Deps,
    row: &email::Model,
    lease: &Lease,
    started_at: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let is_lost = row.waiting_job_id == Some(lease.job_id);
    let cut_off_at = started_at.plus_millis(CUT_OFF_AFTER_MILLIS);
    let changes = email::ActiveModel {
        started_sending_at: Set(Some(started_at)),
        capacity_slot_at: if is_lost { Set(Some(cut_off_at)) } else { NotSet },
        ..Default::default()
    };
    store::update(tx, row, now, changes).await?;
    if is_lost { capacity::pass_on(tx, deps, &row.project_id, now).await } else { Ok(()) }
}

/// Counts a try that nobody ended: its process died, or was stopped. The server may have taken the mail, so the next try
/// may be a duplicate, under the same `Message-ID`. Answers whether there is a next try.
pub(super) async fn note_cut_off(tx: &Tx, deps: &Deps, row: &mut email::Model, now: Timestamp) -> Result<bool> {
    let error = MailError::new(MailErrorKind::Interrupted, "the try was cut off; the server may have taken the mail");
    let Failed { mut changes, retry_at } = failure::failed(row, &error, now);
    if retry_at.is_some() {
        // Nothing was wrong with mail or server: no reason to wait.
        changes.next_send_retry_at = Set(Some(now));
    }
    store::update(tx, row, now, changes).await?;
    if retry_at.is_none() {
        tell(tx, deps, row, EventKind::EmailFailed).await?;
        return Ok(false);
    }
    let again = store::find(&**tx, &row.project_id, row.id).await?;
    *row = again.ok_or_else(|| Error::internal("a locked mail vanished"))?;
    Ok(true)
}
