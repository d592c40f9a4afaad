//! Claiming jobs and keeping them: batches, leases, fencing numbers.

use std::time::{Duration, Instant};

use postern_entity::{JobId, ProjectId};
use sea_orm::{ConnectionTrait, QueryResult};
use serde_json::Value;

use super::{
    Lane, Lease, Priority,
    ending::placeholders,
    lease::{LeaseId, Term},
    time,
};
use crate::{
    Deps, Result,
    db::{Backend, Tx, statement},
    trace::TraceContext,
};

/// The most jobs one transaction claims, renews or ends.
pub const MAX_BATCH: usize = 100;

/// A claimed job.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The right to run it.
    pub lease: Lease,
    /// What is to be done.
    pub kind: String,
    /// What the handler needs.
    pub payload: Value,
    /// The place in a trace of what caused it.
    pub cause: Option<TraceContext>,
}

/// How many suspects of the first time run at once.
const MAX_SUSPECTS: usize = 8;
/// A job that was taken over and has not ended since: the next attempt makes it a suspect ([`Lease::is_suspect`]). Its last
/// attempt is not run again.
const SUSPECT: &str = "state = 'running' AND takeovers > 0 AND attempts < max_attempts";
/// One for the first time.
const FIRST_SUSPICION: &str = "state = 'running' AND takeovers = 1 AND attempts < max_attempts";
/// One that has been a suspect before.
const SUSPECTED_AGAIN: &str = "state = 'running' AND takeovers > 1 AND attempts < max_attempts";

/// Which suspects ([`Lease::is_suspect`]) a worker may claim beside those that it runs: a few that are so for the first
/// time, or one that has been before and no other. So a job that kills its process takes few along once more, and none
/// after that, while the many that were only beside it do not queue up one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspects {
    /// Whichever has waited longest.
    Any,
    /// So many that are suspects for the first time.
    First(usize),
}

impl Suspects {
    /// What may be claimed by who holds these leases.
    pub fn beside<'a>(held: impl IntoIterator<Item = &'a Lease>) -> Self {
        let mut held = held.into_iter().filter(|lease| lease.is_suspect()).peekable();
        if held.peek().is_none() {
            return Self::Any;
        }
        let room =
            held.try_fold(MAX_SUSPECTS, |room, lease| (!lease.is_only_suspect()).then(|| room.saturating_sub(1)));
        Self::First(room.unwrap_or(0))
    }

    /// Those that must wait.
    fn excluded(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::First(0) => Some(SUSPECT),
            Self::First(_) => Some(SUSPECTED_AGAIN),
        }
    }
}

/// Claims at most `limit` (and [`MAX_BATCH`]) due jobs of a lane for `lease`: those that wait, and those whose worker let
/// its lease run out. Suspects first, then higher priorities, then those due longest. A job that was claimed as often as it
/// may be is not handed out but dead.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn claim(
    deps: &Deps,
    lane: Lane,
    worker: &str,
    limit: usize,
    lease: Duration,
    suspects: Suspects,
) -> Result<Vec<Claimed>> {
    let limit = limit.min(MAX_BATCH);
    if limit == 0 {
        return Ok(Vec::new());
    }
    deps.db
        .write(async |tx| {
            let claimer = Claimer { lane, worker, lease, ends: Instant::now() + lease };
            let mut claimed = claim_suspects(deps, &tx, claimer, suspects, limit).await?;
            for priority in Priority::ALL {
                let left = limit.saturating_sub(claimed.len());
                if left == 0 {
                    break;
                }
                let condition = format!("priority = {} AND NOT ({SUSPECT})", priority.as_i32());
                claimed.extend(claim_rows(deps, &tx, claimer, &condition, left).await?);
            }
            Ok(claimed.into_iter().flatten().collect())
        })
        .await
}

#[derive(Clone, Copy)]
struct Claimer<'a> {
    lane: Lane,
    worker: &'a str,
    lease: Duration,
    /// No later than by the clock of the database.
    ends: Instant,
}

