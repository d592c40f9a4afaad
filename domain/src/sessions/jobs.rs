//! Payloads of the jobs of this feature.

use serde::{Deserialize, Serialize};

use crate::queue::{Job, Priority};

/// Remove sessions and codes that expired long ago. Runs on a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneSessions {}

impl Job for PruneSessions {
    const KIND: &'static str = "prune_sessions";
    const PRIORITY: Priority = Priority::Low;
}
