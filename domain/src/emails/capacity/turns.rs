//! Whose turn it is. A project sends at its rate, metered by the generic cell rate algorithm (ITU-T I.371): one instant per
//! project says when a mail sent at that rate would be due; mails may go ahead of it by [`BURST_MILLIS`]. And it sends few at
//! once, one where its server does not answer, so that a server that stalls holds up the mails of its project and no others.
//!
//! A mail that cannot go now is told when to look again, from how many stand before it: those of higher priority, then those
//! that were to leave earlier (wire: emails §7). It may find others before it then; nobody hands out turns in advance. When
//! one has gone, those that are next need not wait for that: see [`pass_on`].

use std::time::Duration;

use postern_entity::{JobId, ProjectId, Timestamp, email, email_quota};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::OnConflict,
};
use uuid::Uuid;

use super::{BOOST_DIVISOR, Stats, stats};
use crate::{
    Deps,
    db::{Tx, statement},
    error::{Error, Result},
    queue,
};

/// How far ahead of its rate a project may be: a quarter of an hour's mails at once.
const BURST_MILLIS: i64 = 15 * 60 * 1000;
/// How long a computed rate is used.
const RATE_LIVES_MILLIS: i64 = 10 * 60 * 1000;
/// Mails of a project that may be on their way at once.
const MAX_AT_ONCE: i64 = 8;
/// The same while its server does not answer.
const MAX_AT_ONCE_FAILING: i64 = 1;
/// How long a mail is thought to be on its way, at least and at most, when others wait for it. Not less, for when it is over
/// the next ones hear of it. What has been on its way for longer says nothing of how long the next ones take.
const TRIP_MILLIS: (i64, i64) = (100, 5_000);
/// How long mails that are not the next ones wait at least before they look again: they hear of it when they are. Looking
/// takes a transaction, of which thousands that wait would leave nobody any.
const LOOK_MILLIS: i64 = 30 * 1000;
/// How many mails before another one are counted, of higher priority and of the same. When there are more, it looks again
/// before its turn, and counts again.
const MAX_COUNTED: u32 = 500;
/// A mail that should have looked around this long ago, or has been on its way for so long, is not waited for: its job may be
/// lost, its process dead.
const MISSED_MILLIS: i64 = 60 * 1000;

/// When a mail may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emails) enum Turn {
    /// Now; that is counted.
    Now,
    /// Perhaps then.
    NotBefore(Timestamp),
}

/// What is on its way, with a process that lives as far as anybody knows (`leave_to_time` in `send/cut_off.rs`). It begins with
/// the condition of the index `email_on_its_way`, word by word.
const ON_ITS_WAY: &str = "started_sending_at IS NOT NULL AND finished_sending_at IS NULL AND capacity_slot_at IS NULL";
/// What waits for its turn, and has not missed it. It begins with the condition of the index `email_waiting`, word by word.
const WAITS: &str = "is_queued AND started_sending_at IS NULL AND NOT is_paused AND capacity_slot_at >";

/// What stands before a mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ahead {
    waiting: i64,
    on_their_way: i64,
    /// When the oldest of the latter left.
    oldest: Option<Timestamp>,
    /// When the oldest of those left that may be [`TRIP_MILLIS`] on their way.
    oldest_moving: Option<Timestamp>,
}

/// Gives `email`, which the caller holds, its turn if it has one.
pub(in crate::emails) async fn take_turn(tx: &Tx, deps: &Deps, email: &email::Model, now: Timestamp) -> Result<Turn> {
    let project_id = &email.project_id;
    let quota = quota(tx, deps, project_id, now).await?;
    let ahead = ahead(tx, email, now).await?;
    let (first, interval_millis) = meter(deps, &quota, now);
    let by_rate = first.plus_millis(ahead.waiting.saturating_mul(interval_millis));
    let at = by_rate.max(by_room(ahead, quota.failing_since.is_some(), now));
    if at > now {
        return Ok(Turn::NotBefore(at));
    }
    if deps.settings.rate_limits {
        let next_at = next_at(&quota, now).plus_millis(interval_millis);
        update_quota(tx, project_id, email_quota::ActiveModel { next_at: Set(next_at), ..Default::default() }).await?;
    }
    Ok(Turn::Now)
}

/// When the next mail may leave by the rate, and how much later each one after it.
fn meter(deps: &Deps, quota: &email_quota::Model, now: Timestamp) -> (Timestamp, i64) {
    if !deps.settings.rate_limits {
        return (now, 0);
    }
    let is_boosted = quota.boost_expires_at.is_some_and(|at| at > now);
    let interval_millis =
        if is_boosted { (quota.interval_millis / BOOST_DIVISOR).max(1) } else { quota.interval_millis };
    (next_at(quota, now).plus_millis(-BURST_MILLIS), interval_millis)
}

/// When the next mail would be due at the rate. Mails never go further ahead of it than [`BURST_MILLIS`] and one more: whoever
/// wrote that had a clock that was ahead. Nobody waits for that; from now on it is as if all had gone that may.
fn next_at(quota: &email_quota::Model, now: Timestamp) -> Timestamp {
    let most = now.plus_millis(BURST_MILLIS);
    if quota.next_at > most.plus_millis(quota.interval_millis) { most } else { quota.next_at.max(now) }
}