async fn claim_suspects(
    deps: &Deps,
    tx: &Tx,
    claimer: Claimer<'_>,
    suspects: Suspects,
    limit: usize,
) -> Result<Vec<Option<Claimed>>> {
    let mut claimed = Vec::new();
    let room = match suspects {
        Suspects::First(room) => room,
        Suspects::Any => {
            claimed = claim_rows(deps, tx, claimer, SUSPECT, 1).await?;
            let is_first = claimed.iter().flatten().any(|claimed| !claimed.lease.is_only_suspect());
            if is_first { MAX_SUSPECTS - 1 } else { 0 }
        }
    };
    let room = room.min(limit - claimed.len());
    if room > 0 {
        claimed.extend(claim_rows(deps, tx, claimer, FIRST_SUSPICION, room).await?);
    }
    Ok(claimed)
}

/// Claims due jobs that fit `condition`. One entry per claimed row; `None` for one that is dead now.
async fn claim_rows(
    deps: &Deps,
    tx: &Tx,
    claimer: Claimer<'_>,
    condition: &str,
    limit: usize,
) -> Result<Vec<Option<Claimed>>> {
    let now = time::now_sql(deps);
    // SKIP LOCKED: several workers claim side by side and never wait for each other. SQLite has one writer anyway.
    let skip = if tx.backend() == Backend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!(
        "WITH due AS MATERIALIZED (SELECT id FROM job WHERE lane = $1 AND {condition} AND finished_at IS NULL \
         AND due_at <= {now} ORDER BY due_at LIMIT $2{skip}) \
         UPDATE job SET fence = fence + 1, worker = $3, due_at = {now} + $4, \
         state = CASE WHEN attempts >= max_attempts THEN 'dead' ELSE 'running' END, \
         finished_at = CASE WHEN attempts >= max_attempts THEN {now} END, \
         last_error = CASE WHEN attempts >= max_attempts AND state = 'running' \
         THEN 'the last attempt never ended: its worker was killed or stopped' ELSE last_error END, \
         takeovers = CASE WHEN state = 'running' THEN takeovers + 1 ELSE 0 END, \
         attempts = CASE WHEN attempts >= max_attempts THEN attempts ELSE attempts + 1 END \
         WHERE id IN (SELECT id FROM due) \
         RETURNING id, project_id, kind, payload, state, attempts, max_attempts, fence, takeovers, traceparent"
    );
    let values = [
        claimer.lane.as_str().into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
        claimer.worker.into(),
        time::millis(claimer.lease).into(),
    ];
    let rows = tx.query_all_raw(statement(&**tx, &sql, values)).await?;
    rows.iter().map(|row| claimed(row, claimer.ends)).collect()
}

fn claimed(row: &QueryResult, ends: Instant) -> Result<Option<Claimed>> {
    let job_id = JobId(row.try_get("", "id")?);
    let kind: String = row.try_get("", "kind")?;
    let attempts: i32 = row.try_get("", "attempts")?;
    let max_attempts: i32 = row.try_get("", "max_attempts")?;
    if row.try_get::<String>("", "state")? == "dead" {
        tracing::error!(job.id = %job_id, job.kind = kind, attempts, "a job is dead: its last attempt never ended");
        metrics::counter!("postern_jobs_total", "kind" => kind, "outcome" => "dead").increment(1);
        return Ok(None);
    }
    let lease = Lease {
        job_id,
        project_id: row.try_get::<Option<String>>("", "project_id")?.map(ProjectId),
        attempt: u16::try_from(attempts).unwrap_or(u16::MAX),
        max_attempts: u16::try_from(max_attempts).unwrap_or(u16::MAX),
        fence: row.try_get("", "fence")?,
        takeovers: row.try_get("", "takeovers")?,
        term: Term::until(ends),
    };
    let cause: Option<String> = row.try_get("", "traceparent")?;
    let cause = cause.and_then(|cause| cause.parse().ok());
    Ok(Some(Claimed { lease, kind, payload: row.try_get("", "payload")?, cause }))
}

/// What became of leases that were to be prolonged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// Those that are prolonged.
    pub renewed: Vec<LeaseId>,
    /// Those that are lost: their handlers should stop.
    pub lost: Vec<LeaseId>,
}

