//! The job `SendEmail`: brings a mail as far as it can get now. State is saved before the mail leaves; what came of it is
//! saved together with the end of the job.

mod cut_off;
mod hand_over;

use std::time::Duration;

use postern_entity::{Timestamp, email};
use sea_orm::ActiveValue::{NotSet, Set};
use uuid::Uuid;

use self::{
    cut_off::{CUT_OFF_AFTER_MILLIS, leave_to_time, note_cut_off},
    hand_over::hand_over,
};
use super::{
    capacity::{self, Turn},
    failure,
    jobs::SendEmail,
    prepare::{self, Prepared},
    recipients::{self, Recipients, SkipReason},
    route::{self, Destination, Route},
    store,
};
use crate::{
    db::Tx,
    deps::Deps,
    error::Result,
    events::{self, EventKind, NewEvent},
    ports::mail::{MailError, MailErrorKind, MailServer},
    queue::{Ending, Lease, LeaseLost},
};

/// How long a mail waits while others of its project are rendered: as long as a few of them take.
const RENDER_AGAIN_MILLIS: std::ops::Range<u64> = 200..800;

/// Runs the job. When it fails for the last time, the mail ends in an error instead of staying where it is.
///
/// # Errors
/// Internal only; the queue tries again.
#[crate::boxed]
pub async fn send(deps: &Deps, lease: &Lease, job: &SendEmail) -> Result<Ending> {
    match bring_forward(deps, lease, job).await {
        Err(error) if lease.is_last_attempt() && !LeaseLost::is(&error) => {
            tracing::error!(email.id = %job.email_id, error = &error as &dyn std::error::Error, "a mail is given up");
            deps.db.write(async |tx| give_up(&tx, deps, job).await).await?;
            Ok(Ending::give_up(error.to_string()))
        }
        outcome => outcome,
    }
}

/// Ends a mail that cannot be brought forward for reasons of ours.
async fn give_up(tx: &Tx, deps: &Deps, job: &SendEmail) -> Result<()> {
    const WHY: &str = "the mail could not be processed; the log of the server says why";
    let Some(row) = store::lock(tx, &job.project_id, job.email_id).await?.filter(|row| !is_over(row)) else {
        return Ok(());
    };
    let now = deps.now();
    count("failed");
    if row.rendered_at.is_some() {
        end_at_once(tx, deps, &row, &MailError::new(MailErrorKind::Unknown, WHY), now).await?;
        if row.capacity_slot_at.is_some() {
            // Only now: as long as it waits, it is itself the next one.
            capacity::pass_on(tx, deps, &row.project_id, now).await?;
        }
        return Ok(());
    }
    let changes = email::ActiveModel {
        rendering_worker_id: Set(Some(Uuid::new_v4())),
        started_rendering_at: Set(Some(now)),
        rendered_at: Set(Some(now)),
        render_error: Set(Some(WHY.to_owned())),
        ..Default::default()
    };
    store::update(tx, &row, now, changes).await?;
    tell(tx, deps, &row, EventKind::EmailFailed).await
}

async fn bring_forward(deps: &Deps, lease: &Lease, job: &SendEmail) -> Result<Ending> {
    let (Some(project), Some(mut email)) = (
        crate::projects::lookup(deps, &job.project_id).await?,
        store::find(deps.db.read(), &job.project_id, job.email_id).await?,
    ) else {
        return Ok(Ending::done());
    };
    if !is_over(&email) && email.rendered_at.is_none() {
        match prepare::prepare(deps, lease, email, &project).await? {
            Prepared::Row(prepared) => email = *prepared,
            Prepared::Gone => return Ok(Ending::done()),
            Prepared::Later => {
                return Ok(Ending::snooze(Duration::from_millis(rand::random_range(RENDER_AGAIN_MILLIS))));
            }
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
        Begun::Try(this) => hand_over(deps, lease, this, &route).await,
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
                // When the clock of whoever wrote that was ahead, nobody knows how old the try is: it counts from now.
                let started_at = started_at.min(now);
                let cut_off_at = started_at.plus_millis(CUT_OFF_AFTER_MILLIS);
                if cut_off_at > now {
                    leave_to_time(&tx, deps, &row, lease, started_at, now).await?;
                    return Ok(Begun::NotBefore(cut_off_at));
                }
                if !note_cut_off(&tx, deps, &mut row, now).await? {
                    return Ok(Begun::Ended("failed"));
                }
            }
            let has_waited = row.capacity_slot_at.is_some();
            let begun = decide(&tx, deps, row, route, lease, now).await?;
            if has_waited && matches!(begun, Begun::Ended(_)) {
                capacity::pass_on(&tx, deps, &email.project_id, now).await?;
            }
            Ok(begun)
        })
        .await
}

