//! How a run of a job ends, and writing that down: many at a time, each only while its lease is still valid.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use postern_entity::JobId;
use sea_orm::ConnectionTrait;

use super::{
    Lease, LeaseId,
    result::{self, AnyResult, JobResult},
    time,
};
use crate::{
    Deps, Error, Result,
    db::{Backend, Tx, statement},
    signal::Signal,
};

/// How much of a reason is kept.
const MAX_REASON_CHARS: usize = 1000;
/// When a result that could not be stored is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(10);
/// How long a finished job is kept.
const KEPT_MILLIS: i64 = 60 * 60 * 1000;
/// How long one with a key is kept: until then a second one with that key is not made.
const KEPT_WITH_KEY_MILLIS: i64 = 3 * 24 * 60 * 60 * 1000;
/// Columns per row in the statement of [`end`].
const VALUES_PER_ROW: usize = 6;

/// What a handler answers. An error of a handler is the same as [`Ending::retry`] with that error as the reason.
#[derive(Clone, Debug)]
#[must_use = "tells the queue what becomes of the job"]
pub struct Ending {
    pub(super) outcome: Outcome,
    pub(super) effect: Option<Effect>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Committed,
    Retry { delay: Option<Duration>, reason: String },
    Snooze { delay: Duration },
    GiveUp { reason: String },
}

/// Writes that belong to an ending; see [`Ending::with`].
type EffectFn = dyn for<'a> Fn(&'a Tx) -> BoxFuture<'a, Result<()>> + Send + Sync;

#[derive(Clone)]
pub(super) enum Effect {
    One(Arc<EffectFn>),
    Shared(AnyResult),
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Effect")
    }
}

impl Ending {
    fn plain(outcome: Outcome) -> Self {
        Self { outcome, effect: None }
    }

    /// Nothing is left to do.
    pub fn done() -> Self {
        Self::plain(Outcome::Done)
    }

    /// The handler has ended the job itself, by [`super::finish_in`], [`super::retry_in`] or [`super::give_up_in`].
    pub fn committed() -> Self {
        Self::plain(Outcome::Committed)
    }

    /// It failed; try again after the back-off of the kind. Dead if it was the last attempt.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::plain(Outcome::Retry { delay: None, reason: reason.into() })
    }

    /// It failed; try again after exactly this long. Dead if it was the last attempt.
    pub fn retry_after(delay: Duration, reason: impl Into<String>) -> Self {
        Self::plain(Outcome::Retry { delay: Some(delay), reason: reason.into() })
    }

    /// It could not be tried yet: run it after this long, and do not count this attempt.
    pub fn snooze(delay: Duration) -> Self {
        Self::plain(Outcome::Snooze { delay })
    }

    /// Trying again will not help: dead, kept to be looked at.
    pub fn give_up(reason: impl Into<String>) -> Self {
        Self::plain(Outcome::GiveUp { reason: reason.into() })
    }

    /// Writes `effect` in the transaction that ends the job, and only if the lease still holds. Endings of many jobs share
    /// a transaction, so this is the cheap way to store a result; it may be run several times, the last one counts.
    /// Replaces a result given before.
    pub fn with<F>(mut self, effect: F) -> Self
    where
        F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, Result<()>> + Send + Sync + 'static,
    {
        self.effect = Some(Effect::One(Arc::new(effect)));
        self
    }

    /// The same for a kind of result that is written for many jobs by few statements: for jobs that run by the thousand.
    pub fn with_result<R: JobResult>(mut self, result: R) -> Self {
        self.effect = Some(Effect::Shared(AnyResult::new(result)));
        self
    }

    /// The same with the delay of a plain retry filled in. `backoff` is the kind's, to which a jitter of ±20 % is added.
    pub fn with_backoff(mut self, backoff: Duration) -> Self {
        if let Outcome::Retry { delay: delay @ None, .. } = &mut self.outcome {
            *delay = Some(backoff.mul_f64(rand::random_range(0.8..=1.2)));
        }
        self
    }

    /// What it becomes when its effect could not be written: a retry.
    pub fn without_effect_because(self, reason: &str) -> Self {
        let retry = Self::retry(format!("the result could not be stored: {reason}"));
        match self.outcome {
            Outcome::Retry { delay: Some(delay), .. } => Self::retry_after(delay, reason),
            _ => retry.with_backoff(STORE_AGAIN),
        }
    }

    /// What becomes of the job, in a word for counters: `done`, `retry`, `snoozed` (put off, not counted as an attempt) or
    /// `dead`.
    #[must_use]
    pub fn outcome(&self, lease: &Lease) -> &'static str {
        match &self.outcome {
            Outcome::Done | Outcome::Committed => "done",
            Outcome::Retry { .. } if lease.is_last_attempt() => "dead",
            Outcome::Retry { .. } => "retry",
            Outcome::Snooze { .. } => "snoozed",
            Outcome::GiveUp { .. } => "dead",
        }
    }

    /// What failed, for the log.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Retry { reason, .. } | Outcome::GiveUp { reason } => Some(reason),
            Outcome::Done | Outcome::Committed | Outcome::Snooze { .. } => None,
        }
    }
}