/// When there is room for one more on the way. While the server answers, at the latest when the oldest on its way is not
/// waited for any more: processes that died with all the room there is must not hold up those behind for longer.
fn by_room(ahead: Ahead, is_failing: bool, now: Timestamp) -> Timestamp {
    let most = if is_failing { MAX_AT_ONCE_FAILING } else { MAX_AT_ONCE };
    let too_many = ahead.on_their_way + ahead.waiting + 1 - most;
    let Some(oldest) = ahead.oldest.filter(|_| too_many > 0) else { return now };
    // As long as those before it have been on their way, so long may it take again.
    let (least, longest) = TRIP_MILLIS;
    let trip = ahead.oldest_moving.map_or(longest, |left| now.millis() - left.millis()).clamp(least, longest);
    let rounds = (too_many + most - 1) / most;
    let wait = rounds * trip;
    if is_failing {
        return now.plus_millis(wait);
    }
    let wait = if rounds > 1 { wait.max(LOOK_MILLIS) } else { wait };
    now.plus_millis(wait).min(oldest.plus_millis(MISSED_MILLIS))
}

/// Those that go before `email`, counted up to [`MAX_COUNTED`], and those that have gone.
async fn ahead(tx: &Tx, email: &email::Model, now: Timestamp) -> Result<Ahead> {
    let waiting = format!("FROM email WHERE project_id = $1 AND {WAITS} $2");
    let sql = format!(
        "SELECT (SELECT COUNT(*) FROM (SELECT 1 {waiting} AND sending_priority > $3 LIMIT {MAX_COUNTED}) AS higher) \
            + (SELECT COUNT(*) FROM (SELECT 1 {waiting} AND sending_priority = $3 \
                AND (scheduled_at, created_at, id) < ($4, $5, $6) LIMIT {MAX_COUNTED}) AS earlier) AS waiting, \
            COUNT(*) AS on_their_way, MIN(started_sending_at) AS oldest, \
            MIN(CASE WHEN started_sending_at >= $7 THEN started_sending_at END) AS oldest_moving \
            FROM email WHERE project_id = $1 AND {ON_ITS_WAY} AND started_sending_at > $2 AND id <> $6"
    );
    let values = [
        email.project_id.as_str().into(),
        now.plus_millis(-MISSED_MILLIS).millis().into(),
        email.sending_priority.into(),
        email.scheduled_at.millis().into(),
        email.created_at.millis().into(),
        email.id.0.into(),
        now.plus_millis(-TRIP_MILLIS.1).millis().into(),
    ];
    let Some(row) = tx.query_one_raw(statement(&**tx, &sql, values)).await? else { return Ok(Ahead::default()) };
    Ok(Ahead {
        waiting: row.try_get("", "waiting")?,
        on_their_way: row.try_get("", "on_their_way")?,
        oldest: row.try_get::<Option<i64>>("", "oldest")?.map(Timestamp),
        oldest_moving: row.try_get::<Option<i64>>("", "oldest_moving")?.map(Timestamp),
    })
}

/// Who goes first (wire: emails §7).
pub(in crate::emails) fn priority(is_high: bool, is_transactional: bool) -> i32 {
    100 * i32::from(is_high) + 10 * i32::from(is_transactional)
}

/// The meter of the project, locked, its rate fresh enough.
pub(super) async fn quota(tx: &Tx, deps: &Deps, project_id: &ProjectId, now: Timestamp) -> Result<email_quota::Model> {
    let base = deps.settings.mails_per_hour;
    let fresh = email_quota::ActiveModel {
        project_id: Set(project_id.clone()),
        next_at: Set(now),
        interval_millis: Set(Stats::default().interval_millis(base)),
        computed_at: Set(Timestamp(0)),
        ..Default::default()
    };
    let once = OnConflict::column(email_quota::Column::ProjectId).do_nothing().to_owned();
    email_quota::Entity::insert(fresh).on_conflict(once).try_insert().exec_without_returning(&**tx).await?;
    let mut quota = email_quota::Entity::find_by_id(project_id.clone())
        .lock_exclusive()
        .one(&**tx)
        .await?
        .ok_or_else(|| Error::internal("the quota of a project vanished"))?;
    if quota.computed_at.plus_millis(RATE_LIVES_MILLIS) <= now || quota.computed_at > now {
        quota.interval_millis = stats(&**tx, project_id, now).await?.interval_millis(base);
        let changes = email_quota::ActiveModel {
            interval_millis: Set(quota.interval_millis),
            computed_at: Set(now),
            ..Default::default()
        };
        update_quota(tx, project_id, changes).await?;
    }
    Ok(quota)
}

pub(super) async fn update_quota(tx: &Tx, project_id: &ProjectId, changes: email_quota::ActiveModel) -> Result<()> {
    email_quota::Entity::update_many()
        .set(changes)
        .filter(email_quota::Column::ProjectId.eq(project_id.clone()))
        .exec(&**tx)
        .await?;
    Ok(())
}

