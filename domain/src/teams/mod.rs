//! Teams: making, reading and changing them, who belongs to them, and which one a user has selected.
//!
//! A client may read the teams it belongs to, and make new ones where the project allows it; what else it may do there is
//! decided by its permissions ([`crate::permissions`]).

mod create;
mod delete;
pub mod invitations;
mod list;
mod members;
mod personal;
mod profiles;
mod read;
mod store;
mod update;
pub mod wire;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::{
    create::create_empty_in,
    personal::{add_personal, rename_personal_in},
    read::{is_member_in, lock_in, member_ids, not_found},
    store::{memberships_of, select_in},
};
pub use self::{
    create::{CreateTeam, NewTeam, create},
    delete::delete,
    list::{ListTeams, TeamPage, TeamStart, count, list},
    members::{Membership, add_member, remove_member},
    profiles::{
        MemberPage, MemberProfile, UpdateMemberProfile, member_page, member_pages, profile, profiles,
        require_members_seen, update_profile,
    },
    read::{Position, by_ids, get, is_member, membership_not_found, of_users, seen_by_ids},
    update::{UpdateTeam, update},
};
use crate::{ProjectId, TeamId, Timestamp};

/// A team, as the server sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Team {
    /// The team.
    pub id: TeamId,
    /// Its owner.
    pub project_id: ProjectId,
    /// Any text, may be empty.
    pub display_name: String,
    /// URL of the picture.
    pub profile_image_url: Option<String>,
    /// Read and written by members and by servers; null when unset.
    pub client_metadata: Value,
    /// Read by members, written by servers; null when unset.
    pub client_read_only_metadata: Value,
    /// Read and written by servers only; null when unset.
    pub server_metadata: Value,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<postern_entity::team::Model> for Team {
    fn from(row: postern_entity::team::Model) -> Self {
        Self {
            id: row.id,
            project_id: row.project_id,
            display_name: row.display_name,
            profile_image_url: row.profile_image_url,
            client_metadata: row.client_metadata.unwrap_or_default(),
            client_read_only_metadata: row.client_read_only_metadata.unwrap_or_default(),
            server_metadata: row.server_metadata.unwrap_or_default(),
            created_at: row.created_at,
        }
    }
}

#[cfg(test)]
mod tests;
