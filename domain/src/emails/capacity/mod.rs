//! How many mails a project may send: it follows from what the project has sent and how that was received (wire: emails
//! §6). Whose turn it is within that is the business of `turns.rs`.

mod turns;

use postern_entity::{ProjectId, Timestamp, email, email_quota};
use schemars::JsonSchema;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
};
use serde::Serialize;
use serde_json::json;

pub(super) use self::turns::{Turn, note_answer, note_silence, pass_on, priority, take_turn};
use super::{
    jobs::{HurryEmails, SendEmail},
    outbox::require_server,
};
use crate::{
    Actor, Code, Deps, Failure,
    error::{Error, Result, refuse},
    queue::{self, Ending, Enqueue, Lease},
};

/// How many times faster a boosted project sends.
const BOOST: f64 = 4.0;
const BOOST_DIVISOR: i64 = 4;
const BOOST_MILLIS: i64 = 4 * HOUR_MILLIS;
/// How many hundreds of waiting mails one run hurries.
const HURRIED_BATCHES: u32 = 50;
const HOUR_MILLIS: i64 = 60 * 60 * 1000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;
const WEEK_MILLIS: i64 = 7 * DAY_MILLIS;
const MONTH_MILLIS: i64 = 30 * DAY_MILLIS;

/// What was sent in some window of time, and how it was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "EmailsSent")]
pub struct Sent {
    /// Taken by a server.
    pub sent: i64,
    /// Of these, came back.
    pub bounced: i64,
    /// Of these, called spam.
    pub marked_as_spam: i64,
}

/// The windows that count, each up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "EmailStats")]
pub struct Stats {
    /// An hour.
    pub hour: Sent,
    /// A day.
    pub day: Sent,
    /// A week.
    pub week: Sent,
    /// Thirty days.
    pub month: Sent,
}

impl Sent {
    /// From 0.1 to 1; less the more came back or was called spam.
    #[expect(clippy::cast_precision_loss, reason = "counts of mails are far below 2^52")]
    fn penalty(self) -> f64 {
        if self.sent == 0 {
            return 1.0;
        }
        let bad = self.bounced as f64 + 50.0 * self.marked_as_spam as f64;
        (1.0 - bad / self.sent as f64).clamp(0.1, 1.0)
    }
}

impl Stats {
    fn penalty_factor(&self) -> f64 {
        self.week.penalty().min(self.day.penalty()).min(self.hour.penalty())
    }

    /// Mails per hour that the project may send, when `base` are what every project may.
    #[expect(clippy::cast_precision_loss, reason = "counts of mails are far below 2^52")]
    fn per_hour(&self, base: f64) -> f64 {
        let earned = base + 4.0 * self.month.sent as f64 / 30.0 / 24.0;
        (earned * self.penalty_factor()).max(base / 4.0)
    }

    /// Time between two mails at that rate, in milliseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "between 1 and 14,400,000")]
    fn interval_millis(&self, base: f64) -> i64 {
        ((HOUR_MILLIS as f64 / self.per_hour(base)).round() as i64).max(1)
    }
}

/// What became of a project's mails, and how many it may send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeliveryInfo {
    /// What was sent, and how it was received.
    pub stats: Stats,
    /// Mails per second that may leave now.
    pub rate_per_second: f64,
    /// How many times faster than otherwise.
    pub boost_multiplier: f64,
    /// From 0.1 to 1: how much is left of the rate for what came back or was called spam.
    pub penalty_factor: f64,
    /// Whether the project sends faster now.
    pub is_boost_active: bool,
    /// Until when it does, or last did.
    pub boost_expires_at: Option<Timestamp>,
}

/// What became of the mails of the caller's project, and how many it may send (wire: emails §6).
///
/// # Errors
/// `FORBIDDEN` below server level.
#[crate::boxed]
pub async fn delivery_info(deps: &Deps, actor: &Actor) -> Result<DeliveryInfo> {
    require_server(actor)?;
    let (connection, now) = (deps.db.read(), deps.now());
    let stats = stats(connection, &actor.project_id, now).await?;
    let quota = email_quota::Entity::find_by_id(actor.project_id.clone()).one(connection).await?;
    let boost_expires_at = quota.and_then(|quota| quota.boost_expires_at);
    let is_boost_active = boost_expires_at.is_some_and(|at| at > now);
    let boost_multiplier = if is_boost_active { BOOST } else { 1.0 };
    Ok(DeliveryInfo {
        stats,
        rate_per_second: stats.per_hour(deps.settings.mails_per_hour) / 3600.0 * boost_multiplier,
        boost_multiplier,
        penalty_factor: stats.penalty_factor(),
        is_boost_active,
        boost_expires_at,
    })
}