/// A mail has come back from its way, or out of the line: as many of the next ones as there is room for look as soon as the
/// rate lets them. What this misses they find by themselves, later.
///
/// # Errors
/// Those of the database.
pub(in crate::emails) async fn pass_on(tx: &Tx, deps: &Deps, project_id: &ProjectId, now: Timestamp) -> Result<()> {
    let sql = format!(
        "SELECT waiting_job_id FROM email WHERE project_id = $1 AND {WAITS} $2 AND sending_priority = \
            (SELECT MAX(sending_priority) FROM email WHERE project_id = $1 AND {WAITS} $2) \
         ORDER BY scheduled_at, created_at, id LIMIT {MAX_AT_ONCE} - (SELECT COUNT(*) FROM \
            (SELECT 1 FROM email WHERE project_id = $1 AND {ON_ITS_WAY} AND started_sending_at > $3 LIMIT {MAX_AT_ONCE}) AS away)"
    );
    let values = [project_id.as_str().into(), now.millis().into(), now.plus_millis(-MISSED_MILLIS).millis().into()];
    let next = tx.query_all_raw(statement(&**tx, &sql, values)).await?;
    if next.is_empty() {
        return Ok(());
    }
    let quota = email_quota::Entity::find_by_id(project_id.clone()).one(&**tx).await?;
    let Some(quota) = quota else { return Ok(()) };
    let (mut at, interval_millis) = meter(deps, &quota, now);
    let mut jobs = Vec::with_capacity(next.len());
    for row in &next {
        let id: Option<Uuid> = row.try_get("", "waiting_job_id")?;
        let wait = Duration::from_millis(u64::try_from(at.millis() - now.millis()).unwrap_or(0));
        jobs.extend(id.map(|id| (JobId(id), wait)));
        at = at.plus_millis(interval_millis);
    }
    queue::hasten_all(deps, tx, &jobs).await
}

/// The server of the project answered, whatever it said.
pub(in crate::emails) async fn note_answer(tx: &Tx, project_id: &ProjectId) -> Result<()> {
    email_quota::Entity::update_many()
        .set(email_quota::ActiveModel { failing_since: Set(None), ..Default::default() })
        .filter(email_quota::Column::ProjectId.eq(project_id.clone()))
        .filter(email_quota::Column::FailingSince.is_not_null())
        .exec(&**tx)
        .await?;
    Ok(())
}

/// It did not.
pub(in crate::emails) async fn note_silence(tx: &Tx, project_id: &ProjectId, now: Timestamp) -> Result<()> {
    email_quota::Entity::update_many()
        .set(email_quota::ActiveModel { failing_since: Set(Some(now)), ..Default::default() })
        .filter(email_quota::Column::ProjectId.eq(project_id.clone()))
        .filter(email_quota::Column::FailingSince.is_null())
        .exec(&**tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn ahead(waiting: i64, on_their_way: i64, gone_for: i64) -> Ahead {
        let oldest = (on_their_way > 0).then(|| NOW.plus_millis(-gone_for));
        Ahead { waiting, on_their_way, oldest, oldest_moving: oldest.filter(|_| gone_for <= TRIP_MILLIS.1) }
    }

    fn wait(ahead: Ahead, is_failing: bool) -> i64 {
        by_room(ahead, is_failing, NOW).millis() - NOW.millis()
    }

    fn room(waiting: i64, on_their_way: i64, gone_for: i64, is_failing: bool) -> i64 {
        wait(ahead(waiting, on_their_way, gone_for), is_failing)
    }

    #[test]
    fn a_few_go_at_once_and_the_others_wait_as_long_as_those_take() {
        assert_eq!(room(0, 7, 10, false), 0);
        assert_eq!(room(0, 8, 10, false), 100, "not less");
        assert_eq!(room(0, 8, 400, false), 400);
        assert_eq!(room(0, 8, 50_000, false), 5_000, "not more");
        assert_eq!(room(7, 8, 400, false), 400, "among the next ones");
        assert_eq!(room(8, 8, 400, false), LOOK_MILLIS, "it hears when it is");
        assert_eq!(room(100, 0, 0, false), 0, "nobody is on the way: somebody must begin");
    }

    #[test]
    fn those_whose_process_died_hold_up_nobody_for_longer_than_they_are_waited_for() {
        assert_eq!(room(600, 8, 20_000, false), 40_000, "all the room is theirs");
        assert_eq!(room(600, 8, 59_990, false), 10);
        // Some room is left, and what uses it is quick.
        let quick = Ahead { oldest_moving: Some(NOW.plus_millis(-10)), ..ahead(7, 8, 20_000) };
        assert_eq!(wait(quick, false), 100);
        assert_eq!(room(600, 1, 20_000, true), 601 * 5_000, "a server that says nothing is waited for");
    }

    #[test]
    fn one_at_a_time_goes_to_a_server_that_does_not_answer() {
        assert_eq!(room(0, 0, 0, true), 0);
        assert_eq!(room(0, 1, 2_000, true), 2_000);
        assert_eq!(room(3, 1, 2_000, true), 8_000);
    }
}
