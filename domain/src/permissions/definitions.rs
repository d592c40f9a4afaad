//! Defining permissions, for administrators. Every write stores the whole record as one key of the environment level, which
//! masks what other levels say of permissions (wire: users-teams-permissions §5.2).

use serde_json::{Map, Value, json};

use super::{Catalog, Definition, PermissionScope, SYSTEM, is_custom_id, store};
use crate::{
    Actor, Code, Deps, Failure, Level,
    db::Tx,
    error::{Error, Result, refuse},
    patch::Patch,
    projects::{self, Rbac},
    text_search,
    validation::Violations,
};

/// The longest id of a permission, in characters: it is part of keys.
pub const MAX_ID_CHARS: usize = 255;

const PERMISSIONS: &str = "rbac.permissions";
const DEFAULTS: &str = "rbac.defaultPermissions";

/// A permission to define.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDefinition {
    /// a–z, 0–9, `_`, `:`.
    pub id: String,
    /// For people; an empty one is none.
    pub description: Option<String>,
    /// What holding it includes: other permissions of its scope.
    pub contained_permission_ids: Vec<String>,
}

/// What to change of a definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateDefinition {
    /// Its new id. Grants, other definitions and defaults follow.
    pub id: Option<String>,
    /// For people; an empty one is none.
    pub description: Patch<String>,
    /// What holding it includes, replaced whole.
    pub contained_permission_ids: Option<Vec<String>>,
}

/// All definitions of a scope, the system's included.
///
/// # Errors
/// `FORBIDDEN` below ADMIN.
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor, scope: PermissionScope) -> Result<Vec<Definition>> {
    require_admin(actor)?;
    let config = projects::config(deps, &actor.project_id).await?;
    Ok(Catalog::of(&config).list(scope))
}

/// A page of the definitions of a scope: at most `limit` from an id on whose ids or descriptions contain `query`, whatever
/// the case, and the id of the first one behind. All of them without a limit.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `BAD_REQUEST` for an id that is in no such list.
#[crate::boxed]
pub async fn page(
    deps: &Deps,
    actor: &Actor,
    scope: PermissionScope,
    query: &str,
    from: Option<&str>,
    limit: Option<usize>,
) -> Result<(Vec<Definition>, Option<String>)> {
    let query = text_search::fold(query);
    let contains = |text: &str| text_search::fold(text).contains(&query);
    let mut found = list(deps, actor, scope).await?;
    found.retain(|definition| contains(&definition.id) || definition.description.as_deref().is_some_and(contains));
    if let Some(from) = from {
        let Some(index) = found.iter().position(|definition| definition.id == from) else {
            let text = "cursor: there is no such permission in this list (any more); start again without it.";
            return refuse(Failure::bad_request(text));
        };
        found.drain(..index);
    }
    let limit = limit.unwrap_or(usize::MAX);
    let next = found.get(limit).map(|definition| definition.id.clone());
    found.truncate(limit);
    Ok((found, next))
}

/// Defines a permission.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `SCHEMA_ERROR`; `PERMISSION_ID_ALREADY_EXISTS` in either scope;
/// `CONTAINED_PERMISSION_NOT_FOUND` for one that is unknown, of the other scope, or the permission itself.
#[crate::boxed]
pub async fn create(deps: &Deps, actor: &Actor, scope: PermissionScope, new: NewDefinition) -> Result<Definition> {
    require_admin(actor)?;
    let mut violations = Violations::default();
    check_id(&mut violations, &new.id);
    violations.storable("description", new.description.as_deref().unwrap_or_default());
    violations.finish()?;
    let new = &new;
    deps.mutate(actor, "permissions.define", |tx| async move {
        let definition = change(deps, &tx, actor, |record| {
            record.refuse_taken(&new.id)?;
            record.check_contained(scope, &new.contained_permission_ids)?;
            record.put(scope, &new.id, new.description.as_deref(), &new.contained_permission_ids);
            record.read(scope, &new.id)
        })
        .await?;
        // What an earlier permission of this id has left behind must not come back to life.
        store::take_from_all(&tx, &actor.project_id, &new.id).await?;
        Ok(definition)
    })
    .await
}

