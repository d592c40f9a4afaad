//! Data loaders: what several objects of one answer need of the database is asked for in one statement, so that the number
//! of statements does not grow with the rows.
//!
//! To add one: a key type, an `impl Loader` that calls a batch function of the domain, and a method of [`Loaders`].
//! Loaders check no access: the fields that use them are guarded, and each starts from an object that the caller may see.

use std::{collections::HashMap, future::Future, hash::Hash, sync::OnceLock};

use async_graphql::{
    Context,
    dataloader::{DataLoader, Loader},
    runtime::{TokioSpawner, TokioTimer},
};
use postern_domain::{
    Actor, Deps, Failure, ProjectId, UserId,
    teams::{self, Team},
    users::{
        self, User,
        channels::{self, ContactChannel},
    },
};

use super::error::{Error, Result, log_fault};

/// The loaders of one request.
pub(crate) struct Loaders {
    source: Source,
    /// Made when first used: many requests need none.
    loader: OnceLock<DataLoader<Source>>,
}

#[derive(Clone)]
struct Source {
    deps: Deps,
    project_id: ProjectId,
}

impl Loaders {
    /// Loaders within the actor's project.
    pub(crate) fn new(deps: &Deps, actor: &Actor) -> Self {
        let source = Source { deps: deps.clone(), project_id: actor.project_id.clone() };
        Self { source, loader: OnceLock::new() }
    }

    /// The loaders of the request of `ctx`.
    ///
    /// # Errors
    /// Internal only: whoever asks was let in, so there is a project.
    pub(crate) fn of<'a>(ctx: &Context<'a>) -> Result<&'a Self> {
        ctx.data_opt::<Self>().ok_or_else(|| postern_domain::Error::internal("a request without loaders").into())
    }

    /// A user of the project.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn user(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.loader().load_one(id).await?)
    }

    /// The contact channels of a user, the primary one first.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn contact_channels_of(&self, user: UserId) -> Result<Vec<ContactChannel>> {
        Ok(self.loader().load_one(ContactChannelsOf(user)).await?.unwrap_or_default())
    }

    /// The teams of a user, oldest first.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn teams_of(&self, user: UserId) -> Result<Vec<Team>> {
        Ok(self.loader().load_one(TeamsOf(user)).await?.unwrap_or_default())
    }

    fn loader(&self) -> &DataLoader<Source> {
        self.loader.get_or_init(|| DataLoader::new(self.source.clone(), TokioSpawner::current(), TokioTimer::default()))
    }
}

/// Why a batch failed, told to everyone who waits for it. What is our fault was logged once.
#[derive(Clone)]
enum LoadError {
    Refused(Failure),
    Fault,
}

impl From<postern_domain::Error> for LoadError {
    fn from(error: postern_domain::Error) -> Self {
        match error {
            postern_domain::Error::Refused(failure) => Self::Refused(failure),
            fault => {
                log_fault(&fault);
                Self::Fault
            }
        }
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Refused(failure) => failure.into(),
            LoadError::Fault => Self::logged_fault(),
        }
    }
}

async fn batch<K, V, F>(load: F) -> Result<HashMap<K, V>, LoadError>
where
    K: Hash + Eq,
    F: Future<Output = postern_domain::Result<HashMap<K, V>>>,
{
    Ok(load.await?)
}

impl Loader<UserId> for Source {
    type Value = User;
    type Error = LoadError;

    async fn load(&self, ids: &[UserId]) -> Result<HashMap<UserId, User>, LoadError> {
        batch(users::by_ids(&self.deps, &self.project_id, ids)).await
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ContactChannelsOf(UserId);

impl Loader<ContactChannelsOf> for Source {
    type Value = Vec<ContactChannel>;
    type Error = LoadError;

    async fn load(&self, keys: &[ContactChannelsOf]) -> Result<HashMap<ContactChannelsOf, Self::Value>, LoadError> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = batch(channels::of_users(&self.deps, &self.project_id, &ids)).await?;
        Ok(found.into_iter().map(|(id, channels)| (ContactChannelsOf(id), channels)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct TeamsOf(UserId);

impl Loader<TeamsOf> for Source {
    type Value = Vec<Team>;
    type Error = LoadError;

    async fn load(&self, keys: &[TeamsOf]) -> Result<HashMap<TeamsOf, Self::Value>, LoadError> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let found = batch(teams::of_users(&self.deps, &self.project_id, &ids)).await?;
        Ok(found.into_iter().map(|(id, teams)| (TeamsOf(id), teams)).collect())
    }
}
