//! The database: one pool to read, [`Db::write`] as the only way to change anything, on SQLite and PostgreSQL alike.
//!
//! - SQLite: one writer connection, `BEGIN IMMEDIATE`, write-ahead log, durable commits, which operations that wait for the
//!   writer share (`group.rs`).
//! - PostgreSQL: a pool; operations lock rows in key order, and one that lost a deadlock or a serialisation race, or waited
//!   too long, is run again.
//!
//! What must be told to others once a change is durable (wake-ups, published events) is collected in the [`Tx`] and sent
//! after the commit. No network call belongs inside an operation.

mod connect;
mod group;
mod kept;
mod lookup;
mod operation;
mod prune;
mod reader;
mod refusal;
mod rows;

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use postern_entity::ProjectId;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Statement,
    sea_query::{Expr, Query, SelectStatement},
};

use connect::begin;
pub use connect::{Address, may_come_back};
pub(crate) use connect::{PATIENCE, patiently};
use group::{Groups, Turn, to_its_end};
pub(crate) use kept::{KeptLookup, KeptQuery, constant};
pub(crate) use lookup::{Fetched, Lookup, padded};
pub(crate) use operation::{AsText, Operation, Outcome};
pub(crate) use prune::{PRUNE_BATCH, prune};
pub use reader::Reader;
use refusal::lost_race;
pub use refusal::violates_unique;
pub(crate) use refusal::{Held, is_refused};
use rows::Additions;
pub(crate) use rows::NewRows;

use crate::{
    error::{Error, Result},
    signal::{Raised, Signal, Signals},
    waiting::Waiting,
};

#[cfg(any(test, feature = "testing"))]
mod watch;
#[cfg(any(test, feature = "testing"))]
pub use watch::Watch;

/// How often an operation that another one was in the way of (SQLSTATE 40001, 40P01, 55P03) is run before its error is shown.
const MAX_WRITE_TRIES: u32 = 10;

/// Which database this is, for the few statements that must differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One file, one process.
    Sqlite,
    /// A server, any number of processes.
    Postgres,
}

/// Connections to the database of the installation.
#[derive(Clone, Debug)]
pub struct Db {
    backend: Backend,
    reader: Reader,
    writer: DatabaseConnection,
    /// The commits that operations share; on SQLite.
    groups: Groups,
    /// The additions that share statements.
    additions: Arc<OnceLock<Additions>>,
    signals: Signals,
    waiting: Arc<AtomicUsize>,
    #[cfg(any(test, feature = "testing"))]
    watch: Option<Watch>,
}

/// How busy a pool of connections is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLoad {
    /// `reader` and `writer` on SQLite, `shared` on PostgreSQL.
    pub pool: &'static str,
    /// Connections that stand.
    pub size: usize,
    /// Of those, the ones nobody uses.
    pub idle: usize,
    /// How many there may be.
    pub max: usize,
}

impl Db {
    fn over(backend: Backend, reader: Reader, writer: DatabaseConnection, signals: Signals) -> Self {
        Self {
            backend,
            reader,
            groups: Groups::new(signals.clone()),
            writer,
            additions: Arc::default(),
            signals,
            waiting: Arc::default(),
            #[cfg(any(test, feature = "testing"))]
            watch: None,
        }
    }

    /// Counts from now on what this database does, and what clones made of it from now on do.
    #[cfg(any(test, feature = "testing"))]
    pub fn watch(&mut self) -> Watch {
        let watch = Watch::default();
        watch.attach(&mut self.reader.pool);
        watch.attach(&mut self.writer);
        self.watch = Some(watch.clone());
        watch
    }

    /// Which database this is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Where to read from. Writing through it fails on SQLite.
    #[must_use]
    pub fn read(&self) -> &Reader {
        &self.reader
    }

    /// A bare transaction, for what changes the tables themselves. Everything else writes through [`Db::write`].
    ///
    /// # Errors
    /// Those of the database.
    #[crate::boxed]
    pub async fn begin(&self) -> Result<DatabaseTransaction> {
        Ok(begin(&self.writer, self.reader.pooled).await?)
    }

