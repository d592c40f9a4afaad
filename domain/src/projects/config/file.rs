//! A file that sets a project up from code: what the branch level stores, and settings of the environment level.
//!
//! ```toml
//! project = "internal"
//!
//! [branch.auth.otp]
//! allowSignIn = true
//!
//! [environment.emails.server]
//! isShared = false
//!
//! [webhooks.crm]
//! url = "https://crm.example.com/hook"
//! ```
//!
//! The branch level becomes exactly what the file says; at the environment level, where a project keeps more than a file
//! can know, each key of the file replaces itself and what is below it. Tables stand for the settings in them, one by one,
//! except for entries of records, which are whole. A key with dots is a key of an override as it is. Webhook endpoints are
//! what the feature says of them (`webhooks/configured.rs`).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    ConfigLevel, MAX_OVERRIDE_CHARS,
    edit::{ConfigSource, put_branch, record, require, write_settings},
    overrides::{self, Wrong},
    schema::{self, Inside, Node},
    seal::{self, At},
};
use crate::{
    Actor, Deps, Level, ProjectId,
    db::Tx,
    error::{Error, Result},
    projects::store,
    signal::Signal,
    webhooks::configured::{self, FileEndpoints},
};

/// How many violations are told at most.
const MAX_TOLD: usize = 100;

/// A file whose settings all fit.
#[derive(Clone, PartialEq)]
pub struct ConfigFile {
    /// The project it is for, if it says so.
    pub project_id: Option<ProjectId>,
    branch: Option<Map<String, Value>>,
    environment: Option<Map<String, Value>>,
    webhooks: Option<FileEndpoints>,
}

/// All that is wrong with a file, each with its path in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct WrongConfigFile(pub Vec<String>);

/// What applying a file came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The branch level is another one now.
    pub branch_changed: bool,
    /// The environment level is another one now.
    pub environment_changed: bool,
    /// The webhook endpoints of the file are others now.
    #[serde(default)]
    pub webhooks_changed: bool,
    /// Settings of the branch level that do not count, because the environment level has others in their place.
    pub hidden: Vec<String>,
}

impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFile").field("project_id", &self.project_id).finish_non_exhaustive()
    }
}

impl ConfigFile {
    /// The file that `content`, an object, writes out.
    ///
    /// # Errors
    /// [`WrongConfigFile`], naming everything that does not fit (at most a hundred things).
    pub fn read(content: Value) -> Result<Self, WrongConfigFile> {
        let Value::Object(content) = content else {
            return Err(WrongConfigFile(vec!["the file must be a table (in JSON: an object)".to_owned()]));
        };
        let mut file = Self { project_id: None, branch: None, environment: None, webhooks: None };
        let mut wrong = Vec::new();
        for (key, value) in content {
            match (key.as_str(), value) {
                ("project", Value::String(id)) => file.project_id = Some(ProjectId(id)),
                ("project", _) => wrong.push("project: must be a text, the id of a project".to_owned()),
                ("branch", Value::Object(given)) => {
                    file.branch = Some(settings(ConfigLevel::Branch, given, &mut wrong));
                }
                ("environment", Value::Object(given)) => {
                    file.environment = Some(settings(ConfigLevel::Environment, given, &mut wrong));
                }
                ("webhooks", given) => file.webhooks = Some(configured::read(given, &mut wrong)),
                ("branch" | "environment", _) => wrong.push(format!("{key}: must be a table")),
                _ => wrong.push(format!(
                    "{key:?}: there is no such part; there are project, branch, environment and webhooks"
                )),
            }
        }
        wrong.truncate(MAX_TOLD);
        if wrong.is_empty() { Ok(file) } else { Err(WrongConfigFile(wrong)) }
    }
}

/// The settings of a level, checked.
fn settings(level: ConfigLevel, given: Map<String, Value>, wrong: &mut Vec<String>) -> Map<String, Value> {
    let mut flat = Flat { settings: Map::new(), twice: Vec::new() };
    for (key, value) in given {
        match schema::root().child(&key, false) {
            Some(node) => flat.add(node, key, value),
            None => flat.put(key, value),
        }
    }
    let part = level.as_str();
    wrong.extend(flat.twice.iter().map(|path| format!("{part}.{path}: is given twice")));
    let mut found = Wrong::up_to(MAX_TOLD);
    overrides::check_all(level, &flat.settings, &mut found);
    wrong.extend(found.into_iter().map(|(path, why)| format!("{part}.{path}: {why}")));
    let length = serde_json::to_string(&flat.settings).map_or(usize::MAX, |text| text.chars().count());
    if length > MAX_OVERRIDE_CHARS {
        wrong.push(format!("{part}: must have at most {MAX_OVERRIDE_CHARS} characters as JSON"));
    }
    flat.settings
}

