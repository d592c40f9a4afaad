//! Projects: the tenants, what they allow (config), and the keys that open them.
//!
//! Every request finds its project by [`lookup`] and what it allows by [`config`]; both are cached for at most five seconds
//! and forget at once what this process changes. Users and teams of projects live elsewhere.

mod cache;
mod config;
mod keys;
mod store;
mod trusted;

use std::{fmt, sync::Arc};

pub use config::*;
pub use keys::*;
pub use postern_entity::project::Model as Project;
pub use trusted::*;

use self::cache::{Changes, ProjectCache};
use crate::{
    Deps, Level, ProjectId, Timestamp,
    error::{Error, Result},
    signal::Signals,
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
pub async fn lookup(deps: &Deps, id: &ProjectId) -> Result<Option<Arc<Project>>> {
    Ok(loaded(deps, id).await?.map(|loaded| Arc::clone(&loaded.project)))
}

/// What the project allows; at most five seconds old.
///
/// # Errors
/// Internal only, also when there is no such project: whoever asks has found it before.
pub async fn config(deps: &Deps, id: &ProjectId) -> Result<Arc<ProjectConfig>> {
    match loaded(deps, id).await? {
        Some(loaded) => Ok(Arc::clone(&loaded.config)),
        None => Err(Error::internal(format!("the config of project {id} was asked for, which is not there"))),
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
