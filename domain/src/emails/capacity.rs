//! How many mails a project may send, and its share of the installation's server.
//!
//! The rate follows from what the project has sent and how it was received (wire: emails §6). The share is metered by the
//! generic cell rate algorithm (ITU-T I.371): one instant per project says when a mail sent at the allowed rate would be
//! due; a mail may go ahead of it by [`BURST_MILLIS`], otherwise it is given the instant at which it may.

use postern_entity::{ProjectId, Timestamp, email, email_quota};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
    sea_query::OnConflict,
};

use crate::{
    db::Tx,
    error::{Error, Result},
};

/// Mails per hour that every project may send.
const BASE_PER_HOUR: f64 = 200.0;
/// How far ahead of the allowed rate a project may be: a quarter of an hour's mails at once.
const BURST_MILLIS: i64 = 15 * 60 * 1000;
/// How long a computed rate is used.
const RATE_LIVES_MILLIS: i64 = 10 * 60 * 1000;
const HOUR_MILLIS: i64 = 60 * 60 * 1000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;
const WEEK_MILLIS: i64 = 7 * DAY_MILLIS;
const MONTH_MILLIS: i64 = 30 * DAY_MILLIS;

/// What was sent in some window of time, and how it was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) sent: i64,
    pub(super) bounced: i64,
    pub(super) marked_as_spam: i64,
}

/// The windows that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stats {
    pub(super) hour: Sent,
    pub(super) day: Sent,
    pub(super) week: Sent,
    pub(super) month: Sent,
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
    /// Mails per hour that the project may send.
    #[expect(clippy::cast_precision_loss, reason = "counts of mails are far below 2^52")]
    pub(super) fn per_hour(&self) -> f64 {
        let penalty = self.week.penalty().min(self.day.penalty()).min(self.hour.penalty());
        let earned = BASE_PER_HOUR + 4.0 * self.month.sent as f64 / 30.0 / 24.0;
        (earned * penalty).max(BASE_PER_HOUR / 4.0)
    }

    /// Time between two mails at that rate, in milliseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "between 1 and 72,000")]
    fn interval_millis(&self) -> i64 {
        ((HOUR_MILLIS as f64 / self.per_hour()).round() as i64).max(1)
    }
}

/// Gives a mail its turn through the shared server: an instant, perhaps the present one, that no other mail is given.
pub(super) async fn take_turn(tx: &Tx, project_id: &ProjectId, now: Timestamp) -> Result<Timestamp> {
    let quota = quota(tx, project_id, now).await?;
    let (turn, next_at) = turn(quota.next_at, quota.interval_millis, now);
    let changed = email_quota::ActiveModel { next_at: Set(next_at), ..Default::default() };
    email_quota::Entity::update_many()
        .set(changed)
        .filter(email_quota::Column::ProjectId.eq(project_id.clone()))
        .exec(&**tx)
        .await?;
    Ok(turn)
}

/// When the mail may go, and where the meter stands afterwards.
fn turn(next_at: Timestamp, interval_millis: i64, now: Timestamp) -> (Timestamp, Timestamp) {
    (now.max(next_at.plus_millis(-BURST_MILLIS)), now.max(next_at).plus_millis(interval_millis))
}

/// The meter of the project, locked, its rate fresh enough.
async fn quota(tx: &Tx, project_id: &ProjectId, now: Timestamp) -> Result<email_quota::Model> {
    let fresh = email_quota::ActiveModel {
        project_id: Set(project_id.clone()),
        next_at: Set(now),
        interval_millis: Set(Stats::default().interval_millis()),
        computed_at: Set(Timestamp(0)),
    };
    let once = OnConflict::column(email_quota::Column::ProjectId).do_nothing().to_owned();
    email_quota::Entity::insert(fresh).on_conflict(once).try_insert().exec_without_returning(&**tx).await?;
    let mut quota = email_quota::Entity::find_by_id(project_id.clone())
        .lock_exclusive()
        .one(&**tx)
        .await?
        .ok_or_else(|| Error::internal("the quota of a project vanished"))?;
    if quota.computed_at.plus_millis(RATE_LIVES_MILLIS) <= now {
        quota.interval_millis = stats(tx, project_id, now).await?.interval_millis();
        let changed = email_quota::ActiveModel {
            interval_millis: Set(quota.interval_millis),
            computed_at: Set(now),
            ..Default::default()
        };
        email_quota::Entity::update_many()
            .set(changed)
            .filter(email_quota::Column::ProjectId.eq(project_id.clone()))
            .exec(&**tx)
            .await?;
    }
    Ok(quota)
}

#[derive(FromQueryResult)]
struct Counted {
    sent: i64,
    bounced: i64,
    marked_as_spam: i64,
}

/// What the project has sent lately: taken by a server, not skipped, not only caught in the local mailbox.
pub(super) async fn stats(tx: &Tx, project_id: &ProjectId, now: Timestamp) -> Result<Stats> {
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
            .one(&**tx)
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

    fn sent(sent: i64, bounced: i64, marked_as_spam: i64) -> Sent {
        Sent { sent, bounced, marked_as_spam }
    }

    #[test]
    fn the_rate_follows_the_worked_example_of_the_contract() {
        let week = sent(100, 1, 0);
        let stats = Stats { week, month: sent(7200, 72, 0), ..Stats::default() };
        assert!((stats.per_hour() - 237.6).abs() < 1e-9);
        assert!((Stats::default().per_hour() - 200.0).abs() < 1e-9);
        assert!((sent(100, 0, 1).penalty() - 0.5).abs() < 1e-9);
        let worst = Stats { hour: sent(1, 1, 1), ..Stats::default() };
        assert!((worst.per_hour() - 50.0).abs() < 1e-9, "a quarter of the base is always left");
    }

    #[test]
    fn a_burst_goes_at_once_and_then_each_mail_has_a_turn_of_its_own() {
        let now = Timestamp(1_000_000_000);
        let interval = 18_000;
        let (mut next_at, mut turns) = (now, Vec::new());
        for _ in 0..53 {
            let (at, next) = turn(next_at, interval, now);
            next_at = next;
            turns.push(at.millis() - now.millis());
        }
        assert!(turns.iter().take(51).all(|turn| *turn == 0), "a quarter of 200 and the one at the edge");
        assert_eq!(turns[51..], [18_000, 36_000]);
        assert_eq!(turn(next_at, interval, now.plus_millis(DAY_MILLIS)).0, now.plus_millis(DAY_MILLIS));
    }
}
