//! The job `SendEmail`: brings a mail as far as it can get now. State is saved before the mail leaves; what came of it is
//! saved together with the end of the job.

use std::time::Duration;

use postern_entity::{Timestamp, email};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::{
    capacity,
    failure::{self, Failed},
    jobs::SendEmail,
    prepare, recipients,
    recipients::{Recipients, SkipReason},
    route::{self, Destination, Route},
    seal::{self, Column, Content},
    store,
};
use crate::{
    db::Tx,
    deps::Deps,
    error::{Error, Result},
    ports::mail::{MailError, MailErrorKind, MailServer, OutgoingMail},
    queue::{Ending, Lease},
};

/// A try that has not ended after this long was cut off: the time in which a mailer must be done, and some more.
const CUT_OFF_AFTER_MILLIS: i64 = 60 * 1000;

/// Runs the job.
///
/// # Errors
/// Internal only; the queue tries again.
#[crate::boxed]
pub async fn send(deps: &Deps, lease: &Lease, job: &SendEmail) -> Result<Ending> {
    let (Some(project), Some(mut email)) = (
        crate::projects::lookup(deps, &job.project_id).await?,
        store::find(deps.db.read(), &job.project_id, job.email_id).await?,
    ) else {
        return Ok(Ending::done());
    };
    if !is_over(&email) && email.rendered_at.is_none() {
        match prepare::prepare(deps, lease, email, &project).await? {
            Some(prepared) => email = prepared,
            None => return Ok(Ending::done()),
        }
        if email.render_error.is_some() {
            count("unrenderable");
        }
    }
    if is_over(&email) {
        return Ok(Ending::done());
    }
    let route = route::route(deps, &project).await?;
    match begin(deps, lease, &email, &route).await? {
        Begun::Over => Ok(Ending::done()),
        Begun::Ended(outcome) => {
            count(outcome);
            Ok(Ending::done())
        }
        Begun::NotBefore(due) => Ok(snooze_until(deps, due)),
        Begun::Try(this) => hand_over(deps, this, &route).await,
    }
}

/// Counts what became of a mail: `sent`, `deferred` (the server did not take it now, it is tried again), `failed`, `caught`
/// (by the local mailbox), `skipped` or `unrenderable`.
fn count(outcome: &'static str) {
    metrics::counter!("postern_mails_total", "outcome" => outcome).increment(1);
}

/// Whether nothing more is to be done by this job. A paused mail gets a new job when it goes on.
fn is_over(email: &email::Model) -> bool {
    email.is_paused
        || email.skipped_reason.is_some()
        || email.render_error.is_some()
        || email.finished_sending_at.is_some()
}

fn snooze_until(deps: &Deps, due: Timestamp) -> Ending {
    let wait = due.millis().saturating_sub(deps.now().millis());
    Ending::snooze(Duration::from_millis(u64::try_from(wait).unwrap_or_default()))
}