/// Settings by their paths.
struct Flat {
    settings: Map<String, Value>,
    twice: Vec<String>,
}

impl Flat {
    fn put(&mut self, path: String, value: Value) {
        if self.settings.insert(path.clone(), value).is_some() {
            self.twice.push(path);
        }
    }

    /// Opens tables down to single settings and whole entries of records: fields of an entry that nobody made would be lost
    /// (wire: projects-config-webhooks §3.1).
    fn add(&mut self, node: &Node, path: String, value: Value) {
        match (&node.inside, value) {
            (Inside::Fields(_), Value::Object(inside)) => {
                for (key, value) in inside {
                    let path = format!("{path}.{key}");
                    match node.child(&key, false) {
                        Some(child) => self.add(child, path, value),
                        None => self.put(path, value),
                    }
                }
            }
            (Inside::Record(..), Value::Object(entries)) => {
                for (key, value) in entries {
                    self.put(format!("{path}.{key}"), value);
                }
            }
            (_, value) => self.put(path, value),
        }
    }
}

/// Makes a project what the file says. What is so already is not written again.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `CURRENT_PROJECT_NOT_FOUND`; `BAD_REQUEST` when the environment level would become too long.
#[crate::boxed]
pub async fn apply_config_file(deps: &Deps, actor: &Actor, file: &ConfigFile) -> Result<Applied> {
    require(actor, Level::Admin)?;
    deps.mutate(actor, "apply_config_file", |tx| async move {
        apply_in(deps, &tx, Some(actor), &actor.project_id, file).await
    })
    .await
}

/// The same within a transaction; by nobody where the settings name the file.
pub(in crate::projects) async fn apply_in(
    deps: &Deps,
    tx: &Tx,
    actor: Option<&Actor>,
    project_id: &ProjectId,
    file: &ConfigFile,
) -> Result<Applied> {
    store::lock_project(tx, project_id).await?;
    let mut applied = Applied::default();
    let mut branch = stored(deps, tx, project_id, ConfigLevel::Branch).await?;
    if let Some(given) = &file.branch
        && *given != branch
    {
        branch.clone_from(given);
        let mut sealed = given.clone();
        seal::seal(At { keyring: &deps.keyring, project_id, level: ConfigLevel::Branch }, &mut sealed)?;
        put_branch(deps, tx, project_id, &sealed, Some(ConfigSource::PushedFromUnknown)).await?;
        record(deps, tx, actor, project_id, (ConfigLevel::Branch, "replaced"), given.keys()).await?;
        applied.branch_changed = true;
    }
    let mut environment = stored(deps, tx, project_id, ConfigLevel::Environment).await?;
    if let Some(given) = &file.environment {
        let before = environment.clone();
        overrides::combine(&mut environment, given.clone());
        if environment != before {
            write_settings(deps, tx, project_id, ConfigLevel::Environment, given.clone()).await?;
            record(deps, tx, actor, project_id, (ConfigLevel::Environment, "merged"), given.keys()).await?;
            applied.environment_changed = true;
        }
    }
    if let Some(endpoints) = &file.webhooks {
        applied.webhooks_changed = configured::apply(deps, tx, project_id, endpoints).await?;
    }
    if applied.branch_changed || applied.environment_changed {
        tx.raise(Signal::ProjectChanged { project_id: project_id.clone() });
    }
    if file.branch.is_some() {
        let differs = |(path, value): &(&String, &Value)| {
            environment.get(*path) != Some(value) && overrides::covers_any(&environment, path)
        };
        applied.hidden = branch.iter().filter(differs).map(|(path, _)| path.clone()).collect();
    }
    Ok(applied)
}

/// What a level stores, secrets open.
async fn stored(deps: &Deps, tx: &Tx, project_id: &ProjectId, level: ConfigLevel) -> Result<Map<String, Value>, Error> {
    let mut stored = store::override_value(&**tx, project_id, level.as_str()).await?;
    seal::open_what_opens(At { keyring: &deps.keyring, project_id, level }, &mut stored);
    Ok(stored)
}
