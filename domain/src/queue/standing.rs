//! Standing jobs: one for each thing that has work now and then, such as an endpoint. A standing job has a key and never
//! ends: it is put off while there is nothing to do, and woken when there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use postern_entity::JobId;
use sea_orm::ConnectionTrait;

use super::{Enqueue, Job, Lease, LeaseId, claim::pairs, ending::placeholders, enqueue_all, time};
use crate::{
    Deps, Result,
    db::{Backend, Tx, statement},
    signal::Signal,
};

/// A standing job that is to be woken.
#[derive(Clone, Debug)]
pub(crate) struct Wake {
    /// Its key.
    pub(crate) key: String,
    /// The job, if there is none.
    pub(crate) job: Enqueue,
    /// After how long it is to be due at the latest.
    pub(crate) within: Duration,
}

/// Sees to it that there are these jobs, and that they are due in time. One that has died or ended begins anew. A job that is
/// running is left alone, but its row stays locked until the caller's transaction ends. So the end of that run
/// ([`super::Ending::with_result`]) comes after it and sees what the transaction has written, or came before and the job is
/// woken.
///
/// # Errors
/// Those of the database.
pub(crate) async fn wake_all<J: Job>(deps: &Deps, tx: &Tx, jobs: &[Wake]) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    // A second round where somebody else has made a job at the same time: it must be locked too.
    for _ in 0..2 {
        let there = lock_and_wake::<J>(deps, tx, jobs).await?;
        let missing: Vec<_> = jobs.iter().filter(|wake| !there.contains(&wake.key)).collect();
        let wanted = missing.len();
        let missing = missing.into_iter().map(|wake| wake.job.clone().key(wake.key.clone())).collect::<Vec<_>>();
        if enqueue_all(deps, tx, missing).await?.len() == wanted {
            break;
        }
    }
    Ok(())
}

/// Locks those of the jobs that there are, and wakes them; answers their keys.
async fn lock_and_wake<J: Job>(deps: &Deps, tx: &Tx, jobs: &[Wake]) -> Result<BTreeSet<String>> {
    let keys: Vec<&String> = jobs.iter().map(|wake| &wake.key).collect();
    let places: Vec<_> = (2..=keys.len() + 1).map(|place| format!("${place}")).collect();
    let of_these = format!("kind = $1 AND key IN ({})", places.join(", "));
    let values: Vec<sea_orm::Value> =
        std::iter::once(J::KIND.into()).chain(keys.into_iter().map(|key| key.as_str().into())).collect();
    // In one order, so that two transactions never wait for each other. The change is a statement of its own: it must see
    // what those have written that this one has waited for.
    let lock = if tx.backend() == Backend::Postgres { " ORDER BY id FOR UPDATE" } else { "" };
    let sql = format!("SELECT key FROM job WHERE {of_these}{lock}");
    let rows = tx.query_all_raw(statement(&**tx, &sql, values.clone())).await?;
    let there = rows.iter().map(|row| Ok(row.try_get("", "key")?)).collect::<Result<BTreeSet<String>>>()?;
    let now = time::now_sql(deps);
    let woken: Vec<_> = jobs.iter().filter(|wake| there.contains(&wake.key)).collect();
    if woken.is_empty() {
        return Ok(there);
    }
    let sql = format!(
        "UPDATE job SET due_at = {now} + v.column2, attempts = CASE WHEN state = 'pending' THEN attempts ELSE 0 END, \
         takeovers = CASE WHEN state = 'pending' THEN takeovers ELSE 0 END, state = 'pending', finished_at = NULL, \
         prune_at = NULL FROM (VALUES {}) AS v WHERE kind = ${} AND key = v.column1 \
         AND (state IN ('dead', 'done') OR state = 'pending' AND due_at > {now} + v.column2)",
        placeholders(woken.len(), 2),
        woken.len() * 2 + 1
    );
    let wake = |wake: &&Wake| -> [sea_orm::Value; 2] { [wake.key.as_str().into(), time::millis(wake.within).into()] };
    let values = woken.iter().flat_map(wake).chain([J::KIND.into()]);
    if tx.execute_raw(statement(&**tx, &sql, values)).await?.rows_affected() > 0 {
        tx.raise(Signal::Jobs);
    }
    Ok(there)
}

