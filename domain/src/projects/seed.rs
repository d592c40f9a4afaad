//! What an installation begins with: the project `internal`, whose users own all others, and in local mode a demo project.
//!
//! Runs at every start. What is there stays; what is missing is made, in one transaction under one lock, so that two
//! processes that start together make it once. Keys are answered only by the run that made them.

use std::fmt;

use postern_entity::installation_secret;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Applied, ConfigFile, Keys, NewKeySet, WantedKeys, config,
    keys::key_set_row,
    project::{bare_row, insert_in, settings_with_permissions},
    store,
};
use crate::{
    Deps, KeySetId, ProjectId,
    db::{Backend, Tx},
    error::{Error, Result},
    items::seats,
    rotation::Rotation,
    secrets::Place,
    signal::Signal,
    teams::{self, NewTeam},
};

/// The lock that every seeding process takes on PostgreSQL; any number that nothing else uses.
const SEED_LOCK: i64 = 0x706f_7374_6572_6e01;
/// How long keys live that are not meant to end: a hundred years.
const LASTING_SECONDS: i64 = 100 * 365 * 24 * 60 * 60;
/// Names of rows in `installation_secret`.
const DEMO: &str = "demo_project";
const INTERNAL_KEY_SET: &str = "internal_key_set";

/// What the settings say about the seed.
#[derive(Clone, Debug, Default)]
pub struct Seed {
    /// The fixed keys of project `internal`. Without them the first start makes some.
    pub internal_keys: Option<Keys>,
    /// What a project is to be like; `internal` if the file names none.
    pub config: Option<ConfigFile>,
}

/// What this run did. The secrets that it made nobody can read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seeded {
    /// Keys of project `internal`, unless they were given or there already.
    pub internal_keys: Option<Keys>,
    /// The demo project, unless it was there already.
    pub demo: Option<DemoProject>,
    /// What the config file came to, if there was one.
    pub applied: Option<Applied>,
}

/// The demo project of local mode.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoProject {
    /// The project.
    pub project_id: ProjectId,
    /// Keys for all three levels.
    pub keys: Keys,
}

impl fmt::Debug for DemoProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DemoProject").field("project_id", &self.project_id).finish_non_exhaustive()
    }
}

impl NewKeySet {
    /// A set with all three keys that is not meant to end.
    #[must_use]
    pub fn lasting(deps: &Deps, description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            expires_at: deps.now().plus_seconds(LASTING_SECONDS),
            wanted: WantedKeys::ALL,
        }
    }
}

/// Makes what is missing, and applies the config file.
///
/// # Errors
/// Those of the database; `CURRENT_PROJECT_NOT_FOUND` when the file is for a project that is not there; `BAD_REQUEST` when
/// the environment level would become too long. Nothing is made then.
#[crate::boxed]
pub async fn seed(deps: &Deps, seed: &Seed) -> Result<Seeded> {
    let made = Made { internal: Keys::generate(WantedKeys::ALL)?, demo: Keys::generate(WantedKeys::ALL)? };
    let made = &made;
    deps.db
        .write(|tx| async move {
            if tx.backend() == Backend::Postgres {
                let lock = "SELECT pg_advisory_xact_lock($1)";
                tx.execute_raw(crate::db::statement(&*tx, lock, [SEED_LOCK.into()])).await?;
            }
            let internal_keys = seed_internal(deps, &tx, seed, &made.internal).await?;
            let demo = if deps.settings.local_mode { seed_demo(deps, &tx, &made.demo).await? } else { None };
            let applied = match &seed.config {
                Some(file) => {
                    let project_id = file.project_id.clone().unwrap_or_else(ProjectId::internal);
                    Some(config::apply_in(deps, &tx, None, &project_id, file).await?)
                }
                None => None,
            };
            Ok(Seeded { internal_keys, demo, applied })
        })
        .await
}

/// Whether some process has seeded the installation, so that others may work.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn is_seeded(deps: &Deps) -> Result<bool> {
    Ok(store::project(deps.db.read(), &ProjectId::internal()).await?.is_some())
}

/// Keys made before the transaction, so that a second try of it does not make others.
struct Made {
    internal: Keys,
    demo: Keys,
}

/// The demo project with its keys, for the pages of local mode. `None` outside local mode, or when it was deleted.
///
/// # Errors
/// Internal, when the keys were sealed under a server secret that is no longer listed.
#[crate::boxed]
pub async fn demo_project(deps: &Deps) -> Result<Option<DemoProject>> {
    if !deps.settings.local_mode {
        return Ok(None);
    }
    let Some(row) = store::installation_secret(deps.db.read(), DEMO).await? else { return Ok(None) };
    let demo: DemoProject = open(deps, &row)?;
    let is_there = super::lookup(deps, &demo.project_id).await?.is_some();
    Ok(is_there.then_some(demo))
}

