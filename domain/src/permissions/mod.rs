//! Permissions: what a project defines, what each includes, and who was granted which, in a team or in the whole project.
//!
//! Definitions live in the project's config (`rbac.permissions`), which is cached; grants are rows. What somebody holds is
//! one query for the grants and one walk through the definitions ([`Catalog`]). A grant whose definition is gone counts for
//! nothing and is never shown.

mod catalog;
mod definitions;
mod grants;
mod require;
mod store;

pub use self::{
    catalog::{Catalog, Definition},
    definitions::{MAX_ID_CHARS, NewDefinition, UpdateDefinition, create, delete, list, page, update},
    grants::{
        ProjectGrant, TeamFilter, TeamGrant, grant_in_project, grant_in_team, in_project, in_teams,
        of_users_in_project, of_users_in_teams, revoke_in_project, revoke_in_team,
    },
    require::{held_in_team, require_in_team},
};
pub(crate) use self::{
    grants::{add_sign_up_defaults, add_team_defaults, team_event},
    require::holders_in_team,
};
pub use crate::projects::PermissionScope;

/// The permissions that every team has without defining them.
pub const SYSTEM: &[&str] =
    &["$delete_team", "$invite_members", "$manage_api_keys", "$read_members", "$remove_members", "$update_team"];

/// Whether `id` may be the id of a permission: one of the system's, or a–z, 0–9, `_`, `:`.
#[must_use]
pub fn is_permission_id(id: &str) -> bool {
    SYSTEM.contains(&id) || is_custom_id(id)
}

/// Whether a project may define a permission of this id.
#[must_use]
pub fn is_custom_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_:".contains(&b))
}

#[cfg(test)]
mod tests;