/// Lets the caller's project send four times faster for four hours. Mails that wait for their turn hear of it.
///
/// # Errors
/// `FORBIDDEN` below server level; `EMAIL_CAPACITY_BOOST_ALREADY_ACTIVE`.
#[crate::boxed]
pub async fn boost(deps: &Deps, actor: &Actor) -> Result<Timestamp> {
    require_server(actor)?;
    let project_id = &actor.project_id;
    deps.mutate(actor, "emails.boost_capacity", |tx| async move {
        let now = deps.now();
        let quota = turns::quota(&tx, deps, project_id, now).await?;
        if let Some(at) = quota.boost_expires_at.filter(|at| *at > now) {
            let text = "The project sends faster already.";
            return refuse(
                Failure::new(Code::EmailCapacityBoostAlreadyActive, text).with(json!({ "expires_at": iso(at)? })),
            );
        }
        let expires_at = now.plus_millis(BOOST_MILLIS);
        let changes = email_quota::ActiveModel { boost_expires_at: Set(Some(expires_at)), ..Default::default() };
        turns::update_quota(&tx, project_id, changes).await?;
        let job = HurryEmails { project_id: project_id.clone(), divisor: BOOST_DIVISOR, after: None };
        queue::enqueue(deps, &tx, Enqueue::new(&job)?.project(project_id.clone())).await?;
        Ok(expires_at)
    })
    .await
}

/// Runs the job [`HurryEmails`]: what waits longer than the new rate demands waits shorter. Those that wait for something
/// else look around a little earlier, and go on waiting.
///
/// # Errors
/// Internal only; the queue tries again.
#[crate::boxed]
pub async fn hurry(deps: &Deps, lease: &Lease, job: &HurryEmails) -> Result<Ending> {
    let mut after = job.after;
    for _ in 0..HURRIED_BATCHES {
        after = queue::bring_forward::<SendEmail>(deps, &job.project_id, after, job.divisor.max(1)).await?;
        if after.is_none() {
            return Ok(Ending::done());
        }
    }
    let rest = Enqueue::new(&HurryEmails { after, ..job.clone() })?.project(job.project_id.clone());
    deps.db
        .write(async |tx| {
            queue::enqueue(deps, &tx, rest.clone()).await?;
            queue::finish_in(deps, &tx, lease).await
        })
        .await?;
    Ok(Ending::committed())
}

/// An instant as the contract writes it here.
///
/// # Errors
/// Internal, for one that has no calendar date.
pub fn iso(at: Timestamp) -> Result<String> {
    let time = at.to_utc().ok_or_else(|| Error::internal("an instant without a date"))?;
    Ok(time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

#[derive(FromQueryResult)]
struct Counted {
    sent: i64,
    bounced: i64,
    marked_as_spam: i64,
}

/// What the project has sent lately: taken by a server, not skipped, not only caught in the local mailbox.
async fn stats<C: ConnectionTrait>(connection: &C, project_id: &ProjectId, now: Timestamp) -> Result<Stats> {
    let mut stats = Stats::default();
    for (window, counts) in [
        (HOUR_MILLIS, &mut stats.hour),
        (DAY_MILLIS, &mut stats.day),
        (WEEK_MILLIS, &mut stats.week),
        (MONTH_MILLIS, &mut stats.month),
    ] {
        let counted = email::Entity::find()
            .select_only()
            .column_as(email::Column::Id.count(), "sent")
            .column_as(email::Column::BouncedAt.count(), "bounced")
            .column_as(email::Column::MarkedAsSpamAt.count(), "marked_as_spam")
            .filter(email::Column::ProjectId.eq(project_id.clone()))
            .filter(email::Column::FinishedSendingAt.gte(now.plus_millis(-window)))
            .filter(taken_by_a_server())
            .into_model::<Counted>()
            .one(connection)
            .await?;
        if let Some(Counted { sent, bounced, marked_as_spam }) = counted {
            *counts = Sent { sent, bounced, marked_as_spam };
        }
    }
    Ok(stats)
}

fn taken_by_a_server() -> Condition {
    Condition::all()
        .add(email::Column::SendError.is_null())
        .add(email::Column::SkippedReason.is_null())
        .add(email::Column::MailboxRecipients.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_worked_example_of_the_contract() {
        let sent = |sent, bounced, marked_as_spam| Sent { sent, bounced, marked_as_spam };
        let stats = Stats { week: sent(100, 1, 0), month: sent(7200, 72, 0), ..Stats::default() };
        assert!((stats.per_hour(200.0) - 237.6).abs() < 1e-9);
        assert!((Stats::default().per_hour(200.0) - 200.0).abs() < 1e-9);
        assert!((sent(100, 0, 1).penalty() - 0.5).abs() < 1e-9);
        let worst = Stats { hour: sent(1, 1, 1), ..Stats::default() };
        assert!((worst.per_hour(200.0) - 50.0).abs() < 1e-9, "a quarter of the base is always left");
    }
}