/// Answers the keys if this run chose them.
async fn seed_internal(deps: &Deps, tx: &Tx, seed: &Seed, made: &Keys) -> Result<Option<Keys>> {
    let id = ProjectId::internal();
    let is_new = store::project(&**tx, &id).await?.is_none();
    if is_new {
        insert_internal(deps, tx).await?;
    }
    match &seed.internal_keys {
        Some(fixed) => {
            fix_internal_keys(deps, tx, fixed).await?;
            Ok(None)
        }
        None if is_new => {
            let row = key_set_row(deps, &id, &NewKeySet::lasting(deps, "Made at the first start"), made);
            store::insert_key_set(tx, row).await?;
            Ok(Some(made.clone()))
        }
        None => Ok(None),
    }
}

/// The narrower permissions are those of wire: projects-config-webhooks §1.
async fn insert_internal(deps: &Deps, tx: &Tx) -> Result<()> {
    let id = ProjectId::internal();
    let mut settings =
        settings_with_permissions(&["$read_members"], &["$read_members", "$remove_members", "$update_team"]);
    let public_url = deps.settings.public_url.as_str().trim_end_matches('/');
    let own_domain =
        Map::from_iter([(Uuid::new_v4().to_string(), json!({ "baseUrl": public_url, "handlerPath": "/handler" }))]);
    settings.extend([
        ("teams.createPersonalTeamOnSignUp".to_owned(), Value::Bool(true)),
        ("teams.allowClientTeamCreation".to_owned(), Value::Bool(true)),
        ("onboarding.requireEmailVerification".to_owned(), Value::Bool(false)),
        ("domains.allowLocalhost".to_owned(), Value::Bool(deps.settings.local_mode)),
        ("domains.trustedDomains".to_owned(), Value::Object(own_domain)),
        seats::setting(),
    ]);
    let mut row = bare_row(id.clone(), "Postern".to_owned(), deps.now());
    insert_in(deps, tx, row.clone(), settings).await?;
    let owners = NewTeam { display_name: "Operators".to_owned(), ..NewTeam::default() };
    row.owner_team_id = Some(teams::create_empty_in(deps, tx, &id, owners).await?.id);
    store::update_project(tx, row).await
}

/// Makes the fixed keys the only ones that were ever fixed: changing them in the settings ends the old ones.
async fn fix_internal_keys(deps: &Deps, tx: &Tx, fixed: &Keys) -> Result<()> {
    let id = ProjectId::internal();
    let new = key_set_row(deps, &id, &NewKeySet::lasting(deps, "Fixed by the settings"), fixed);
    if let Some(row) = store::installation_secret(&**tx, INTERNAL_KEY_SET).await? {
        let old_id: KeySetId = open(deps, &row)?;
        if let Some(old) = store::key_set(&**tx, &id, old_id).await? {
            let is_same = old.publishable_client_key_hash == new.publishable_client_key_hash
                && old.secret_server_key_hash == new.secret_server_key_hash
                && old.super_secret_admin_key_hash == new.super_secret_admin_key_hash;
            if is_same && old.revoked_at.is_none() {
                return Ok(());
            }
            store::delete_key_set(tx, &id, old_id).await?;
        }
    }
    store::put_installation_secret(tx, sealed(deps, INTERNAL_KEY_SET, &new.id)?).await?;
    store::insert_key_set(tx, new).await?;
    tx.raise(Signal::ProjectChanged { project_id: id });
    Ok(())
}

/// Answers the project if this run made it.
async fn seed_demo(deps: &Deps, tx: &Tx, keys: &Keys) -> Result<Option<DemoProject>> {
    if store::installation_secret(&**tx, DEMO).await?.is_some() {
        return Ok(None);
    }
    let demo = DemoProject { project_id: ProjectId::random(), keys: keys.clone() };
    let mut row = bare_row(demo.project_id.clone(), "Demo".to_owned(), deps.now());
    row.owner_team_id = store::project(&**tx, &ProjectId::internal()).await?.and_then(|project| project.owner_team_id);
    insert_in(deps, tx, row, super::project::default_settings()).await?;
    let new = NewKeySet::lasting(deps, "Made at the first start");
    store::insert_key_set(tx, key_set_row(deps, &demo.project_id, &new, keys)).await?;
    store::put_installation_secret(tx, sealed(deps, DEMO, &demo)?).await?;
    Ok(Some(demo))
}

/// The place is the same whatever it holds: `installation_secret` belongs to no project.
fn place(name: &str) -> Place<'_> {
    Place { project: "", table: "installation_secret", row: name, column: "value" }
}

/// Seals all secrets of the installation again under the newest server secret.
pub(super) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    rotation
        .column::<installation_secret::Entity>(
            "secrets of the installation",
            installation_secret::Column::Value,
            |keyring, row, sealed| keyring.reseal(&place(&row.name), sealed),
        )
        .await
}

fn sealed<T: Serialize>(deps: &Deps, name: &str, value: &T) -> Result<installation_secret::Model> {
    let plain = serde_json::to_vec(value).map_err(Error::internal)?;
    Ok(installation_secret::Model { name: name.to_owned(), value: deps.keyring.seal(&place(name), &plain)? })
}

fn open<T: for<'de> Deserialize<'de>>(deps: &Deps, row: &installation_secret::Model) -> Result<T> {
    serde_json::from_slice(&deps.keyring.open(&place(&row.name), &row.value)?).map_err(Error::internal)
}
