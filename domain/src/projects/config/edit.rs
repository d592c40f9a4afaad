//! Reading and writing the overrides of a project's config (wire: projects-config-webhooks §3.2). The branch level is open to
//! servers, everything else to administrators.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    ConfigLevel, MAX_OVERRIDE_CHARS, ProjectConfig,
    overrides::{self, too_long},
    render, rendered,
    seal::{self, At},
    view,
};
use crate::{
    Actor, Deps, Level,
    db::Tx,
    error::{Error, Failure, Result, refuse},
    events::{self, EventKind},
    projects::store,
    signal::Signal,
};

/// Where the branch level came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ConfigSource {
    /// A repository.
    PushedFromGithub {
        /// Owner of the repository.
        owner: String,
        /// Its name.
        repo: String,
        /// The branch of the repository.
        branch: String,
        /// The commit.
        commit_hash: String,
        /// The file in it.
        config_file_path: String,
    },
    /// Pushed from somewhere.
    PushedFromUnknown,
    /// Edited here.
    Unlinked,
}

/// The JSON text of the rendered config.
///
/// # Errors
/// `FORBIDDEN` below ADMIN.
#[crate::boxed]
pub async fn config_text(deps: &Deps, actor: &Actor) -> Result<String> {
    require(actor, Level::Admin)?;
    let config = rendered(deps.db.read(), &deps.keyring, &actor.project_id).await?;
    render::to_text(&config).map_err(Error::internal)
}

/// The JSON text of what `level` stores, keys as they were given.
///
/// # Errors
/// `FORBIDDEN` below the level's access; internal when a sealed secret does not open.
#[crate::boxed]
pub async fn override_text(deps: &Deps, actor: &Actor, level: ConfigLevel) -> Result<String> {
    require(actor, access(level))?;
    let mut stored = store::override_value(deps.db.read(), &actor.project_id, level.as_str()).await?;
    seal::open(At { keyring: &deps.keyring, project_id: &actor.project_id, level }, &mut stored)?;
    serde_json::to_string(&stored).map_err(Error::internal)
}

/// Replaces what `level` stores by the JSON text `text`. The branch level takes its source with it; elsewhere a source is
/// ignored.
///
/// # Errors
/// `FORBIDDEN` below the level's access; `BAD_REQUEST` for a text that does not fit, or a branch without source.
#[crate::boxed]
pub async fn replace_override(
    deps: &Deps,
    actor: &Actor,
    level: ConfigLevel,
    text: &str,
    source: Option<ConfigSource>,
) -> Result<()> {
    require(actor, access(level))?;
    if level == ConfigLevel::Branch && source.is_none() {
        return refuse(Failure::bad_request("source: required to replace the branch level"));
    }
    let given = read(deps, actor, level, text)?;
    let (given, source) = (&given, &source);
    deps.mutate(actor, "replace_config_override", |tx| async move {
        store::lock_project(&tx, &actor.project_id).await?;
        if level == ConfigLevel::Branch {
            put_branch(deps, &tx, &actor.project_id, given, source.clone()).await?;
        } else {
            store::put_override(&tx, &actor.project_id, level.as_str(), given, Some(None), deps.now()).await?;
        }
        changed(deps, &tx, actor, (level, "replaced"), given.keys()).await
    })
    .await
}

/// Makes the branch level `sealed`, and notes where it came from.
pub(super) async fn put_branch(
    deps: &Deps,
    tx: &Tx,
    project_id: &crate::ProjectId,
    sealed: &Map<String, Value>,
    source: Option<ConfigSource>,
) -> Result<()> {
    let (level, source) = (ConfigLevel::Branch.as_str(), to_row(source)?);
    store::put_override(tx, project_id, level, sealed, Some(source), deps.now()).await
}

/// Writes the keys of the JSON text `text` over what `level` stores; each replaces itself and everything below it. The
/// source stays.
///
/// # Errors
/// `FORBIDDEN` below the level's access; `BAD_REQUEST` for a text that does not fit.
#[crate::boxed]
pub async fn merge_override(deps: &Deps, actor: &Actor, level: ConfigLevel, text: &str) -> Result<()> {
    require(actor, access(level))?;
    let given = read(deps, actor, level, text)?;
    let given = &given;
    deps.mutate(actor, "merge_config_override", |tx| async move {
        store::lock_project(&tx, &actor.project_id).await?;
        merge(deps, &tx, &actor.project_id, level, given.clone()).await?;
        changed(deps, &tx, actor, (level, "merged"), given.keys()).await
    })
    .await
}

/// Takes `keys` and everything below them out of what `level` (branch or environment) stores. What is not there is not
/// missed.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `BAD_REQUEST` at the project level.
#[crate::boxed]
pub async fn reset_config_keys(deps: &Deps, actor: &Actor, level: ConfigLevel, keys: &[String]) -> Result<()> {
    require(actor, Level::Admin)?;
    if level == ConfigLevel::Project {
        return refuse(Failure::bad_request("level: keys of the project level cannot be reset"));
    }
    deps.mutate(actor, "reset_config_keys", |tx| async move {
        store::lock_project(&tx, &actor.project_id).await?;
        let mut stored = store::override_value(&*tx, &actor.project_id, level.as_str()).await?;
        overrides::reset(&mut stored, keys);
        store::put_override(&tx, &actor.project_id, level.as_str(), &stored, None, deps.now()).await?;
        changed(deps, &tx, actor, (level, "reset"), keys).await
    })
    .await
}

