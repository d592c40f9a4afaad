//! The shape of the database: who brings it to this version, and who waits for it.

use std::time::Duration;

use postern_domain::{
    Deps, Error, Result,
    db::{Backend, Db, may_come_back},
    projects::{self, Seed, Seeded},
};
use postern_migration::{Migrator, MigratorTrait, SchemaManager};
use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::readiness::Readiness;
use crate::{
    config_file,
    settings::{InternalKeys, Settings},
};

/// The key of PostgreSQL's advisory lock under which one process migrates.
const MIGRATION_LOCK: i64 = 0x0070_6f73_7465_726e;
/// How often a process that waits for the database looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How far the clock of this process may be from that of PostgreSQL at the start, in milliseconds. Tokens and leases
/// depend on the one and on the other.
pub(crate) const MAX_CLOCK_DIFFERENCE_MILLIS: i64 = 30_000;

/// How the shape of the database compares to that of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As many changes are to be applied.
    Older(usize),
    /// The same.
    Current,
    /// It was changed by a newer version, whose change is named: using it could destroy data.
    Newer(String),
}

impl Shape {
    async fn within(transaction: &DatabaseTransaction) -> Result<Self> {
        let known: Vec<_> = Migrator::migrations().iter().map(|change| change.name().to_owned()).collect();
        let manager = SchemaManager::new(transaction);
        if !manager.has_table("seaql_migrations").await? {
            return Ok(Self::Older(known.len()));
        }
        let applied = Migrator::get_migration_models(transaction).await?;
        let missing = known.iter().filter(|name| !applied.iter().any(|change| change.version == **name)).count();
        let newer = applied.into_iter().find(|change| !known.contains(&change.version));
        Ok(match newer {
            Some(change) => Self::Newer(change.version),
            None if missing > 0 => Self::Older(missing),
            None => Self::Current,
        })
    }

    /// Looks at the database.
    ///
    /// # Errors
    /// Those of the database.
    #[postern_domain::boxed]
    pub async fn of(db: &Db) -> Result<Self> {
        let transaction = db.begin().await?;
        let shape = Self::within(&transaction).await?;
        transaction.rollback().await?;
        Ok(shape)
    }

    fn refuse_newer(&self) -> Result<()> {
        match self {
            Self::Newer(change) => Err(Error::internal(format!(
                "the database was made by a newer version of Postern (it knows the change {change}); start that version instead"
            ))),
            _ => Ok(()),
        }
    }
}

/// Brings the database to the shape of this version, seeds it, and makes a project what the config file says; one process at
/// a time.
///
/// # Errors
/// Those of the database; a clock that is far from its, a database of a newer version, or a config file that is wrong, before
/// anything is changed.
#[postern_domain::boxed]
pub async fn migrate_and_seed(deps: &Deps, settings: &Settings) -> Result<Seeded> {
    let config = settings.config_file.as_deref().map(config_file::read).transpose().map_err(Error::internal)?;
    refuse_wrong_clock(deps).await?;
    // All changes in one transaction: a start that is cut off leaves the database as it was. On PostgreSQL the lock in it
    // keeps a second process waiting (a session's lock would not survive a transaction pooler); on SQLite the transaction
    // itself does.
    let transaction = deps.db.begin().await?;
    if deps.db.backend() == Backend::Postgres {
        // However long the other one takes, and whoever uses the tables.
        let wait = format!("SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
        transaction.execute_unprepared(&wait).await?;
    }
    Shape::within(&transaction).await?.refuse_newer()?;
    Migrator::up(&transaction, None).await?;
    transaction.commit().await?;
    let seed = Seed { internal_keys: settings.internal_keys.as_ref().map(InternalKeys::expose), config };
    match (projects::seed(deps, &seed).await, &settings.config_file) {
        (Ok(seeded), _) => {
            if let Some(applied) = &seeded.applied {
                tracing::info!("{}", config_file::outcome(applied));
            }
            Ok(seeded)
        }
        (Err(Error::Refused(failure)), Some(path)) => {
            Err(Error::internal(format!("{}: {}", path.display(), failure.message)))
        }
        (Err(error), _) => Err(error),
    }
}

/// Waits until `postern migrate` or `postern serve` has brought the database to the shape of this version and seeded it.
///
/// # Errors
/// Those of the database that waiting does not mend; a database of a newer version.
pub(super) async fn wait_until_migrated(deps: &Deps, readiness: &Readiness) -> Result<()> {
    loop {
        match look(deps).await {
            Ok(None) => return Ok(()),
            Ok(Some(why)) => readiness.waiting(why),
            Err(error) if may_come_back(&error) => readiness.waiting(format!("the database is away: {error}")),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What is still missing.
async fn look(deps: &Deps) -> Result<Option<String>> {
    let shape = Shape::of(&deps.db).await?;
    shape.refuse_newer()?;
    if let Shape::Older(changes) = shape {
        return Ok(Some(format!("{changes} changes of the database are to be applied: run `postern migrate`")));
    }
    if !projects::is_seeded(deps).await? {
        return Ok(Some("the database is not seeded yet: run `postern migrate`".to_owned()));
    }
    Ok(None)
}

/// Connects by `connect`, waiting for a database that may come back.
///
/// # Errors
/// Those that waiting does not mend: a wrong password, a database that does not exist.
pub(super) async fn wait_until_connected<F>(readiness: &Readiness, connect: impl Fn() -> F) -> Result<Deps>
where
    F: Future<Output = Result<Deps>>,
{
    loop {
        match connect().await {
            Err(error) if may_come_back(&error) => readiness.waiting(format!("the database is away: {error}")),
            other => return other,
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Refuses a clock that is far from the database's: tokens would be too old or too young, and codes outlive their time.
///
/// # Errors
/// Those of the database; a difference of more than [`MAX_CLOCK_DIFFERENCE_MILLIS`].
pub(super) async fn refuse_wrong_clock(deps: &Deps) -> Result<()> {
    match deps.clock_difference().await? {
        Some(millis) if millis.abs() > MAX_CLOCK_DIFFERENCE_MILLIS => Err(Error::internal(clock_complaint(millis))),
        _ => Ok(()),
    }
}

/// Words for a clock that is wrong.
pub(crate) fn clock_complaint(millis: i64) -> String {
    let (seconds, way) = (millis.abs() / 1000, if millis > 0 { "ahead of" } else { "behind" });
    format!("the clock of this machine is {seconds} s {way} the database's; set both by the same time server")
}