    /// Ends all connections; whoever still uses them gets errors.
    ///
    /// # Errors
    /// Those of the database.
    #[crate::boxed]
    pub async fn close(&self) -> Result<()> {
        self.reader.pool.close_by_ref().await?;
        Ok(self.writer.close_by_ref().await?)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Those of the database.
    #[crate::boxed]
    pub async fn ping(&self) -> Result<()> {
        Ok(self.reader.pool.ping().await?)
    }

    /// The clock of PostgreSQL, in milliseconds since the epoch.
    ///
    /// # Errors
    /// Those of the database; SQLite, which has none of its own.
    pub(crate) async fn clock_millis(&self) -> Result<i64> {
        let sql = "SELECT (floor(extract(epoch from clock_timestamp()) * 1000))::bigint AS now";
        let row = self.reader.query_one_raw(statement(&self.reader, sql, [])).await?;
        let row = row.ok_or_else(|| Error::internal("the database tells no time"))?;
        Ok(row.try_get("", "now")?)
    }

    /// How busy the pools are at this moment.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolLoad> {
        let count = |connections: u32| usize::try_from(connections).unwrap_or(usize::MAX);
        match self.backend {
            Backend::Sqlite => {
                let load = |name, connection: &DatabaseConnection| {
                    let pool = connection.get_sqlite_connection_pool();
                    let max = count(pool.options().get_max_connections());
                    PoolLoad { pool: name, size: count(pool.size()), idle: pool.num_idle(), max }
                };
                vec![load("reader", &self.reader.pool), load("writer", &self.writer)]
            }
            Backend::Postgres => {
                let pool = self.writer.get_postgres_connection_pool();
                let max = count(pool.options().get_max_connections());
                vec![PoolLoad { pool: "shared", size: count(pool.size()), idle: pool.num_idle(), max }]
            }
        }
    }

