//! Projects: the tenants, what they allow (config), and the keys that open them.
//!
//! Every request finds its project by [`lookup`] and what it allows by [`config`]; both are cached for at most five seconds
//! and forget at once what this process changes. Users and teams of projects live elsewhere.

mod cache;
mod config;
mod input;
pub mod jobs;
mod keys;
mod legacy;
mod project;
mod purge;
mod seed;
mod store;
mod trusted;
pub mod wire;

use std::{fmt, sync::Arc};

pub(crate) use self::trusted::{not_whitelisted, trusted_oauth_redirect};
pub use self::{
    config::*,
    input::{ConfigChange, NewProject, ProjectChange},
    keys::*,
    project::{
        client_project, create_project, current_project, delete_project, owned_projects, transfer_project,
        update_project,
    },
    purge::{Purged, purge_step},
    seed::{DemoProject, Seed, Seeded, demo_project, is_seeded, seed},
    trusted::{is_trusted_origin, trusted_url},
};
pub use postern_entity::project::Model as Project;

use self::cache::{Changes, ProjectCache};
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::project::bare_row;
#[cfg(test)]
pub(crate) use self::project::default_settings;
use crate::{
    Deps, Level, ProjectId, Timestamp, UserId,
    error::{Result, refuse},
    rotation::Rotation,
    signal::Signals,
    teams,
};

/// How many projects stay cached.
const MAX_CACHED_PROJECTS: u64 = 10_000;
/// How many valid keys stay cached.
const MAX_CACHED_KEYS: u64 = 50_000;

/// What is kept of projects between requests. One per process; cheap to clone.
#[derive(Clone)]
pub struct Projects(Arc<Caches>);

struct Caches {
    projects: ProjectCache<ProjectId, Arc<Loaded>>,
    /// When each valid key expires, by its hash.
    keys: ProjectCache<(ProjectId, Level, Vec<u8>), Timestamp>,
}

/// Seals again under the newest server secret what is not: secrets in configs and those of the installation.
pub(crate) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    seed::reseal(rotation).await?;
    config::reseal(rotation).await
}

/// A project and its config, as they were at one instant.
struct Loaded {
    project: Arc<Project>,
    config: Arc<ProjectConfig>,
}

impl Projects {
    /// Forgets what `signals` tells has changed.
    #[must_use]
    pub fn new(signals: &Signals) -> Self {
        let changes = Changes::listen(signals);
        Self(Arc::new(Caches {
            projects: ProjectCache::new(MAX_CACHED_PROJECTS, Arc::clone(&changes)),
            keys: ProjectCache::new(MAX_CACHED_KEYS, changes),
        }))
    }
}

impl fmt::Debug for Projects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projects").finish_non_exhaustive()
    }
}

/// The project, if there is one; at most five seconds old.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn lookup(deps: &Deps, id: &ProjectId) -> Result<Option<Arc<Project>>> {
    Ok(loaded(deps, id).await?.map(|loaded| Arc::clone(&loaded.project)))
}

/// The owners of a project, at most `limit`: users of project `internal`, members of the team that owns it.
///
/// # Errors
/// Internal only.
pub(crate) async fn owner_ids(deps: &Deps, project: &Project, limit: u64) -> Result<Vec<UserId>> {
    match project.owner_team_id {
        Some(team_id) => teams::member_ids(deps, &ProjectId::internal(), team_id, limit).await,
        None => Ok(Vec::new()),
    }
}

/// What the project allows; at most five seconds old.
///
/// # Errors
/// `CURRENT_PROJECT_NOT_FOUND` when it was deleted since the caller found it.
#[crate::boxed]
pub async fn config(deps: &Deps, id: &ProjectId) -> Result<Arc<ProjectConfig>> {
    match loaded(deps, id).await? {
        Some(loaded) => Ok(Arc::clone(&loaded.config)),
        None => refuse(store::no_such_project(id)),
    }
}

async fn loaded(deps: &Deps, id: &ProjectId) -> Result<Option<Arc<Loaded>>> {
    let load = || async {
        let Some(project) = store::project(deps.db.read(), id).await? else { return Ok(None) };
        let config = config::view(config::rendered(deps.db.read(), &deps.keyring, id).await?)?;
        Ok(Some(Arc::new(Loaded { project: Arc::new(project), config: Arc::new(config) })))
    };
    deps.projects.0.projects.get(id, id, load).await
}

#[cfg(test)]
mod tests;
