//! The lease a worker holds on a job, and committing an effect together with the job's end.

use std::{
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use postern_entity::{JobId, ProjectId};
use sea_orm::{ConnectionTrait, QueryResult};

use super::ending::{self, Outcome};
use crate::{
    Deps, Error, Result,
    db::{Backend, Tx, statement},
};

/// The right to run one job once. Valid until its time is up and somebody else claims the job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub job_id: JobId,
    /// The project it belongs to, if to any.
    pub project_id: Option<ProjectId>,
    /// Which attempt this is; the first is 1.
    pub attempt: u16,
    /// How many there are.
    pub max_attempts: u16,
    /// The job's fencing number at the claim.
    pub(super) fence: i64,
    /// How many attempts in a row never ended before this one.
    pub(super) takeovers: i32,
    pub(super) term: Term,
}

/// Tells the leases on a job apart: a process that stood still may claim anew what it still believes to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId {
    /// The job.
    pub job_id: JobId,
    /// Its fencing number at the claim.
    fence: i64,
}

impl LeaseId {
    /// From a row with the columns `id` and `fence`.
    pub(super) fn read(row: &QueryResult) -> Result<Self> {
        Ok(Self { job_id: JobId(row.try_get("", "id")?), fence: row.try_get("", "fence")? })
    }
}

/// Until when a lease lasts by the clock of this process, which all its clones know. No part of what tells leases apart.
#[derive(Clone, Debug)]
pub(super) struct Term(Arc<Mutex<Instant>>);

impl Term {
    pub(super) fn until(end: Instant) -> Self {
        Self(Arc::new(Mutex::new(end)))
    }

    pub(super) fn extend(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    fn is_over(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) <= Instant::now()
    }
}

impl PartialEq for Term {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Term {}

impl Hash for Term {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Lease {
    /// What tells it from other leases, of this job too.
    #[must_use]
    pub fn id(&self) -> LeaseId {
        LeaseId { job_id: self.job_id, fence: self.fence }
    }

    /// Whether the job is dead if this attempt fails.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.attempt >= self.max_attempts
    }

    /// Whether its time is up unless it was renewed without this process hearing of it: somebody else may have the job.
    /// Asked before what cannot be taken back and must not come late, such as a webhook that others follow.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.term.is_over()
    }

    /// Whether the two attempts before this one never ended. It may be the job that kills its process, so a worker runs few
    /// suspects at a time: else the jobs that happen to run beside it would use up their attempts with it. See
    /// [`super::Suspects`].
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.takeovers >= 2
    }

    /// Whether it is a suspect for the second time at least, and runs without another one beside it.
    #[must_use]
    pub(super) fn is_only_suspect(&self) -> bool {
        self.takeovers >= 3
    }

    /// Makes the transaction fail unless the job is still this lease's: call it first, then write the effect. The row stays
    /// locked until the transaction ends, so nobody can claim the job in between.
    ///
    /// # Errors
    /// [`LeaseLost`], and those of the database.
    #[crate::boxed]
    pub async fn guard(&self, tx: &Tx) -> Result<()> {
        let lock = if tx.backend() == Backend::Postgres { " FOR UPDATE" } else { "" };
        let sql = format!("SELECT 1 FROM job WHERE id = $1 AND fence = $2 AND state = 'running'{lock}");
        let held = tx.query_one_raw(statement(&**tx, &sql, [self.job_id.0.into(), self.fence.into()])).await?;
        if held.is_some() { Ok(()) } else { Err(Error::internal(LeaseLost)) }
    }
}

/// Somebody else has claimed the job since, or it was ended: whatever this worker did must not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease on the job was lost")]
pub struct LeaseLost;

impl LeaseLost {
    /// Whether `error` says so.
    #[must_use]
    pub fn is(error: &Error) -> bool {
        matches!(error, Error::Internal(cause) if cause.is::<Self>())
    }
}

/// Ends the job well in the caller's transaction: the effect and the ack commit together or not at all. The handler then
/// answers [`super::Ending::committed`].
///
/// # Errors
/// [`LeaseLost`], and those of the database.
#[crate::boxed]
pub async fn finish_in(deps: &Deps, tx: &Tx, lease: &Lease) -> Result<()> {
    end_in(deps, tx, lease, Outcome::Done).await
}

/// Ends this attempt in the caller's transaction and lets the job run again after `delay`; dead if it was the last one.
/// The handler then answers [`super::Ending::committed`].
///
/// # Errors
/// [`LeaseLost`], and those of the database.
#[crate::boxed]
pub async fn retry_in(deps: &Deps, tx: &Tx, lease: &Lease, delay: Duration, reason: &str) -> Result<()> {
    end_in(deps, tx, lease, Outcome::Retry { delay: Some(delay), reason: reason.to_owned() }).await
}

/// Gives the job up in the caller's transaction: it is dead, kept to be looked at. The handler then answers
/// [`super::Ending::committed`].
///
/// # Errors
/// [`LeaseLost`], and those of the database.
#[crate::boxed]
pub async fn give_up_in(deps: &Deps, tx: &Tx, lease: &Lease, reason: &str) -> Result<()> {
    end_in(deps, tx, lease, Outcome::GiveUp { reason: reason.to_owned() }).await
}

async fn end_in(deps: &Deps, tx: &Tx, lease: &Lease, outcome: Outcome) -> Result<()> {
    let ended = ending::end(deps, tx, &[(lease, &outcome)]).await?;
    if ended.is_empty() { Err(Error::internal(LeaseLost)) } else { Ok(()) }
}