    /// How many operations wait for their transaction to begin at this moment.
    #[must_use]
    pub fn waiting_transactions(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Where commits are told, and where to listen for them.
    #[must_use]
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// [`Db::write`] of what leaves its outcome elsewhere.
    #[crate::boxed]
    pub(crate) async fn run<'a>(&self, operation: &mut Operation<'a>) -> Result<()> {
        let mut tries = 1;
        loop {
            match self.run_once(operation).await {
                Err(Error::Database(error)) if lost_race(&error) && tries < MAX_WRITE_TRIES => {
                    tracing::debug!(tries, "a transaction lost a race and is run again");
                    // A jittered pause lets the winner finish; without it two losers can meet again at once.
                    tokio::time::sleep(Duration::from_millis(rand::random_range(1..=u64::from(tries) * 8))).await;
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    async fn run_once<'a>(&self, operation: &mut Operation<'a>) -> Result<()> {
        let (started, waiting) = (Instant::now(), Waiting::new(&self.waiting));
        let (transaction, turn) = match self.backend {
            Backend::Sqlite => {
                self.groups.turn(&self.writer).await.map(|(transaction, turn)| (transaction, Some(turn)))?
            }
            Backend::Postgres => (begin(&self.writer, self.reader.pooled).await?, None),
        };
        drop(waiting);
        metrics::histogram!("postern_database_begin_seconds").record(started.elapsed());
        let transaction = Arc::new(transaction);
        let raised = Arc::new(Mutex::new(Raised::default()));
        let tx = Tx { transaction: Arc::clone(&transaction), raised: Arc::clone(&raised), backend: self.backend };
        let outcome = operation(tx).await;
        let transaction =
            Arc::into_inner(transaction).ok_or_else(|| Error::internal("an operation kept its transaction"))?;
        let signals = std::mem::take(&mut *raised.lock().unwrap_or_else(PoisonError::into_inner));
        let settled = match (&outcome, turn) {
            (Ok(_), turn) => to_its_end(make_durable(self.signals.clone(), transaction, turn, signals)).await,
            (Err(_), Some(turn)) => to_its_end(turn.give_up(transaction)).await,
            (Err(_), None) => transaction.rollback().await.map_err(Error::from),
        };
        settled?;
        #[cfg(any(test, feature = "testing"))]
        if let (Ok(_), Some(watch)) = (&outcome, &self.watch) {
            watch.committed();
        }
        outcome
    }
}

/// Commits, and tells then what is to be told: also when the caller goes away in the middle, so that others hear of it.
async fn make_durable(
    told: Signals,
    transaction: DatabaseTransaction,
    turn: Option<Turn>,
    signals: Raised,
) -> Result<()> {
    let Some(turn) = turn else {
        transaction.commit().await?;
        told.send_all(signals);
        return Ok(());
    };
    let durable = turn.finish(transaction, signals).await?;
    let outcome = durable.await.map_err(|_| Error::internal("a group ended without an outcome"))?;
    outcome.map_err(Error::Shared)
}

/// A running transaction. Use it (`&*tx`) wherever a connection is wanted; raise what must be told after the commit.
/// Handed to the operation by value: its end is the end of the operation.
#[derive(Debug)]
pub struct Tx {
    transaction: Arc<DatabaseTransaction>,
    raised: Arc<Mutex<Raised>>,
    backend: Backend,
}

impl Tx {
    /// Tells `signal` to everybody who listens, once the transaction has committed. The same signal is told once.
    pub fn raise(&self, signal: Signal) {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).raise(signal);
    }

    fn raise_all(&self, signals: &Raised) {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).extend([signals]);
    }

    /// Which database this is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The same transaction once more, for an operation that runs another one inside itself. Must end before the
    /// operation does.
    pub(crate) fn share(&self) -> Self {
        Self { transaction: Arc::clone(&self.transaction), raised: Arc::clone(&self.raised), backend: self.backend }
    }
}

impl Deref for Tx {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &Self::Target {
        &self.transaction
    }
}

/// Whether `select` finds `many` rows or more; it looks for no more than that.
///
/// # Errors
/// Those of the database.
pub(crate) async fn finds_at_least(
    connection: &impl ConnectionTrait,
    select: SelectStatement,
    many: u64,
) -> Result<bool> {
    let some = Query::select().expr_as(Expr::val(1), "one").from_subquery(select, "found").limit(many).to_owned();
    let counted = Query::select().expr_as(Expr::cust("COUNT(*)"), "count").from_subquery(some, "some").to_owned();
    let row = connection.query_one(&counted).await?;
    let count: i64 = row.map(|row| row.try_get("", "count")).transpose()?.unwrap_or_default();
    Ok(u64::try_from(count).unwrap_or_default() >= many)
}

/// The text of `statement` as the backend of `connection` wants its placeholders: written with `$1`, which both know.
#[must_use]
pub fn statement<C: ConnectionTrait>(
    connection: &C,
    sql: &str,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), sql, values)
}

/// The condition that rows belong to the project, for statements that find rows by a key: it never decides by which index
/// they are found. SQLite keeps no statistics, takes an index on the project for about as good as one on the key, and would
/// walk all rows of a large project; PostgreSQL knows better and gets the plain condition.
pub(crate) fn beside_key<C, T>(connection: &C, project_column: T, project_id: &ProjectId) -> Expr
where
    C: ConnectionTrait,
    T: ColumnTrait,
{
    if connection.get_database_backend() != DbBackend::Sqlite {
        return project_column.eq(project_id.clone());
    }
    // The unary plus is SQLite's way to keep a term from an index (sqlite.org/optoverview.html, "disqualifying").
    let (table, column) = (project_column.entity_name().to_string(), project_column.as_str());
    Expr::cust_with_values(format!(r#"+"{table}"."{column}" = ?"#), [project_id.as_str()])
}

impl From<DbBackend> for Backend {
    fn from(backend: DbBackend) -> Self {
        if backend == DbBackend::Postgres { Self::Postgres } else { Self::Sqlite }
    }
}