/// What may be done with a mail now.
enum Begun {
    /// Nothing: it is sent, caught, skipped, or was changed meanwhile.
    Over,
    /// Nothing: it came to its end just now. What that is counted as.
    Ended(&'static str),
    /// Nothing before this instant.
    NotBefore(Timestamp),
    /// Hand it over. The row says so already.
    Try(Try),
}

/// One try to hand a mail over.
#[derive(Clone)]
struct Try {
    email: Box<email::Model>,
    claim_id: Uuid,
    to: Vec<String>,
    server: MailServer,
}

/// Decides, and writes the decision down.
async fn begin(deps: &Deps, lease: &Lease, email: &email::Model, route: &Route) -> Result<Begun> {
    deps.db
        .write(async |tx| {
            lease.guard(&tx).await?;
            let Some(mut row) = store::lock(&tx, &email.project_id, email.id).await? else { return Ok(Begun::Over) };
            if is_over(&row) || row.rendered_at.is_none() {
                return Ok(Begun::Over);
            }
            let now = deps.now();
            if let Some(started_at) = row.started_sending_at {
                if started_at > now {
                    return count_from(&tx, &row, now).await;
                }
                let cut_off_at = started_at.plus_millis(CUT_OFF_AFTER_MILLIS);
                if cut_off_at > now {
                    return Ok(Begun::NotBefore(cut_off_at));
                }
                if !note_cut_off(&tx, &mut row, now).await? {
                    return Ok(Begun::Ended("failed"));
                }
            }
            decide(&tx, row, route, now).await
        })
        .await
}

/// Lets a try begin now that is said to have begun later: the clock of whoever wrote that was ahead, and nobody knows how
/// old the try is.
async fn count_from(tx: &Tx, row: &email::Model, now: Timestamp) -> Result<Begun> {
    let changes = email::ActiveModel { started_sending_at: Set(Some(now)), ..Default::default() };
    store::update(tx, row, now, changes).await?;
    Ok(Begun::NotBefore(now.plus_millis(CUT_OFF_AFTER_MILLIS)))
}

/// When a mail may be handed over. Only what somebody put off waits: a mail that was to leave at once does not wait until
/// the clock of its gateway, which may be ahead, is reached here; nor a retry longer than retries wait.
fn due_at(row: &email::Model, now: Timestamp) -> Timestamp {
    let put_off = (row.scheduled_at > row.created_at).then_some(row.scheduled_at);
    let retry = row.next_send_retry_at.filter(|at| *at <= now.plus_millis(failure::LONGEST_WAIT_MILLIS));
    put_off.max(retry).unwrap_or(now)
}

/// Counts a try that nobody ended: its process died, or was stopped. The server may have taken the mail, so the next try
/// may be a duplicate, under the same `Message-ID`. Answers whether there is a next try.
async fn note_cut_off(tx: &Tx, row: &mut email::Model, now: Timestamp) -> Result<bool> {
    let error = MailError::new(MailErrorKind::Interrupted, "the try was cut off; the server may have taken the mail");
    let Failed { mut changes, retry_at } = failure::failed(row, &error, now);
    if retry_at.is_some() {
        // Nothing was wrong with mail or server: no reason to wait.
        changes.next_send_retry_at = Set(Some(now));
    }
    store::update(tx, row, now, changes).await?;
    if retry_at.is_none() {
        return Ok(false);
    }
    let again = store::find(&**tx, &row.project_id, row.id).await?;
    *row = again.ok_or_else(|| Error::internal("a locked mail vanished"))?;
    Ok(true)
}

async fn decide(tx: &Tx, row: email::Model, route: &Route, now: Timestamp) -> Result<Begun> {
    let due = due_at(&row, now);
    if due > now {
        return Ok(Begun::NotBefore(due));
    }
    if row.secrets_expire_at.is_some_and(|expiry| expiry <= now) {
        let error = MailError::new(MailErrorKind::Unknown, "the codes in the mail expired before it could be sent");
        return end_at_once(tx, &row, &error, now).await;
    }
    let to = match recipients::recipients(&**tx, &row).await? {
        Recipients::Addresses(to) => to,
        Recipients::Nobody(reason) => return skip(tx, &row, reason, now).await,
    };
    let server = match &route.destination {
        Destination::Mailbox => return catch(tx, &row, &to, now).await,
        Destination::Nowhere(why) => {
            return end_at_once(tx, &row, &MailError::new(MailErrorKind::Unknown, *why), now).await;
        }
        Destination::Own(server) => server,
        Destination::Shared(server) => {
            let turn = match row.capacity_slot_at {
                Some(turn) => turn,
                None => capacity::take_turn(tx, &row.project_id, now).await?,
            };
            if turn > now {
                let changes = email::ActiveModel {
                    is_queued: Set(true),
                    capacity_slot_at: Set(Some(turn)),
                    ..Default::default()
                };
                store::update(tx, &row, now, changes).await?;
                return Ok(Begun::NotBefore(turn));
            }
            server
        }
    };
    let claim_id = Uuid::new_v4();
    let changes = email::ActiveModel {
        is_queued: Set(true),
        // The turn is used once: a mail that the server refuses for now comes back without waiting for another one.
        capacity_slot_at: Set(Some(now)),
        started_sending_at: Set(Some(now)),
        sending_claim_id: Set(Some(claim_id)),
        next_send_retry_at: Set(None),
        ..Default::default()
    };
    store::update(tx, &row, now, changes).await?;
    Ok(Begun::Try(Try { email: Box::new(row), claim_id, to, server: server.clone() }))
}

/// Ends a mail that cannot be sent, without a try.
async fn end_at_once(tx: &Tx, row: &email::Model, error: &MailError, now: Timestamp) -> Result<Begun> {
    let changes = email::ActiveModel {
        is_queued: Set(true),
        started_sending_at: Set(Some(now)),
        sending_claim_id: Set(Some(Uuid::new_v4())),
        ..failure::failed(row, error, now).changes
    };
    store::update(tx, row, now, changes).await?;
    Ok(Begun::Ended("failed"))
}

async fn skip(tx: &Tx, row: &email::Model, reason: SkipReason, now: Timestamp) -> Result<Begun> {
    let changes = email::ActiveModel {
        skipped_reason: Set(Some(reason.as_str().to_owned())),
        skipped_details: Set(Some(serde_json::json!({}))),
        next_send_retry_at: Set(None),
        is_queued: Set(false),
        ..wiped()
    };
    store::update(tx, row, now, changes).await?;
    Ok(Begun::Ended("skipped"))
}

/// Leaves a mail in the local mailbox. Its content stays sealed in the row until it is deleted there.
async fn catch(tx: &Tx, row: &email::Model, to: &[String], now: Timestamp) -> Result<Begun> {
    let changes = email::ActiveModel {
        sealed_content: sea_orm::ActiveValue::NotSet,
        started_sending_at: Set(Some(now)),
        sending_claim_id: Set(Some(Uuid::new_v4())),
        mailbox_recipients: Set(Some(store::mailbox_recipients(to))),
        is_queued: Set(true),
        ..sent(now)
    };
    store::update(tx, row, now, changes).await?;
    Ok(Begun::Ended("caught"))
}

/// The columns that hold secrets, emptied.
pub(super) fn wiped() -> email::ActiveModel {
    email::ActiveModel {
        sealed_variables: Set(None),
        sealed_content: Set(None),
        secrets_expire_at: Set(None),
        ..Default::default()
    }
}

fn sent(now: Timestamp) -> email::ActiveModel {
    email::ActiveModel {
        finished_sending_at: Set(Some(now)),
        can_have_delivery_info: Set(Some(false)),
        next_send_retry_at: Set(None),
        ..wiped()
    }
}

/// The network part: no transaction is open meanwhile.
async fn hand_over(deps: &Deps, this: Try, route: &Route) -> Result<Ending> {
    let mail = outgoing(deps, &this, route)?;
    let outcome = deps.mailer.send(&this.server, &mail).await;
    let now = deps.now();
    let email_id = this.email.id;
    match outcome {
        Ok(()) => {
            count("sent");
            tracing::info!(email.id = %email_id, "a mail server took a mail");
            Ok(Ending::done().with(move |tx| {
                let this = this.clone();
                Box::pin(async move { save(tx, &this, now, sent(now)).await })
            }))
        }
        Err(error) => {
            tracing::warn!(email.id = %email_id, kind = error.kind.as_str(), "a mail server did not take a mail");
            let Failed { changes, retry_at } = failure::failed(&this.email, &error, now);
            count(if retry_at.is_some() { "deferred" } else { "failed" });
            let ending = retry_at.map_or_else(Ending::done, |due| snooze_until(deps, due));
            Ok(ending.with(move |tx| {
                let (this, changes) = (this.clone(), changes.clone());
                Box::pin(async move { save(tx, &this, now, changes).await })
            }))
        }
    }
}

/// Writes down what came of a try, unless the mail was taken over by another one meanwhile.
async fn save(tx: &Tx, this: &Try, now: Timestamp, changes: email::ActiveModel) -> Result<()> {
    if !store::update_claimed(tx, &this.email, this.claim_id, now, changes).await? {
        tracing::warn!(email.id = %this.email.id, "a try to send a mail ended after it was given up");
    }
    Ok(())
}

fn outgoing(deps: &Deps, this: &Try, route: &Route) -> Result<OutgoingMail> {
    let Content { subject, html, text, unsubscribe_link } = content(deps, &this.email)?;
    Ok(OutgoingMail {
        message_id: this.email.message_id.clone(),
        from_name: route.from_name.clone(),
        from_address: route.from_address.clone(),
        to: this.to.clone(),
        subject,
        html,
        text,
        headers: unsubscribe_link.map(unsubscribe_headers).unwrap_or_default(),
    })
}

/// What lets a mail program unsubscribe by itself (RFC 8058).
fn unsubscribe_headers(link: String) -> Vec<(String, String)> {
    vec![
        ("List-Unsubscribe".to_owned(), format!("<{link}>")),
        ("List-Unsubscribe-Post".to_owned(), "List-Unsubscribe=One-Click".to_owned()),
    ]
}

/// The mail as it goes out.
pub(super) fn content(deps: &Deps, email: &email::Model) -> Result<Content> {
    if let Some(sealed) = &email.sealed_content {
        return seal::open(&deps.keyring, (&email.project_id, email.id), Column::Content, sealed);
    }
    Ok(Content {
        subject: email.rendered_subject.clone().unwrap_or_default(),
        html: email.rendered_html.clone().unwrap_or_default(),
        text: email.rendered_text.clone().unwrap_or_default(),
        unsubscribe_link: None,
    })
}
