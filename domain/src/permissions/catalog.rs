//! What a project's permissions include. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::SYSTEM;
use crate::{
    ci_order,
    projects::{PermissionScope, ProjectConfig, Rbac},
};

/// A permission that can be granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its id, unique in the project.
    pub id: String,
    /// Where it is held.
    pub scope: PermissionScope,
    /// For people.
    pub description: Option<String>,
    /// What holding it includes, in the contract's order of names.
    pub contained_permission_ids: Vec<String>,
}

/// The permissions of one project.
#[derive(Clone, Copy, Debug)]
pub struct Catalog<'a>(&'a Rbac);

impl<'a> Catalog<'a> {
    /// Those of the project with this config.
    #[must_use]
    pub fn of(config: &'a ProjectConfig) -> Self {
        Self(&config.rbac)
    }

    /// Those of this part of a config.
    pub(super) fn over(rbac: &'a Rbac) -> Self {
        Self(rbac)
    }

    /// Where the permission is held, if there is one.
    #[must_use]
    pub fn scope_of(self, id: &str) -> Option<PermissionScope> {
        if SYSTEM.contains(&id) {
            return Some(PermissionScope::Team);
        }
        self.0.permissions.get(id).and_then(|definition| definition.scope)
    }

    /// Whether there is such a permission in this scope.
    #[must_use]
    pub fn defines(self, scope: PermissionScope, id: &str) -> bool {
        self.scope_of(id) == Some(scope)
    }

    /// All permissions of a scope, the system's included, in the contract's order of names.
    #[must_use]
    pub fn list(self, scope: PermissionScope) -> Vec<Definition> {
        let custom = self.0.permissions.keys().map(String::as_str);
        let mut found: Vec<_> = custom.chain(SYSTEM.iter().copied()).filter_map(|id| self.get(scope, id)).collect();
        found.sort_by(|a, b| ci_order::compare(&a.id, &b.id));
        found
    }

    /// One of them.
    #[must_use]
    pub fn get(self, scope: PermissionScope, id: &str) -> Option<Definition> {
        if !self.defines(scope, id) {
            return None;
        }
        let (mut contained_permission_ids, mut description) = (Vec::new(), None);
        // A definition of a system id cannot be written, and would count for nothing.
        if let Some(definition) = self.0.permissions.get(id).filter(|_| !SYSTEM.contains(&id)) {
            contained_permission_ids.extend(definition.contained_permission_ids.iter().cloned());
            contained_permission_ids.sort_by(|a, b| ci_order::compare(a, b));
            description = definition.description.clone().filter(|text| !text.is_empty());
        }
        Some(Definition { id: id.to_owned(), scope, description, contained_permission_ids })
    }

    /// Everything that whoever was granted `direct` holds: those ids and what they include, at any depth. Ids that are not
    /// defined in this scope are left out, and so is what only they include. Definitions may include each other.
    #[must_use]
    pub fn closure<'b>(self, scope: PermissionScope, direct: impl IntoIterator<Item = &'b str>) -> BTreeSet<String> {
        let mut held = BTreeSet::new();
        let mut open: Vec<String> = direct.into_iter().map(ToOwned::to_owned).collect();
        while let Some(id) = open.pop() {
            if held.contains(&id) || !self.defines(scope, &id) {
                continue;
            }
            if let Some(definition) = self.0.permissions.get(&id) {
                open.extend(definition.contained_permission_ids.iter().cloned());
            }
            held.insert(id);
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::projects::config_from;

    #[test]
    fn what_is_held_is_walked_through_circles_and_stays_in_its_scope() {
        let config = config_from(json!({ "rbac.permissions": {
            "a": { "scope": "team", "containedPermissionIds": { "b": true, "$read_members": true, "gone": true } },
            "b": { "scope": "team", "containedPermissionIds": { "c": true, "p": true } },
            "c": { "scope": "team", "containedPermissionIds": { "a": true, "c": true } },
            "p": { "scope": "project", "containedPermissionIds": { "q": true } },
            "q": { "scope": "project" },
            "nowhere": { "containedPermissionIds": { "a": true } },
        } }));
        let catalog = Catalog::of(&config);
        let closure = |scope, direct: &[&str]| {
            catalog.closure(scope, direct.iter().copied()).into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(closure(PermissionScope::Team, &["b"]), "$read_members a b c");
        assert_eq!(closure(PermissionScope::Team, &["nowhere", "gone", "p"]), "");
        assert_eq!(closure(PermissionScope::Project, &["p", "a"]), "p q");
        assert_eq!(closure(PermissionScope::Project, &["$read_members"]), "");
        let ids: Vec<_> = catalog.list(PermissionScope::Team).into_iter().map(|definition| definition.id).collect();
        assert_eq!(ids.len(), SYSTEM.len() + 3);
        assert!(ids.starts_with(&["$delete_team".to_owned()]) && ids.ends_with(&["c".to_owned()]));
    }
}
