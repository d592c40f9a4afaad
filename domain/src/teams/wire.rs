//! The JSON forms of a team (wire/users-teams-permissions.md §3): what REST answers and webhooks carry.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Team;
use crate::{TeamId, Timestamp};

/// What servers see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract; `Team` says what they mean")]
pub struct ServerTeam {
    pub id: TeamId,
    pub display_name: String,
    pub profile_image_url: Option<String>,
    pub client_metadata: Value,
    pub client_read_only_metadata: Value,
    pub server_metadata: Value,
    pub created_at_millis: Timestamp,
}

/// What members see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract; `Team` says what they mean")]
pub struct ClientTeam {
    pub id: TeamId,
    pub display_name: String,
    pub profile_image_url: Option<String>,
    pub client_metadata: Value,
    pub client_read_only_metadata: Value,
}

impl From<Team> for ServerTeam {
    fn from(team: Team) -> Self {
        Self {
            id: team.id,
            display_name: team.display_name,
            profile_image_url: team.profile_image_url,
            client_metadata: team.client_metadata,
            client_read_only_metadata: team.client_read_only_metadata,
            server_metadata: team.server_metadata,
            created_at_millis: team.created_at,
        }
    }
}

impl From<Team> for ClientTeam {
    fn from(team: Team) -> Self {
        Self {
            id: team.id,
            display_name: team.display_name,
            profile_image_url: team.profile_image_url,
            client_metadata: team.client_metadata,
            client_read_only_metadata: team.client_read_only_metadata,
        }
    }
}
