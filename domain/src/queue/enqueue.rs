//! Writing jobs.

use std::time::Duration;

use postern_entity::{
    JobId, ProjectId,
    job::{self, Column, JobState},
};
use sea_orm::{
    ActiveEnum, ConnectionTrait,
    sea_query::{Expr, ExprTrait, OnConflict, Query, SimpleExpr},
};
use serde_json::Value;
use uuid::Uuid;

use super::{Job, Priority, time};
use crate::{
    Deps, Error, Result, Timestamp,
    db::Tx,
    signal::Signal,
    trace::{self, TraceContext},
};

/// A job about to be written.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "does nothing until it is enqueued"]
pub struct Enqueue {
    kind: &'static str,
    lane: &'static str,
    payload: Value,
    key: Option<String>,
    project_id: Option<ProjectId>,
    priority: Priority,
    max_attempts: u16,
    start: Start,
    cause: Option<TraceContext>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Start {
    After(Duration),
    At(Timestamp),
}

impl Enqueue {
    /// The job with everything as its kind says: due now, without a key.
    ///
    /// # Errors
    /// Internal, when the payload cannot be written as JSON.
    pub fn new<J: Job>(job: &J) -> Result<Self> {
        Ok(Self {
            kind: J::KIND,
            lane: J::LANE.as_str(),
            payload: serde_json::to_value(job).map_err(Error::internal)?,
            key: None,
            project_id: None,
            priority: J::PRIORITY,
            max_attempts: J::MAX_ATTEMPTS,
            start: Start::After(Duration::ZERO),
            cause: None,
        })
    }

    /// At most one job of the kind has this key, finished ones included until they are pruned (three days). A second one is
    /// silently not made.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The project it belongs to; deleted with it.
    pub fn project(mut self, project_id: ProjectId) -> Self {
        self.project_id = Some(project_id);
        self
    }

    /// Other than the kind's.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Other than the kind's.
    pub fn max_attempts(mut self, max_attempts: u16) -> Self {
        self.max_attempts = max_attempts;
        self
    }

    /// Not before this long from now.
    pub fn after(mut self, delay: Duration) -> Self {
        self.start = Start::After(delay);
        self
    }

    /// Not before this instant.
    pub fn at(mut self, instant: Timestamp) -> Self {
        self.start = Start::At(instant);
        self
    }

    /// Caused by something else than the work under way.
    pub fn caused_by(mut self, cause: Option<TraceContext>) -> Self {
        self.cause = cause;
        self
    }

    fn values(self, deps: &Deps, id: JobId) -> [SimpleExpr; 12] {
        let due_at = match self.start {
            Start::At(instant) => Expr::value(instant.millis()),
            Start::After(delay) => time::now(deps).add(Expr::value(time::millis(delay))),
        };
        [
            Expr::value(id.0),
            Expr::value(self.project_id.map(|project_id| project_id.0)),
            Expr::value(self.lane),
            Expr::value(self.kind),
            Expr::value(self.key),
            Expr::value(self.payload),
            Expr::value(JobState::Pending.to_value()),
            Expr::value(self.priority.as_i32()),
            due_at,
            Expr::value(i32::from(self.max_attempts)),
            time::now(deps),
            Expr::value(self.cause.or_else(trace::current).map(|cause| cause.to_string())),
        ]
    }
}

/// Writes a job in the caller's transaction: it exists if and only if the transaction commits. `None` when a job of the
/// same kind and key exists already.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn enqueue(deps: &Deps, tx: &Tx, job: Enqueue) -> Result<Option<JobId>> {
    Ok(enqueue_all(deps, tx, [job]).await?.into_iter().next())
}

/// Writes several jobs by one statement; answers the ids of those that were made. Commit at most 100 at a time.
///
/// # Errors
/// Those of the database.
pub async fn enqueue_all(deps: &Deps, tx: &Tx, jobs: impl IntoIterator<Item = Enqueue> + Send) -> Result<Vec<JobId>> {
    let mut insert = Query::insert();
    insert.into_table(job::Entity).columns([
        Column::Id,
        Column::ProjectId,
        Column::Lane,
        Column::Kind,
        Column::Key,
        Column::Payload,
        Column::State,
        Column::Priority,
        Column::DueAt,
        Column::MaxAttempts,
        Column::CreatedAt,
        Column::Traceparent,
    ]);
    let mut is_empty = true;
    for job in jobs {
        // Time-ordered ids keep the primary key's pages together.
        insert.values(job.values(deps, JobId(Uuid::now_v7()))).map_err(Error::internal)?;
        is_empty = false;
    }
    if is_empty {
        return Ok(Vec::new());
    }
    insert
        .on_conflict(OnConflict::columns([Column::Kind, Column::Key]).do_nothing().to_owned())
        .returning_col(Column::Id);
    let rows = tx.query_all(&insert).await?;
    let made = rows.iter().map(|row| Ok(JobId(row.try_get("", "id")?))).collect::<Result<Vec<_>>>()?;
    if !made.is_empty() {
        tx.raise(Signal::Jobs);
    }
    Ok(made)
}
