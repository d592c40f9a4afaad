//! The payload of the job that forgets kept outcomes.

use serde::{Deserialize, Serialize};

use crate::queue::{Job, Priority};

/// Remove outcomes whose day is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneOutcomes {}

impl Job for PruneOutcomes {
    const KIND: &'static str = "prune_idempotency_outcomes";
    const PRIORITY: Priority = Priority::Low;
}
