//! Connecting, and telling apart why it failed.

use std::time::Duration;

use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    RuntimeErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx::{
        self,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};
use tracing::Instrument;

use super::{
    Backend, Db, Reader,
    refusal::{LOCK_TIMED_OUT, sqlstate},
};
use crate::{
    error::{Error, Result},
    running_time::within,
    signal::Signals,
};

/// How long SQLite waits for another process that holds the write lock.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// What SQLite answers when that was not long enough (sqlite.org/rescode.html).
const SQLITE_BUSY: &str = "5";
/// How long anybody waits for a connection, or for what is done for several at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// A connection that lay idle for longer is tried before it is used: the server may be gone since. Trying each one every time
/// would cost as much as most queries.
const TRIED_AFTER_IDLE: Duration = Duration::from_secs(1);

/// The PostgreSQL setting for how long a transaction may lie open without a word. A process that stands still, or whose machine
/// has gone without a goodbye, keeps its locks as long, and everybody who wants them waits with a connection each.
/// Shorter than the leases on jobs; no transaction here waits for anything but the database.
const IDLE_TRANSACTION: (&str, &str) = ("idle_in_transaction_session_timeout", "8s");
/// The one for how long anybody waits for a lock; [`Db::write`] runs the operation again then. Shorter than the other one: of
/// the transactions of a process that stands still, one holds what the others wait for, and each would get it in turn and keep
/// it for as long. This way all of them have given up when the first one ends.
const LOCK_WAIT: (&str, &str) = ("lock_timeout", "5s");

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

/// Work that others wait behind, given up after `patience`: a connection may be dead without a word. Nobody knows then whether
/// the work was done.
///
/// # Errors
/// Those of the work; that the database is out of reach.
pub(crate) async fn patiently<T>(patience: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let done = within(patience, work).await;
    done.unwrap_or_else(|| Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout).into()))
}

/// Begins a transaction that writes. Through a pooler it may get a connection that others have had before: it has statements
/// under the names that ours get, and lacks our settings.
///
/// Goes on in a task of its own when the caller goes away. The driver (sqlx 0.9) does not undo a `BEGIN` that was abandoned before
/// it was answered: the connection would go back to the pool within a transaction, and what the next one adds there without one
/// of its own would be acknowledged and never committed.
pub(super) async fn begin(pool: &DatabaseConnection, pooled: bool) -> std::result::Result<DatabaseTransaction, DbErr> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { begin_here(&pool, pooled).await }.in_current_span()).await;
    begun.unwrap_or_else(|error| Err(DbErr::Custom(format!("a transaction was not begun: {error}"))))
}

/// The same for a task that goes on to its end whatever becomes of its caller.
pub(super) async fn begin_here(
    pool: &DatabaseConnection,
    pooled: bool,
) -> std::result::Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = pool.begin_with_options(options).await?;
    if pooled {
        let settings = [IDLE_TRANSACTION, LOCK_WAIT].map(|(name, value)| format!("; SET LOCAL {name} = '{value}'"));
        transaction.execute_unprepared(&format!("DEALLOCATE ALL{}", settings.concat())).await?;
    }
    Ok(transaction)
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
                    postgres.options(BY_INDEX).options([IDLE_TRANSACTION, LOCK_WAIT])
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
    // What a savepoint may have to take back is kept in memory: beyond 64 KB, which a group of operations soon has, SQLite would
    // write it to a file of its own, a page at a time, as long as everybody waits for the one writer.
    writer.map_sqlx_sqlite_opts(move |sqlite| pragmas(sqlite).pragma("temp_store", "memory"));
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
        .acquire_timeout(PATIENCE)
        .test_before_acquire_if_idle_for(TRIED_AFTER_IDLE)
        .sqlx_logging(false);
    options
}

/// PgBouncer tells whatever goes wrong in it or behind it as a breach of the protocol (SQLSTATE 08P01), in words only:
/// that the server is away, which passes, and that it does not know us, which does not.
fn refused_behind_pooler(text: &str) -> bool {
    const REFUSALS: [&str; 6] = [
        "authentication failed",
        "no such user",
        "no such database",
        "login rejected",
        "does not exist",
        "no pg_hba.conf entry",
    ];
    REFUSALS.iter().any(|refusal| text.contains(refusal))
}