/// Prolongs leases to `lease` from now, at most [`MAX_BATCH`] of them. A row that somebody holds locked at this moment is
/// neither prolonged nor lost: it is to be tried again soon.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn renew(deps: &Deps, leases: &[Lease], lease: Duration) -> Result<Renewal> {
    let Some(leases) = leases.get(..leases.len().min(MAX_BATCH)).filter(|leases| !leases.is_empty()) else {
        return Ok(Renewal::default());
    };
    let (renewal, ends) = deps
        .db
        .write(async |tx| {
            let ends = Instant::now() + lease;
            let held = held(&tx, leases).await?;
            let now = time::now_sql(deps);
            let skip = if tx.backend() == Backend::Postgres { " FOR UPDATE OF job SKIP LOCKED" } else { "" };
            let sql = format!(
                "WITH held AS MATERIALIZED (SELECT id FROM job, (VALUES {}) AS v WHERE id = v.column1 \
                 AND fence = v.column2 AND state = 'running'{skip}) \
                 UPDATE job SET due_at = {now} + ${} WHERE id IN (SELECT id FROM held) RETURNING id, fence",
                placeholders(leases.len(), 2),
                leases.len() * 2 + 1,
            );
            let mut values = pairs(leases);
            values.push(time::millis(lease).into());
            let rows = tx.query_all_raw(statement(&*tx, &sql, values)).await?;
            let renewed = rows.iter().map(LeaseId::read).collect::<Result<_>>()?;
            let lost = leases.iter().map(Lease::id).filter(|id| !held.contains(id)).collect();
            Ok((Renewal { renewed, lost }, ends))
        })
        .await?;
    for lease in leases.iter().filter(|lease| renewal.renewed.contains(&lease.id())) {
        lease.term.extend(ends);
    }
    Ok(renewal)
}

/// Gives claimed jobs back: due at once, for whoever comes first. `started` says whether the run counts as an attempt.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn release(deps: &Deps, leases: &[Lease], started: bool) -> Result<()> {
    for leases in leases.chunks(MAX_BATCH) {
        deps.db
            .write(async |tx| {
                let refund = i32::from(!started);
                let sql = format!(
                    "UPDATE job SET state = 'pending', due_at = {}, attempts = attempts - ${} FROM (VALUES {}) AS v \
                     WHERE job.id = v.column1 AND job.fence = v.column2 AND job.state = 'running'",
                    time::now_sql(deps),
                    leases.len() * 2 + 1,
                    placeholders(leases.len(), 2),
                );
                let mut values = pairs(leases);
                values.push(refund.into());
                tx.execute_raw(statement(&*tx, &sql, values)).await?;
                tx.raise(crate::signal::Signal::Jobs);
                Ok(())
            })
            .await?;
    }
    Ok(())
}

/// In how long the next job of a lane is due that may be claimed with `suspects`; zero when one is due now, `None` when none
/// waits. Reads only: an idle worker asks this often, and a claim would take the write lock.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn next_due(deps: &Deps, lane: Lane, suspects: Suspects) -> Result<Option<Duration>> {
    let excluded = suspects.excluded().map(|condition| format!(" AND NOT ({condition})")).unwrap_or_default();
    let first = |priority: Priority| {
        format!(
            "SELECT MIN(due_at) AS due_at FROM job WHERE lane = $1 AND priority = {} AND finished_at IS NULL{excluded}",
            priority.as_i32()
        )
    };
    let firsts = Priority::ALL.iter().map(|priority| first(*priority)).collect::<Vec<_>>().join(" UNION ALL ");
    let sql = format!("SELECT MIN(due_at) - {} AS wait FROM ({firsts}) AS firsts", time::now_sql(deps));
    let connection = deps.db.read();
    let row = connection.query_one_raw(statement(connection, &sql, [lane.as_str().into()])).await?;
    let Some(row) = row else { return Ok(None) };
    let wait: Option<i64> = row.try_get("", "wait")?;
    Ok(wait.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))))
}

/// Which of the leases are valid still.
async fn held(tx: &Tx, leases: &[Lease]) -> Result<Vec<LeaseId>> {
    let sql = format!(
        "SELECT id, fence FROM job, (VALUES {}) AS v WHERE id = v.column1 AND fence = v.column2 AND state = 'running'",
        placeholders(leases.len(), 2)
    );
    let rows = tx.query_all_raw(statement(&**tx, &sql, pairs(leases))).await?;
    rows.iter().map(LeaseId::read).collect()
}

pub(super) fn pairs<'a>(leases: impl IntoIterator<Item = &'a Lease>) -> Vec<sea_orm::Value> {
    leases.into_iter().flat_map(|lease| [lease.job_id.0.into(), lease.fence.into()]).collect()
}