/// Where the branch level came from.
///
/// # Errors
/// `FORBIDDEN` below ADMIN.
#[crate::boxed]
pub async fn config_source(deps: &Deps, actor: &Actor) -> Result<ConfigSource> {
    require(actor, Level::Admin)?;
    let row = store::config_override(deps.db.read(), &actor.project_id, ConfigLevel::Branch.as_str()).await?;
    match row.and_then(|row| row.source) {
        Some(source) => serde_json::from_value(source).map_err(Error::internal),
        None => Ok(ConfigSource::Unlinked),
    }
}

/// Forgets where the branch level came from; what it stores stays.
///
/// # Errors
/// `FORBIDDEN` below ADMIN.
#[crate::boxed]
pub async fn unlink_config_source(deps: &Deps, actor: &Actor) -> Result<()> {
    require(actor, Level::Admin)?;
    deps.mutate(actor, "unlink_config_source", |tx| async move {
        store::forget_source(&tx, &actor.project_id, deps.now()).await?;
        record(deps, &tx, Some(actor), &actor.project_id, (ConfigLevel::Branch, "unlinked"), []).await
    })
    .await
}

/// Writes already checked settings over what a level stores, within the caller's transaction, which holds the project's
/// lock. Seals their secrets.
pub(in crate::projects) async fn write_settings(
    deps: &Deps,
    tx: &Tx,
    project_id: &crate::ProjectId,
    level: ConfigLevel,
    mut settings: Map<String, Value>,
) -> Result<()> {
    overrides::check(level, &settings)?;
    seal::seal(At { keyring: &deps.keyring, project_id, level }, &mut settings)?;
    merge(deps, tx, project_id, level, settings).await
}

/// Writes over the environment level what `change` makes of the rendered config, which nobody else changes meanwhile.
///
/// # Errors
/// Those of `change`; `CURRENT_PROJECT_NOT_FOUND`; `BAD_REQUEST` for settings that do not fit.
pub(crate) async fn change_environment_in(
    deps: &Deps,
    tx: &Tx,
    actor: &Actor,
    change: impl FnOnce(&Value) -> Result<Map<String, Value>>,
) -> Result<()> {
    let project_id = &actor.project_id;
    store::lock_project(tx, project_id).await?;
    let settings = change(&rendered(&**tx, &deps.keyring, project_id).await?)?;
    let keys: Vec<_> = settings.keys().cloned().collect();
    write_settings(deps, tx, project_id, ConfigLevel::Environment, settings).await?;
    changed(deps, tx, actor, (ConfigLevel::Environment, "merged"), &keys).await
}

/// The config as it is until the transaction ends: nobody changes it meanwhile.
///
/// # Errors
/// `CURRENT_PROJECT_NOT_FOUND`.
pub(crate) async fn config_in(deps: &Deps, tx: &Tx, project_id: &crate::ProjectId) -> Result<ProjectConfig> {
    store::hold_project(tx, project_id).await?;
    view(rendered(&**tx, &deps.keyring, project_id).await?)
}

/// Merges sealed settings into what is stored.
async fn merge(
    deps: &Deps,
    tx: &Tx,
    project_id: &crate::ProjectId,
    level: ConfigLevel,
    settings: Map<String, Value>,
) -> Result<()> {
    let mut stored = store::override_value(&**tx, project_id, level.as_str()).await?;
    overrides::combine(&mut stored, settings);
    // What was there may be long already: the limit is one of the whole level.
    if serde_json::to_string(&stored).map_err(Error::internal)?.len() > MAX_OVERRIDE_CHARS {
        return too_long();
    }
    store::put_override(tx, project_id, level.as_str(), &stored, None, deps.now()).await
}

fn read(deps: &Deps, actor: &Actor, level: ConfigLevel, text: &str) -> Result<Map<String, Value>> {
    let mut given = overrides::parse(level, text)?;
    seal::seal(At { keyring: &deps.keyring, project_id: &actor.project_id, level }, &mut given)?;
    Ok(given)
}

fn to_row(source: Option<ConfigSource>) -> Result<Option<Value>> {
    source
        .filter(|source| *source != ConfigSource::Unlinked)
        .map(|source| serde_json::to_value(source).map_err(Error::internal))
        .transpose()
}

/// What follows from a change that the caller made.
async fn changed(
    deps: &Deps,
    tx: &Tx,
    actor: &Actor,
    change: (ConfigLevel, &str),
    keys: impl IntoIterator<Item = &String>,
) -> Result<()> {
    tx.raise(Signal::ProjectChanged { project_id: actor.project_id.clone() });
    record(deps, tx, Some(actor), &actor.project_id, change, keys).await
}

/// Notes for audit how a level was changed, and which of its settings; never to what.
pub(in crate::projects) async fn record(
    deps: &Deps,
    tx: &Tx,
    actor: Option<&Actor>,
    project_id: &crate::ProjectId,
    (level, change): (ConfigLevel, &str),
    keys: impl IntoIterator<Item = &String>,
) -> Result<()> {
    let keys = events::names(keys.into_iter().map(String::as_str));
    let payload = json!({ "level": level.as_str(), "change": change, "keys": keys });
    events::record(deps, tx, events::audit(project_id, EventKind::ConfigUpdated, actor, payload)).await
}

fn access(level: ConfigLevel) -> Level {
    if level == ConfigLevel::Branch { Level::Server } else { Level::Admin }
}

pub(super) fn require(actor: &Actor, least: Level) -> Result<()> {
    if actor.level >= least {
        return Ok(());
    }
    refuse(Failure::forbidden(format!("this part of the config needs {} access", least.as_str())))
}
