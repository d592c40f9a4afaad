//! Payloads of the jobs of this feature.

use postern_entity::{ApiKeyId, ProjectId};
use serde::{Deserialize, Serialize};

use crate::queue::{Job, Priority};

/// Writes to those whom a key concerns that was found in public and revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TellOfLeakedApiKey {
    /// Owner of the key's owner.
    pub project_id: ProjectId,
    /// The key.
    pub api_key_id: ApiKeyId,
}

impl Job for TellOfLeakedApiKey {
    const KIND: &'static str = "tell_of_leaked_api_key";
    const PRIORITY: Priority = Priority::High;
}
