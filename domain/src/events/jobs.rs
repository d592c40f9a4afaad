//! Payloads of the log's jobs.

use postern_entity::{ProjectId, UserId};
use serde::{Deserialize, Serialize};

use crate::queue::{Job, Priority};

/// Erase the payloads of all events about a deleted user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseUserEvents {
    /// Where the user was.
    pub project_id: ProjectId,
    /// Who was deleted.
    pub user_id: UserId,
}

impl Job for EraseUserEvents {
    const KIND: &'static str = "erase_user_events";
}

/// Remove events older than the retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneEvents {}

impl Job for PruneEvents {
    const KIND: &'static str = "prune_events";
    const PRIORITY: Priority = Priority::Low;
}
