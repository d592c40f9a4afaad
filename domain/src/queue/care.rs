//! Care of the queue: removing what is finished, looking at what is dead, and counts.

use postern_entity::{
    JobId, ProjectId, Timestamp,
    job::{self, Column, JobState},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect,
};

use super::{Job, MAX_BATCH, time};
use crate::{
    Deps, Result,
    db::{Backend, Tx, statement},
    signal::Signal,
};

/// Removes at most a hundred finished jobs whose time is up: an hour after their end, three days when they have a key.
/// Answers whether more may have to go. Dead jobs stay.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn prune_step(deps: &Deps) -> Result<bool> {
    let now = time::now_sql(deps);
    let due = format!("FROM job WHERE prune_at IS NOT NULL AND prune_at <= {now}");
    let connection = deps.db.read();
    let look = format!("SELECT 1 {due} LIMIT 1");
    if connection.query_one_raw(statement(connection, &look, [])).await?.is_none() {
        return Ok(false);
    }
    let removed = deps
        .db
        .write(async |tx| {
            let sql = format!("DELETE FROM job WHERE id IN (SELECT id {due} ORDER BY prune_at LIMIT {MAX_BATCH})");
            Ok(tx.execute_raw(statement(&*tx, &sql, [])).await?.rows_affected())
        })
        .await?;
    Ok(removed == MAX_BATCH as u64)
}

/// Moves what waits, and was written while the clock was ahead of the present instant, to that instant: an SQLite file goes
/// by the clock of its process, which may have been put back while none ran. Called once, before anything is claimed.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn take_over_clock(deps: &Deps) -> Result<()> {
    if deps.db.backend() != Backend::Sqlite {
        return Ok(());
    }
    let now = time::now_sql(deps);
    let sql = format!(
        "UPDATE job SET due_at = {now} + due_at - created_at, created_at = {now} \
         WHERE finished_at IS NULL AND created_at > {now}"
    );
    let moved = deps.db.write(async |tx| Ok(tx.execute_raw(statement(&*tx, &sql, [])).await?.rows_affected())).await?;
    if moved > 0 {
        tracing::warn!(jobs = moved, "the clock was put back while no process ran; jobs that waited for it were moved");
    }
    Ok(())
}

/// Divides by `divisor` what the waiting jobs of a kind have still to wait, for at most a hundred jobs of a project whose ids
/// come after `after`. Answers the last of them; `None` when there are no more.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn bring_forward<J: Job>(
    deps: &Deps,
    project_id: &ProjectId,
    after: Option<JobId>,
    divisor: i64,
) -> Result<Option<JobId>> {
    let now = time::now_sql(deps);
    let waiting = job::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::ProjectId.eq(project_id.clone()))
        .filter(Column::Kind.eq(J::KIND))
        .filter(Column::State.eq(JobState::Pending))
        .filter(Column::Id.gt(after.unwrap_or(JobId(uuid::Uuid::nil()))))
        .order_by_asc(Column::Id)
        .limit(MAX_BATCH as u64);
    deps.db
        .write(async |tx| {
            let ids: Vec<JobId> = waiting.clone().into_tuple().all(&*tx).await?;
            let Some(last) = ids.last().copied() else { return Ok(None) };
            let places: Vec<_> = (1..=ids.len()).map(|place| format!("${place}")).collect();
            let sql = format!(
                "UPDATE job SET due_at = {now} + (due_at - {now}) / {divisor} WHERE id IN ({}) AND state = 'pending' \
                 AND due_at > {now}",
                places.join(", ")
            );
            let values: Vec<sea_orm::Value> = ids.iter().map(|id| id.0.into()).collect();
            tx.execute_raw(statement(&*tx, &sql, values)).await?;
            tx.raise(Signal::Jobs);
            Ok(Some(last))
        })
        .await
}

/// A job that was given up. Its payload is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadJob {
    /// The job.
    pub id: JobId,
    /// The project it belongs to, if to any.
    pub project_id: Option<ProjectId>,
    /// What was to be done.
    pub kind: String,
    /// Its key, if it has one.
    pub key: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it died.
    pub died_at: Timestamp,
}

/// Which jobs an operation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of the installation: for its operator.
    Installation,
    /// Those of one project.
    Project(ProjectId),
}