/// Changes a permission of this scope.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `SCHEMA_ERROR`; `PERMISSION_NOT_FOUND`, also for the system's and for those of the other scope
/// (the reference moves them instead, by accident); `PERMISSION_ID_ALREADY_EXISTS`; `CONTAINED_PERMISSION_NOT_FOUND`.
#[crate::boxed]
pub async fn update(
    deps: &Deps,
    actor: &Actor,
    scope: PermissionScope,
    id: &str,
    input: UpdateDefinition,
) -> Result<Definition> {
    require_admin(actor)?;
    let mut violations = Violations::default();
    if let Some(id) = &input.id {
        check_id(&mut violations, id);
    }
    if let Patch::Set(description) = &input.description {
        violations.storable("description", description);
    }
    violations.finish()?;
    let input = &input;
    deps.mutate(actor, "permissions.redefine", |tx| async move {
        let new_id = input.id.as_deref().unwrap_or(id);
        let definition = change(deps, &tx, actor, |record| {
            let old = record.require(scope, id)?;
            if new_id != id {
                record.refuse_taken(new_id)?;
                record.rename(id, new_id);
            }
            let description = input.description.clone().mentioned().unwrap_or(old.description);
            let contained = match &input.contained_permission_ids {
                // A permission may include itself by way of others, and even directly: that is harmless.
                Some(contained) => {
                    record.check_contained(scope, contained)?;
                    contained.clone()
                }
                None => record.read(scope, new_id)?.contained_permission_ids,
            };
            record.put(scope, new_id, description.as_deref(), &contained);
            record.read(scope, new_id)
        })
        .await?;
        if new_id != id {
            store::take_from_all(&tx, &actor.project_id, new_id).await?;
            store::rename(&tx, &actor.project_id, id, new_id).await?;
        }
        Ok(definition)
    })
    .await
}

/// Takes a permission of this scope out of the project: out of other definitions and of the defaults, and from everybody who
/// holds it. (The reference leaves it in the defaults, where it makes later grants fail.)
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `PERMISSION_NOT_FOUND`, also for the system's and for those of the other scope.
#[crate::boxed]
pub async fn delete(deps: &Deps, actor: &Actor, scope: PermissionScope, id: &str) -> Result<()> {
    require_admin(actor)?;
    deps.mutate(actor, "permissions.undefine", |tx| async move {
        change(deps, &tx, actor, |record| {
            record.require(scope, id)?;
            record.remove(id);
            Ok(())
        })
        .await?;
        store::take_from_all(&tx, &actor.project_id, id).await
    })
    .await
}

fn require_admin(actor: &Actor) -> Result<()> {
    if actor.level >= Level::Admin {
        return Ok(());
    }
    refuse(Failure::forbidden("Only administrators define permissions."))
}

fn check_id(violations: &mut Violations, id: &str) {
    violations.require(
        is_custom_id(id) && id.len() <= MAX_ID_CHARS,
        "id",
        format_args!("must have 1 to {MAX_ID_CHARS} of a-z, 0-9, _ and :"),
    );
}

/// The permission is not there, or not in this scope.
pub(super) fn not_found(id: &str) -> Failure {
    Failure::new(Code::PermissionNotFound, format!("There is no permission {id:?}."))
        .with(json!({ "permission_id": id }))
}