/// Writes down the endings of several jobs, effects included, in one transaction. Answers the jobs whose lease was lost:
/// nothing was written for them. When one effect fails, all fail: try them one by one then.
///
/// # Errors
/// Those of the effects and of the database.
#[crate::boxed]
pub async fn end_all(deps: &Deps, endings: &[(Lease, Ending)]) -> Result<Vec<JobId>> {
    let endings: Vec<_> = endings.iter().filter(|(_, ending)| ending.outcome != Outcome::Committed).collect();
    if endings.is_empty() {
        return Ok(Vec::new());
    }
    let outcomes: Vec<_> = endings.iter().map(|(lease, ending)| (lease, &ending.outcome)).collect();
    let ended = deps
        .db
        .write(async |tx| {
            let ended = end(deps, &tx, &outcomes).await?;
            let mut shared = Vec::new();
            for (_, ending) in endings.iter().filter(|(lease, _)| ended.contains(&lease.id())) {
                match &ending.effect {
                    Some(Effect::One(effect)) => effect(&tx).await?,
                    Some(Effect::Shared(result)) => shared.push(result),
                    None => {}
                }
            }
            result::write(deps, &tx, shared.into_iter()).await?;
            Ok(ended)
        })
        .await?;
    Ok(outcomes.iter().map(|(lease, _)| lease.id()).filter(|id| !ended.contains(id)).map(|id| id.job_id).collect())
}

/// Writes down outcomes by one statement; answers the leases that still held.
pub(super) async fn end(deps: &Deps, tx: &Tx, outcomes: &[(&Lease, &Outcome)]) -> Result<Vec<LeaseId>> {
    let mut values: Vec<sea_orm::Value> = Vec::with_capacity(outcomes.len() * VALUES_PER_ROW);
    let mut again = false;
    for (lease, outcome) in outcomes {
        let (state, delay, refund, reason) = match outcome {
            Outcome::Done => ("done", Duration::ZERO, 0, None),
            Outcome::Retry { delay, reason } => ("pending", delay.unwrap_or_default(), 0, Some(reason)),
            Outcome::Snooze { delay } => ("pending", *delay, 1, None),
            Outcome::GiveUp { reason } => ("dead", Duration::ZERO, 0, Some(reason)),
            Outcome::Committed => continue,
        };
        again |= state == "pending";
        values.push(lease.job_id.0.into());
        values.push(lease.fence.into());
        values.push(state.into());
        values.push(time::millis(delay).into());
        values.push(refund.into());
        values.push(reason.map(|reason| reason.chars().take(MAX_REASON_CHARS).collect::<String>()).into());
    }
    let rows = values.len() / VALUES_PER_ROW;
    if rows == 0 {
        return Ok(Vec::new());
    }
    lock(tx, outcomes).await?;
    let now = time::now_sql(deps);
    // A failed last attempt is dead at once, not only at the next claim.
    let state =
        "CASE WHEN v.column3 = 'pending' AND v.column5 = 0 AND attempts >= max_attempts THEN 'dead' ELSE v.column3 END";
    let sql = format!(
        "UPDATE job SET state = {state}, finished_at = CASE WHEN {state} = 'pending' THEN NULL ELSE {now} END, \
         prune_at = CASE WHEN {state} = 'done' THEN {now} + CASE WHEN key IS NULL THEN {KEPT_MILLIS} ELSE {KEPT_WITH_KEY_MILLIS} END END, \
         due_at = {now} + v.column4, attempts = attempts - v.column5, last_error = COALESCE(v.column6, last_error) \
         FROM (VALUES {}) AS v WHERE job.id = v.column1 AND job.fence = v.column2 AND job.state = 'running' \
         RETURNING job.id AS id, fence",
        placeholders(rows, VALUES_PER_ROW)
    );
    let rows = tx.query_all_raw(statement(&**tx, &sql, values)).await?;
    if again {
        tx.raise(Signal::Jobs);
    }
    rows.iter().map(LeaseId::read).collect()
}

/// Takes the rows in the order in which everybody takes them, so that two who change several never wait for each other.
async fn lock(tx: &Tx, outcomes: &[(&Lease, &Outcome)]) -> Result<()> {
    if tx.backend() != Backend::Postgres || outcomes.len() < 2 {
        return Ok(());
    }
    let places: Vec<_> = (1..=outcomes.len()).map(|place| format!("${place}")).collect();
    let sql = format!("SELECT 1 FROM job WHERE id IN ({}) ORDER BY id FOR UPDATE", places.join(", "));
    tx.query_all_raw(statement(&**tx, &sql, outcomes.iter().map(|(lease, _)| lease.job_id.0.into()))).await?;
    Ok(())
}

/// `($1,$2),($3,$4)` for two rows of two columns.
pub(crate) fn placeholders(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let columns: Vec<_> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", columns.join(","))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(",")
}

/// The ending that an error of a handler amounts to.
impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Self::retry(error.to_string())
    }
}