impl Scope {
    fn condition(&self) -> Condition {
        match self {
            Self::Installation => Condition::all(),
            Self::Project(project_id) => Condition::all().add(Column::ProjectId.eq(project_id.clone())),
        }
    }
}

/// Lists dead jobs, the latest first, at most `limit` (and 100). `before` is the last one of the page before.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn dead_jobs(deps: &Deps, scope: &Scope, before: Option<&DeadJob>, limit: u64) -> Result<Vec<DeadJob>> {
    let mut query = job::Entity::find().filter(Column::State.eq(JobState::Dead)).filter(scope.condition());
    if let Some(before) = before {
        query = query.filter(
            Condition::any()
                .add(Column::FinishedAt.lt(before.died_at))
                .add(Condition::all().add(Column::FinishedAt.eq(before.died_at)).add(Column::Id.lt(before.id))),
        );
    }
    let rows = query
        .order_by_desc(Column::FinishedAt)
        .order_by_desc(Column::Id)
        .limit(limit.clamp(1, MAX_BATCH as u64))
        .all(deps.db.read())
        .await?;
    Ok(rows.into_iter().filter_map(dead).collect())
}

fn dead(row: job::Model) -> Option<DeadJob> {
    Some(DeadJob {
        id: row.id,
        project_id: row.project_id,
        kind: row.kind,
        key: row.key,
        attempts: row.attempts,
        last_error: row.last_error,
        created_at: row.created_at,
        died_at: row.finished_at?,
    })
}

/// A job as it stands; for operators and tests.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn find(deps: &Deps, scope: &Scope, id: JobId) -> Result<Option<job::Model>> {
    Ok(job::Entity::find_by_id(id).filter(scope.condition()).one(deps.db.read()).await?)
}

/// Gives an open job up in the caller's transaction, waiting or running: its cause is gone. A worker that runs it is
/// stopped when it next renews the lease, and its end does not count. `false` when there is no such open job.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn cancel_in(deps: &Deps, tx: &Tx, id: JobId) -> Result<bool> {
    let sql = format!(
        "UPDATE job SET state = 'dead', finished_at = {}, last_error = 'cancelled' WHERE id = $1 AND finished_at IS NULL",
        time::now_sql(deps)
    );
    Ok(tx.execute_raw(statement(&**tx, &sql, [id.0.into()])).await?.rows_affected() == 1)
}

/// Lets a dead job run again, with all its attempts. `false` when there is no such dead job.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn redrive(deps: &Deps, scope: &Scope, id: JobId) -> Result<bool> {
    deps.db
        .write(async |tx| {
            let project = match scope {
                Scope::Installation => None,
                Scope::Project(project_id) => Some(project_id.0.clone()),
            };
            let sql = format!(
                "UPDATE job SET state = 'pending', attempts = 0, finished_at = NULL, due_at = {} \
                 WHERE id = $1 AND state = 'dead' AND ($2 IS NULL OR project_id = $2)",
                time::now_sql(deps)
            );
            let redriven = tx.execute_raw(statement(&*tx, &sql, [id.0.into(), project.into()])).await?.rows_affected();
            tx.raise(Signal::Jobs);
            Ok(redriven == 1)
        })
        .await
}

/// How many jobs of a kind are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth {
    /// What is to be done.
    pub kind: String,
    /// `due` (waits for a slot), `scheduled` (waits for its time), `running` or `dead`.
    pub state: String,
    /// How many.
    pub jobs: u64,
    /// For how long the oldest of them has been due, in milliseconds; for running ones, for how long a lease has been over.
    /// Zero for others.
    pub lag_millis: u64,
}

/// Counts the queue by kind: one statement that reads the open and the dead jobs, not the finished ones.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn depths(deps: &Deps) -> Result<Vec<Depth>> {
    let connection = deps.db.read();
    let now = time::now_sql(deps);
    let sql = format!(
        "SELECT kind, state, COUNT(*) AS jobs, MAX(lag) AS lag FROM (SELECT kind, {now} - due_at AS lag, \
         CASE WHEN state = 'running' THEN 'running' WHEN due_at <= {now} THEN 'due' ELSE 'scheduled' END AS state \
         FROM job WHERE finished_at IS NULL) AS open GROUP BY kind, state \
         UNION ALL SELECT kind, 'dead', COUNT(*), 0 FROM job WHERE state = 'dead' GROUP BY kind"
    );
    let rows = connection.query_all_raw(statement(connection, &sql, [])).await?;
    let positive = |number: i64| u64::try_from(number).unwrap_or(0);
    let depth = |row: &QueryResult| {
        Ok(Depth {
            kind: row.try_get("", "kind")?,
            state: row.try_get("", "state")?,
            jobs: positive(row.try_get("", "jobs")?),
            lag_millis: positive(row.try_get("", "lag")?),
        })
    };
    rows.iter().map(depth).collect()
}