/// Changes the record of definitions, which nobody else changes meanwhile.
async fn change<T: Send>(
    deps: &Deps,
    tx: &Tx,
    actor: &Actor,
    change: impl FnOnce(&mut Record) -> Result<T> + Send,
) -> Result<T> {
    let mut outcome = None;
    projects::change_environment_in(deps, tx, actor, |config| {
        let mut record = Record(config.get("rbac").cloned().unwrap_or_default());
        let before = record.0.get("defaultPermissions").cloned();
        outcome = Some(change(&mut record)?);
        let mut settings = Map::new();
        let mut write = |key: &str, value: Option<Value>| settings.extend(value.map(|value| (key.to_owned(), value)));
        write(PERMISSIONS, record.0.get("permissions").cloned());
        let after = record.0.get("defaultPermissions").cloned();
        if after != before {
            write(DEFAULTS, after);
        }
        Ok(settings)
    })
    .await?;
    outcome.ok_or_else(|| Error::internal("a change of the config did not run"))
}

/// `rbac` of a rendered config.
struct Record(Value);

impl Record {
    fn rbac(&self) -> Result<Rbac> {
        serde_json::from_value(self.0.clone()).map_err(Error::internal)
    }

    fn read(&self, scope: PermissionScope, id: &str) -> Result<Definition> {
        let rbac = self.rbac()?;
        Catalog::over(&rbac).get(scope, id).ok_or_else(|| Error::internal("a definition was not written"))
    }

    /// The project's own definition.
    fn require(&self, scope: PermissionScope, id: &str) -> Result<Definition> {
        let found = Catalog::over(&self.rbac()?).get(scope, id).filter(|_| !SYSTEM.contains(&id));
        found.map_or_else(|| refuse(not_found(id)), Ok)
    }

    fn refuse_taken(&self, id: &str) -> Result<()> {
        // One without a scope is in neither, but its place in the record is taken.
        if !self.rbac()?.permissions.contains_key(id) && !SYSTEM.contains(&id) {
            return Ok(());
        }
        let text = format!("There is a permission {id:?} already.");
        refuse(Failure::new(Code::PermissionIdAlreadyExists, text).with(json!({ "permission_id": id })))
    }

    fn check_contained(&self, scope: PermissionScope, contained: &[String]) -> Result<()> {
        let rbac = self.rbac()?;
        let catalog = Catalog::over(&rbac);
        let Some(unknown) = contained.iter().find(|id| !catalog.defines(scope, id)) else { return Ok(()) };
        let text = format!("There is no permission {unknown:?} of the scope {} to include.", scope.as_str());
        refuse(Failure::new(Code::ContainedPermissionNotFound, text).with(json!({ "permission_id": unknown })))
    }

    fn entries(&mut self) -> Option<&mut Map<String, Value>> {
        self.0.get_mut("permissions").and_then(Value::as_object_mut)
    }

    fn put(&mut self, scope: PermissionScope, id: &str, description: Option<&str>, contained: &[String]) {
        let contained: Map<_, _> = contained.iter().map(|id| (id.clone(), Value::Bool(true))).collect();
        let mut entry = json!({ "scope": scope.as_str(), "containedPermissionIds": contained });
        if let (Some(description), Some(entry)) = (description.filter(|text| !text.is_empty()), entry.as_object_mut()) {
            entry.insert("description".to_owned(), description.into());
        }
        if let Some(entries) = self.entries() {
            entries.insert(id.to_owned(), entry);
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        if let Some(entries) = self.entries()
            && let Some(entry) = entries.remove(from)
        {
            entries.insert(to.to_owned(), entry);
        }
        for ids in self.lists() {
            if let Some(value) = ids.remove(from) {
                ids.insert(to.to_owned(), value);
            }
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(entries) = self.entries() {
            entries.remove(id);
        }
        for ids in self.lists() {
            ids.remove(id);
        }
    }

    /// Everything that names permissions: what definitions include, and the defaults.
    fn lists(&mut self) -> Vec<&mut Map<String, Value>> {
        let Some(rbac) = self.0.as_object_mut() else { return Vec::new() };
        let mut lists = Vec::new();
        for (key, value) in rbac {
            let Some(entries) = value.as_object_mut() else { continue };
            for entry in entries.values_mut() {
                let ids = if key == "permissions" { entry.get_mut("containedPermissionIds") } else { Some(entry) };
                lists.extend(ids.and_then(Value::as_object_mut));
            }
        }
        lists
    }
}
