//! Connecting, and telling apart why it failed.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DbErr, RuntimeErr,
    sqlx::{
        self,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};

use super::{Backend, Db, Reader, refusal::sqlstate};
use crate::{
    error::{Error, Result},
    signal::Signals,
};

/// How long SQLite waits for another process that holds the write lock.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// What SQLite answers when that was not long enough (sqlite.org/rescode.html).
const SQLITE_BUSY: &str = "5";
/// How long anybody waits for a connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that lay idle for longer is tried before it is used: the server may be gone since. Trying each one every time
/// would cost as much as most queries.
const TRIED_AFTER_IDLE: Duration = Duration::from_secs(1);

/// Plans by index from the first row on. PostgreSQL keeps the plan of a prepared statement until the next ANALYZE: one that
/// was made while a table had a page walks it in every run, and does so still when it has a hundred thousand rows, so that
/// an installation that grows fast would stand still for up to a minute. Every join and condition has an index to go by;
/// where none helps, the planner walks all the same.
const BY_INDEX: [(&str, &str); 4] =
    [("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off"), ("enable_material", "off")];

/// How to reach the database.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// `sqlite://path` (the file is made when missing) or `postgres://…`.
    pub url: &'a str,
    /// The most connections of each pool.
    pub max_connections: u32,
    /// Whether a transaction pooler stands in between.
    pub pooled: bool,
}

impl<'a> Address<'a> {
    /// Straight to the database, with at most `max_connections` connections.
    #[must_use]
    pub fn direct(url: &'a str, max_connections: u32) -> Self {
        Self { url, max_connections, pooled: false }
    }
}

impl Db {
    /// Connects.
    ///
    /// # Errors
    /// When the URL has another scheme or the database cannot be reached; see [`may_come_back`].
    pub async fn connect(address: Address<'_>, signals: Signals) -> Result<Self> {
        let url = address.url;
        if url.starts_with("sqlite:") {
            connect_sqlite(url, address.max_connections, signals).await
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let pooled = address.pooled;
            let mut options = options(url, address.max_connections);
            options.map_sqlx_postgres_opts(move |postgres| {
                if pooled {
                    // PgBouncer refuses parameters it does not know, and keeps no prepared statements for us.
                    postgres.extra_float_digits(None::<i8>).statement_cache_capacity(0)
                } else {
                    postgres.options(BY_INDEX)
                }
            });
            let pool = Database::connect(options).await?;
            let reader = Reader { pool: pool.clone(), pooled };
            Ok(Self::over(Backend::Postgres, reader, pool, signals))
        } else {
            Err(Error::internal("the database URL must begin with sqlite:// or postgres://"))
        }
    }
}

async fn connect_sqlite(url: &str, max_connections: u32, signals: Signals) -> Result<Db> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    if path.is_empty() || path.starts_with(":memory:") {
        return Err(Error::internal("an SQLite database needs a file: sqlite://path/to/file.db"));
    }
    if let Some(parent) = std::path::Path::new(path.split('?').next().unwrap_or(path)).parent() {
        tokio::fs::create_dir_all(parent).await.map_err(Error::internal)?;
    }
    let url = if path.contains('?') { url.to_owned() } else { format!("sqlite://{path}?mode=rwc") };
    let pragmas = |sqlite: sqlx::sqlite::SqliteConnectOptions| {
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(SQLITE_BUSY_TIMEOUT)
    };
    let mut writer = options(&url, 1);
    writer.map_sqlx_sqlite_opts(pragmas);
    let writer = Database::connect(writer).await?;
    let mut reader = options(&url, max_connections);
    reader.map_sqlx_sqlite_opts(move |sqlite| pragmas(sqlite).pragma("query_only", "on"));
    let reader = Reader { pool: Database::connect(reader).await?, pooled: false };
    Ok(Db::over(Backend::Sqlite, reader, writer, signals))
}

fn options(url: &str, max_connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(max_connections)
        .min_connections(0)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire_if_idle_for(TRIED_AFTER_IDLE)
        .sqlx_logging(false);
    options
}

/// Whether the database may be there later, as it is: it does not answer, is starting or stopping (SQLSTATE class 57P), has
/// no connection left (53300), or another process keeps SQLite's file to itself. A wrong password or name is not among
/// these.
#[must_use]
pub fn may_come_back(error: &Error) -> bool {
    let error = match error {
        Error::Database(error) => error,
        Error::Shared(error) => return may_come_back(error),
        _ => return false,
    };
    match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(RuntimeErr::SqlxError(sqlx))
        | DbErr::Exec(RuntimeErr::SqlxError(sqlx))
        | DbErr::Query(RuntimeErr::SqlxError(sqlx)) => match sqlstate(error).as_deref() {
            Some(state) => {
                state.starts_with("57P") || state.starts_with("08") || ["53300", SQLITE_BUSY].contains(&state)
            }
            None => matches!(
                **sqlx,
                sqlx::Error::Io(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed
                    | sqlx::Error::Protocol(_)
            ),
        },
        _ => false,
    }
}
