//! Payloads of the jobs of projects.

use serde::{Deserialize, Serialize};

use crate::{
    ProjectId,
    queue::{Job, Priority},
};

/// Removes what is left of a deleted project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeProject {
    /// Which.
    pub project_id: ProjectId,
}

impl Job for PurgeProject {
    const KIND: &'static str = "purge_project";
    const MAX_ATTEMPTS: u16 = 20;
    const PRIORITY: Priority = Priority::Low;
}