/// Whether the database may be there later, as it is: it does not answer, is starting or stopping (SQLSTATE class 57P), has
/// no connection left (53300), has given up a transaction that said nothing for too long (25P03), somebody holds a lock for
/// longer than anybody waits (55P03), or another process keeps SQLite's file to itself. A wrong password or name is not among
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
            Some("08P01") => !refused_behind_pooler(&error.to_string()),
            Some(state) => {
                state.starts_with("57P")
                    || state.starts_with("08")
                    || ["53300", "25P03", LOCK_TIMED_OUT, SQLITE_BUSY].contains(&state)
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

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

    use futures::future::join_all;
    use sea_orm::ConnectionTrait;

    use super::{Address, may_come_back, refused_behind_pooler};
    use crate::{
        db::{Backend, Db, statement},
        error::Error,
        signal::Signals,
        testing::{TestBench, TestDatabase},
    };

    #[test]
    fn a_pooler_that_is_refused_is_told_from_one_whose_server_is_away() {
        assert!(refused_behind_pooler(
            "server login failed: FATAL: password authentication failed for user \"postern\""
        ));
        assert!(refused_behind_pooler("no such database: postern"));
        assert!(refused_behind_pooler("server login failed: FATAL: database \"postern\" does not exist"));
        assert!(!refused_behind_pooler("server login failed: FATAL: the database system is starting up"));
        assert!(!refused_behind_pooler("server conn crashed?"));
        assert!(!refused_behind_pooler("query_wait_timeout"));
    }

    /// Waits until so many wait for a lock.
    async fn until_waiting(db: &Db, count: i64) {
        let sql = "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock'";
        loop {
            let row = db.reader.query_one_raw(statement(&db.reader, sql, [])).await.unwrap().unwrap();
            if row.try_get::<i64>("", "count").unwrap() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Only where others can wait: SQLite's file belongs to one process, which stands still as a whole.
    #[tokio::test]
    async fn whoever_falls_silent_within_a_transaction_holds_the_others_up_for_seconds_only() {
        for database in TestDatabase::each().await {
            let bench = TestBench::on(&database).await;
            if bench.deps.db.backend() != Backend::Postgres {
                continue;
            }
            let project_id = bench.insert_project().await;
            let rename = |name: &str| {
                let values = [name.into(), project_id.as_str().into()];
                statement(&bench.deps.db.writer, "UPDATE project SET display_name = $1 WHERE id = $2", values)
            };
            for pooled in [false, true] {
                let address = Address { pooled, ..Address::direct(database.url(), 10) };
                let db = Db::connect(address, Signals::default()).await.unwrap();
                let silent = db.begin().await.unwrap();
                silent.execute_raw(rename("held")).await.unwrap();
                // Others of the same process want the row too, and would have it one after the other, as silent.
                let behind = async || {
                    let transaction = db.begin().await.unwrap();
                    transaction.execute_raw(rename("behind")).await.unwrap();
                };
                let mut behind = pin!(join_all((0..9).map(|_| behind())));
                tokio::select! {
                    _ = &mut behind => unreachable!("the row is held"),
                    () = until_waiting(&bench.deps.db, 9) => {}
                }

                let waiting = bench.deps.db.write(|tx| {
                    let rename = rename("mine");
                    async move { Ok(tx.execute_raw(rename).await?.rows_affected()) }
                });
                assert_eq!(tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap().unwrap(), 1);
                let error = silent.execute_raw(rename("too late")).await.unwrap_err();
                assert!(may_come_back(&Error::Database(error)));
            }
        }
    }

    /// Requests are cut off, and peers hang up, at any step of what they wait for.
    #[tokio::test]
    async fn whoever_goes_away_while_a_transaction_begins_leaves_no_connection_within_it() {
        for database in TestDatabase::each().await {
            let bench = TestBench::on(&database).await;
            if bench.deps.db.backend() != Backend::Postgres {
                continue;
            }
            let db = Db::connect(Address::direct(database.url(), 1), Signals::default()).await.unwrap();
            // Within a transaction it stands still.
            let instant = async || {
                let sql = "SELECT extract(epoch from now())::text AS now";
                let row = db.reader.query_one_raw(statement(&db.reader, sql, [])).await.unwrap().unwrap();
                row.try_get::<String>("", "now").unwrap()
            };
            for step in 0..40 {
                let mut nothing = Box::pin(db.write(|_| async { Ok(()) }));
                let mut left = step;
                poll_fn(|context| match nothing.as_mut().poll(context) {
                    Poll::Pending if left > 0 => {
                        left -= 1;
                        Poll::Pending
                    }
                    _ => Poll::Ready(()),
                })
                .await;
                drop(nothing);
                assert_ne!(instant().await, instant().await, "abandoned when it waited for the {step}th time");
            }
        }
    }
}
