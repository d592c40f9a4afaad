//! Payloads of the queue's own jobs.

use serde::{Deserialize, Serialize};

use super::{Job, Priority};

/// Remove finished jobs whose time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneJobs {}

impl Job for PruneJobs {
    const KIND: &'static str = "prune_jobs";
    const PRIORITY: Priority = Priority::Low;
}