/// How full the queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Jobs that wait or run.
    pub open: u64,
    /// Jobs that were given up.
    pub dead: u64,
    /// For how long the job that waits longest past its time has done so, in milliseconds; also the age of the oldest
    /// lease that ran out. Large means that no worker works.
    pub lag_millis: u64,
}

/// Counts the queue.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn stats(deps: &Deps) -> Result<Stats> {
    let connection = deps.db.read();
    let sql = format!(
        "SELECT (SELECT COUNT(*) FROM job WHERE finished_at IS NULL) AS open, \
         (SELECT COUNT(*) FROM job WHERE state = 'dead') AS dead, \
         (SELECT {} - MIN(due_at) FROM job WHERE finished_at IS NULL) AS lag",
        time::now_sql(deps)
    );
    let Some(row) = connection.query_one_raw(statement(connection, &sql, [])).await? else {
        return Ok(Stats::default());
    };
    let positive = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(Stats {
        open: positive(row.try_get("", "open")?),
        dead: positive(row.try_get("", "dead")?),
        lag_millis: positive(row.try_get::<Option<i64>>("", "lag")?.unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{
        queue::{Ending, Enqueue, Job, Lane, Suspects, claim, end_all, enqueue, next_due},
        testing::on_each_database,
    };

    #[derive(Serialize, Deserialize)]
    struct Wave {}

    impl Job for Wave {
        const KIND: &'static str = "wave";
    }

    #[tokio::test]
    async fn the_queue_is_counted_by_kind_and_state() {
        on_each_database(async |bench| {
            let deps = &bench.deps;
            let put = async |delay: u64| {
                let job = Enqueue::new(&Wave {}).unwrap().after(Duration::from_secs(delay));
                deps.db.write(async |tx| enqueue(deps, &tx, job.clone()).await).await.unwrap();
            };
            assert_eq!(depths(deps).await.unwrap(), []);
            for delay in [0, 0, 0, 60] {
                put(delay).await;
            }
            let claimed = claim(deps, Lane::General, "test", 2, Duration::from_secs(5), Suspects::Any).await.unwrap();
            let lease = claimed.into_iter().next().unwrap().lease;
            end_all(deps, &[(lease, Ending::give_up("no"))]).await.unwrap();
            bench.clock.advance_seconds(7);
            let mut found = depths(deps).await.unwrap();
            found.sort_by(|a, b| a.state.cmp(&b.state));
            let depth =
                |state: &str, lag_millis| Depth { kind: "wave".into(), state: state.into(), jobs: 1, lag_millis };
            let expected = [depth("dead", 0), depth("due", 7000), depth("running", 2000), depth("scheduled", 0)];
            assert_eq!(found, expected);
        })
        .await;
    }

    #[tokio::test]
    async fn jobs_made_by_a_clock_that_was_ahead_keep_their_distance_only() {
        on_each_database(async |bench| {
            let deps = &bench.deps;
            bench.clock.advance_seconds(3600);
            for delay in [0, 20] {
                let job = Enqueue::new(&Wave {}).unwrap().after(Duration::from_secs(delay));
                deps.db.write(async |tx| enqueue(deps, &tx, job.clone()).await).await.unwrap();
            }
            bench.clock.advance_seconds(-3600);
            take_over_clock(deps).await.unwrap();
            let lane = Lane::General;
            let moved = deps.db.backend() == Backend::Sqlite;
            let claimed = claim(deps, lane, "one", 10, Duration::from_secs(30), Suspects::Any).await.unwrap();
            assert_eq!(claimed.len(), usize::from(moved), "PostgreSQL's own clock counts there");
            if moved {
                assert_eq!(next_due(deps, lane, Suspects::Any).await.unwrap(), Some(Duration::from_secs(20)));
            }
        })
        .await;
    }
}