/// Which of `leases` still hold. Their rows stay locked until the transaction ends, so what is written in it counts only
/// while they do. A job that has come to a result is not the one that kills its process: what became of its attempts
/// before is forgotten.
///
/// # Errors
/// Those of the database.
pub(crate) async fn hold_all(tx: &Tx, leases: &BTreeMap<LeaseId, &Lease>) -> Result<BTreeSet<LeaseId>> {
    if leases.is_empty() {
        return Ok(BTreeSet::new());
    }
    let lock = if tx.backend() == Backend::Postgres { " ORDER BY id FOR UPDATE OF job" } else { "" };
    let sql = format!(
        "SELECT id, fence, attempts, takeovers FROM job, (VALUES {}) AS v \
         WHERE id = v.column1 AND fence = v.column2 AND state = 'running'{lock}",
        placeholders(leases.len(), 2)
    );
    let rows = tx.query_all_raw(statement(&**tx, &sql, pairs(leases.values().copied()))).await?;
    let (mut held, mut cleared) = (BTreeSet::new(), Vec::new());
    for row in &rows {
        let id = LeaseId::read(row)?;
        held.insert(id);
        if row.try_get::<i32>("", "attempts")? > 1 || row.try_get::<i32>("", "takeovers")? > 0 {
            cleared.push(id.job_id);
        }
    }
    if !cleared.is_empty() {
        let places: Vec<_> = (1..=cleared.len()).map(|place| format!("${place}")).collect();
        let sql = format!("UPDATE job SET attempts = 1, takeovers = 0 WHERE id IN ({})", places.join(", "));
        tx.execute_raw(statement(&**tx, &sql, cleared.iter().map(|id| id.0.into()))).await?;
    }
    Ok(held)
}

/// Lets those of these jobs that would wait for longer run after these times. A row that somebody holds at this moment is
/// left to them: whoever changes a job of somebody else must not wait for it.
///
/// # Errors
/// Those of the database.
pub(crate) async fn hasten_all(deps: &Deps, tx: &Tx, jobs: &[(JobId, Duration)]) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let now = time::now_sql(deps);
    let skip = if tx.backend() == Backend::Postgres { " FOR UPDATE OF job SKIP LOCKED" } else { "" };
    let sql = format!(
        "WITH late AS MATERIALIZED (SELECT id, v.column2 AS wait FROM job, (VALUES {}) AS v WHERE id = v.column1 \
         AND state = 'pending' AND due_at > {now} + v.column2{skip}) \
         UPDATE job SET due_at = {now} + late.wait FROM late WHERE job.id = late.id",
        placeholders(jobs.len(), 2)
    );
    if tx.execute_raw(statement(&**tx, &sql, waits(jobs))).await?.rows_affected() > 0 {
        tx.raise(Signal::Jobs);
    }
    Ok(())
}

fn waits(jobs: &[(JobId, Duration)]) -> Vec<sea_orm::Value> {
    jobs.iter().flat_map(|(id, after)| [id.0.into(), time::millis(*after).into()]).collect()
}

/// Lets jobs that wait run after these times instead.
///
/// # Errors
/// Those of the database.
pub(crate) async fn put_off_all(deps: &Deps, tx: &Tx, jobs: &[(JobId, Duration)]) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE job SET due_at = {} + v.column2 FROM (VALUES {}) AS v WHERE job.id = v.column1 AND job.state = 'pending'",
        time::now_sql(deps),
        placeholders(jobs.len(), 2)
    );
    tx.execute_raw(statement(&**tx, &sql, waits(jobs))).await?;
    tx.raise(Signal::Jobs);
    Ok(())
}