/// When a mail may be handed over. Only what somebody put off waits: a mail that was to leave at once does not wait until
/// the clock of its gateway, which may be ahead, is reached here; nor a retry longer than retries wait.
fn due_at(row: &email::Model, now: Timestamp) -> Timestamp {
    let put_off = (row.scheduled_at > row.created_at).then_some(row.scheduled_at);
    let retry = row.next_send_retry_at.filter(|at| *at <= now.plus_millis(failure::LONGEST_WAIT_MILLIS));
    put_off.max(retry).unwrap_or(now)
}

async fn decide(
    tx: &Tx,
    deps: &Deps,
    row: email::Model,
    route: &Route,
    lease: &Lease,
    now: Timestamp,
) -> Result<Begun> {
    let due = due_at(&row, now);
    if due > now {
        return Ok(Begun::NotBefore(due));
    }
    if row.secrets_expire_at.is_some_and(|expiry| expiry <= now) {
        let error = MailError::new(MailErrorKind::Unknown, "the codes in the mail expired before it could be sent");
        return end_at_once(tx, deps, &row, &error, now).await;
    }
    let to = match recipients::recipients(&**tx, &row).await? {
        Recipients::Addresses(to) => to,
        Recipients::Nobody(reason) => return skip(tx, &row, reason, now).await,
    };
    let server = match &route.destination {
        Destination::Mailbox => return catch(tx, deps, &row, &to, now).await,
        Destination::Nowhere(why) => {
            return end_at_once(tx, deps, &row, &MailError::new(MailErrorKind::Unknown, *why), now).await;
        }
        Destination::Server(server) => server,
    };
    if let Turn::NotBefore(at) = capacity::take_turn(tx, deps, &row, now).await? {
        let changes = email::ActiveModel {
            is_queued: Set(true),
            capacity_slot_at: Set(Some(at)),
            waiting_job_id: Set(Some(lease.job_id)),
            ..Default::default()
        };
        store::update(tx, &row, now, changes).await?;
        return Ok(Begun::NotBefore(at));
    }
    let claim_id = Uuid::new_v4();
    let changes = email::ActiveModel {
        is_queued: Set(true),
        capacity_slot_at: Set(None),
        waiting_job_id: Set(Some(lease.job_id)),
        started_sending_at: Set(Some(now)),
        sending_claim_id: Set(Some(claim_id)),
        next_send_retry_at: Set(None),
        ..Default::default()
    };
    store::update(tx, &row, now, changes).await?;
    Ok(Begun::Try(Try { email: Box::new(row), claim_id, to, server: server.clone() }))
}

/// Ends a mail that cannot be sent, without a try.
async fn end_at_once(tx: &Tx, deps: &Deps, row: &email::Model, error: &MailError, now: Timestamp) -> Result<Begun> {
    let changes = email::ActiveModel {
        is_queued: Set(true),
        started_sending_at: Set(Some(now)),
        sending_claim_id: Set(Some(Uuid::new_v4())),
        ..failure::failed(row, error, now).changes
    };
    store::update(tx, row, now, changes).await?;
    tell(tx, deps, row, EventKind::EmailFailed).await?;
    Ok(Begun::Ended("failed"))
}

async fn skip(tx: &Tx, row: &email::Model, reason: SkipReason, now: Timestamp) -> Result<Begun> {
    let changes = email::ActiveModel {
        skipped_reason: Set(Some(reason.as_str().to_owned())),
        skipped_details: Set(Some(serde_json::json!({}))),
        capacity_slot_at: Set(None),
        next_send_retry_at: Set(None),
        is_queued: Set(false),
        ..wiped()
    };
    store::update(tx, row, now, changes).await?;
    Ok(Begun::Ended("skipped"))
}

/// Leaves a mail in the local mailbox. Its content stays sealed in the row until it is deleted there.
async fn catch(tx: &Tx, deps: &Deps, row: &email::Model, to: &[String], now: Timestamp) -> Result<Begun> {
    let changes = email::ActiveModel {
        sealed_content: NotSet,
        started_sending_at: Set(Some(now)),
        sending_claim_id: Set(Some(Uuid::new_v4())),
        mailbox_recipients: Set(Some(store::mailbox_recipients(to))),
        is_queued: Set(true),
        ..sent(now)
    };
    store::update(tx, row, now, changes).await?;
    tell(tx, deps, row, EventKind::EmailSent).await?;
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

/// Notes in the event log that a mail has come to its end.
pub(super) async fn tell(tx: &Tx, deps: &Deps, email: &email::Model, kind: EventKind) -> Result<()> {
    let user_id = email.recipient_user_id;
    let payload = serde_json::json!({ "id": email.id, "user_id": user_id });
    let event = NewEvent { project_id: email.project_id.clone(), kind, user_id, team_id: None, payload };
    events::record(deps, tx, event).await
}
