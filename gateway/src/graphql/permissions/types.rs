//! Permissions, as the schema shows them. They are named things: their `id` is `permission:key`.

use async_graphql::{Enum, ID};
use postern_domain::permissions::{Definition, PermissionScope as Scope, ProjectGrant, TeamGrant};
use postern_gateway_macros::guarded;

use crate::graphql::scalars::IntoId;

/// Where a permission is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Scope")]
pub(crate) enum PermissionScope {
    /// In one team.
    Team,
    /// In the whole project.
    Project,
}

fn node_id(key: &str) -> ID {
    ID(format!("permission:{key}"))
}

/// A definition.
pub(crate) struct PermissionDefinitionObject(pub(crate) Definition);

/// A permission that the project, or the system, defines.
#[guarded(ADMIN, graphql(name = "PermissionDefinition"))]
impl PermissionDefinitionObject {
    /// `permission:` and the key.
    #[access(ADMIN)]
    pub(crate) async fn id(&self) -> ID {
        node_id(&self.0.id)
    }

    /// The name by which it is granted, unique in the project; `$…` is the system's.
    #[access(ADMIN)]
    fn key(&self) -> &str {
        &self.0.id
    }

    /// Where it is held.
    #[access(ADMIN)]
    fn scope(&self) -> PermissionScope {
        self.0.scope.into()
    }

    /// What it is for.
    #[access(ADMIN)]
    fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The keys of the permissions that holding it includes.
    #[access(ADMIN)]
    fn contained_permission_keys(&self) -> &[String] {
        &self.0.contained_permission_ids
    }
}

/// A grant in a team.
pub(crate) struct TeamPermissionObject(pub(crate) TeamGrant);

/// A permission that a member holds in a team.
#[guarded(CLIENT, self, owner = self.0.user_id, graphql(name = "TeamPermission"))]
impl TeamPermissionObject {
    /// The permission, by its key.
    #[access(CLIENT, self)]
    fn key(&self) -> &str {
        &self.0.id
    }

    /// In which team.
    #[access(CLIENT, self)]
    fn team_id(&self) -> ID {
        self.0.team_id.into_id()
    }

    /// By whom.
    #[access(CLIENT, self)]
    fn user_id(&self) -> ID {
        self.0.user_id.into_id()
    }
}

/// A grant in the project.
pub(crate) struct ProjectPermissionObject(pub(crate) ProjectGrant);

/// A permission that a user holds in the whole project.
#[guarded(CLIENT, self, owner = self.0.user_id, graphql(name = "ProjectPermission"))]
impl ProjectPermissionObject {
    /// The permission, by its key.
    #[access(CLIENT, self)]
    fn key(&self) -> &str {
        &self.0.id
    }

    /// By whom.
    #[access(CLIENT, self)]
    fn user_id(&self) -> ID {
        self.0.user_id.into_id()
    }
}
