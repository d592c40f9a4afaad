//! The job queue: what must happen later is a row written in the transaction of its cause ([`enqueue`]), claimed by a
//! worker under a lease, and ended with an ack that counts only while the lease is still the worker's own.
//!
//! - Every job may run twice: effects carry a unique key, or commit together with the ack ([`finish_in`],
//!   [`Ending::with`]).
//! - A claim raises the job's fencing number. Ack, renewal and effects commit only if it still matches, so a worker that
//!   was stopped for longer than its lease changes nothing when it wakes up.
//! - Attempts are counted at the claim, so a job that kills its process dies too, and without taking its neighbours along
//!   ([`Lease::is_suspect`]).
//!
//! Which handler runs a job, and the loops that do it, are the business of the crate `worker`.
//!
//! To add a job: a payload that implements [`Job`] in the feature's `jobs.rs`, and a handler in the worker's registry.

mod care;
mod claim;
mod ending;
mod enqueue;
mod job;
pub mod jobs;
mod lease;
mod result;
mod standing;
mod time;

pub use care::{
    DeadJob, Depth, Scope, Stats, bring_forward, cancel_in, dead_jobs, depths, find, prune_step, redrive, stats,
    take_over_clock,
};
pub use claim::{Claimed, MAX_BATCH, Renewal, Suspects, claim, next_due, release, renew};
pub(crate) use ending::placeholders;
pub use ending::{Ending, end_all};
pub use enqueue::{Enqueue, enqueue, enqueue_all};
pub use job::{Job, Lane, Priority};
pub use lease::{Lease, LeaseId, LeaseLost, finish_in, give_up_in, retry_in};
pub use postern_entity::job::JobState;
pub use result::JobResult;
pub(crate) use standing::{Wake, hasten_all, hold_all, put_off_all, wake_all};
pub(crate) use time::{now_in, now_sql};

#[cfg(test)]
mod tests;
