//! Payloads of the jobs of this feature.

use postern_entity::{EmailId, ProjectId};
use serde::{Deserialize, Serialize};

/// Brings one mail of the outbox forward: renders it, waits for its time and turn, sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendEmail {
    /// Owner of the mail.
    pub project_id: ProjectId,
    /// The mail.
    pub email_id: EmailId,
}
