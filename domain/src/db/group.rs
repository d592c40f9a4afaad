//! Sharing commits on SQLite. A durable commit waits for the disk, and there is one writer: one commit for each change would
//! leave most of the time to waiting. So whoever waits for the writer when a change is done adds its own to the same
//! transaction, in a savepoint, and one commit makes all of them durable. Nobody is answered before that.
//!
//! PostgreSQL does the same by itself, for transactions that run beside each other.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{ConnAcquireErr, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, TransactionTrait, sqlx};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, oneshot},
    time::timeout,
};

use super::connect::{PATIENCE, begin_here};
use crate::{
    error::{Error, Result},
    signal::{Raised, Signals},
};

/// A group that is as old takes nobody in: what is done early would wait for too many others.
const MAX_AGE: Duration = Duration::from_millis(20);

/// The turns in which the writer is used, and the group that is open between two of them. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    signals: Signals,
    /// First come, first served.
    open: Arc<Mutex<Option<Group>>>,
}

/// Operations that are done and not yet durable, in one transaction.
#[derive(Debug)]
struct Group {
    transaction: DatabaseTransaction,
    began: Instant,
    members: Vec<oneshot::Sender<Outcome>>,
    signals: Raised,
}

/// What the members of a group are told.
type Outcome = std::result::Result<(), Arc<Error>>;
/// Resolves when an operation is durable.
pub(super) type Durable = Result<oneshot::Receiver<Outcome>>;

/// The writer in the hands of one operation. Dropped without a word, it passes on: what the operation did goes with its own
/// transaction, the others of the group stay.
pub(super) struct Turn {
    groups: Groups,
    open: OwnedMutexGuard<Option<Group>>,
}

impl Groups {
    pub(super) fn new(signals: Signals) -> Self {
        Self { signals, open: Arc::default() }
    }

    /// Waits for the writer. Answers the operation's own transaction: a savepoint where others are in the group already.
    pub(super) async fn turn(&self, writer: &DatabaseConnection) -> Result<(DatabaseTransaction, Turn)> {
        let open = timeout(PATIENCE, Arc::clone(&self.open).lock_owned()).await;
        let open = open.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        let (groups, writer) = (self.clone(), writer.clone());
        to_its_end(async move {
            let transaction = match &*open {
                Some(group) => group.transaction.begin().await?,
                None => begin_alone(&writer).await?,
            };
            Ok((transaction, Turn { groups, open }))
        })
        .await
    }

    /// Makes the open group durable, if there is one, tells what its operations raised, and answers them. Not left to an
    /// operation, since those may be abandoned by their callers.
    async fn commit(&self, mut open: OwnedMutexGuard<Option<Group>>) {
        let Some(group) = open.take() else { return };
        let committed = group.transaction.commit().await;
        if committed.is_ok() {
            self.signals.send_all(group.signals);
        }
        drop(open);
        answer(group.members, committed.map_err(|error| Arc::new(error.into())));
    }
}

impl Turn {
    /// The operation is done: answers what resolves when it is durable. To be run [`to_its_end`].
    pub(super) async fn finish(mut self, transaction: DatabaseTransaction, signals: Raised) -> Durable {
        let (member, durable) = oneshot::channel();
        let group = match &mut *self.open {
            Some(group) => {
                if let Err(error) = transaction.commit().await {
                    return Err(self.fail(error));
                }
                group
            }
            none => {
                // Whoever waits already has its turn before this, and comes along.
                let groups = self.groups.clone();
                tokio::spawn(async move { groups.commit(Arc::clone(&groups.open).lock_owned().await).await });
                none.insert(Group {
                    transaction,
                    began: Instant::now(),
                    members: Vec::new(),
                    signals: Raised::default(),
                })
            }
        };
        group.members.push(member);
        group.signals.extend([&signals]);
        if group.began.elapsed() >= MAX_AGE {
            self.groups.commit(self.open).await;
        }
        Ok(durable)
    }

    /// The operation failed: undoes what it did, and nothing else. To be run [`to_its_end`].
    pub(super) async fn give_up(mut self, transaction: DatabaseTransaction) -> Result<()> {
        // SQLite may have given up the whole transaction (sqlite.org/lang_transaction.html, section 3).
        transaction.rollback().await.map_err(|error| self.fail(error))
    }

    /// Ends the group, whose transaction is lost.
    fn fail(&mut self, error: DbErr) -> Error {
        let error = Arc::new(Error::from(error));
        if let Some(group) = self.open.take() {
            answer(group.members, Err(Arc::clone(&error)));
        }
        Error::Shared(error)
    }
}

/// Begins a transaction. A connection whose last one SQLite gave up by itself (a full disk, say) is still within it, if one
/// asks the driver, and goes. To be run [`to_its_end`].
async fn begin_alone(writer: &DatabaseConnection) -> Result<DatabaseTransaction> {
    match begin_here(writer, false).await {
        Err(error) if is_within_another(&error) => {
            tracing::warn!("SQLite has given up a transaction; its connection is replaced");
            let stuck = writer.get_sqlite_connection_pool().acquire().await.map_err(Error::internal)?;
            stuck.close().await.map_err(Error::internal)?;
            Ok(begin_here(writer, false).await?)
        }
        begun => Ok(begun?),
    }
}

/// Whether no transaction could begin because the driver thinks that there is one.
fn is_within_another(error: &DbErr) -> bool {
    matches!(error, DbErr::Query(RuntimeErr::SqlxError(error)) if matches!(**error, sqlx::Error::InvalidSavePointStatement))
}

/// Runs what begins or ends a transaction, also when its caller goes away. The driver undoes what was abandoned half-way by
/// rolling back once more, and that would be the group if it was a savepoint that had just ended.
pub(super) async fn to_its_end<T: Send + 'static>(step: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(step).await.map_err(Error::internal)?
}

fn answer(members: Vec<oneshot::Sender<Outcome>>, outcome: Outcome) {
    for member in members {
        // Whoever stopped waiting needs no answer.
        drop(member.send(outcome.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use sea_orm::ConnectionTrait;
    use tokio::{sync::Notify, task::yield_now};

    use super::*;
    use crate::{
        db::{Db, Tx, statement},
        signal::Signal,
        testing::on_each_database,
    };

    /// Writes a row of a table where it disturbs nobody.
    async fn insert(tx: &Tx, name: &str) -> Result<()> {
        let sql = "INSERT INTO event_consumer (name, position, updated_at) VALUES ($1, 0, 0)";
        tx.execute_raw(statement(&**tx, sql, [name.into()])).await?;
        Ok(())
    }

    async fn names(db: &Db) -> Vec<String> {
        let sql = "SELECT name FROM event_consumer ORDER BY name";
        let rows = db.read().query_all_raw(statement(db.read(), sql, [])).await.unwrap();
        rows.into_iter().map(|row| row.try_get("", "name").unwrap()).collect()
    }

    #[tokio::test]
    async fn whoever_is_answered_is_durable_and_whoever_failed_left_nothing() {
        on_each_database(|bench| async move {
            let (db, signals) = (&bench.deps.db, Mutex::new(bench.deps.db.signals().subscribe()));
            let (signals, told) = (&signals, AtomicUsize::new(0));
            let writes = (0..60).map(|number| {
                let told = &told;
                async move {
                    let outcome = db
                        .write(|tx| async move {
                            insert(&tx, &format!("{number:02}")).await?;
                            tx.raise(Signal::LogAdvanced { position: number });
                            if number % 3 == 0 { Err(Error::internal("no")) } else { Ok(()) }
                        })
                        .await;
                    let is_there = names(db).await.contains(&format!("{number:02}"));
                    assert_eq!((outcome.is_ok(), is_there), (number % 3 != 0, number % 3 != 0), "{number}");
                    let mut signals = signals.lock().await;
                    while signals.try_next().is_some() {
                        told.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            join_all(writes).await;
            assert_eq!((names(db).await.len(), told.into_inner()), (40, 40));
        })
        .await;
    }

    #[tokio::test]
    async fn whoever_waits_for_the_writer_joins_the_group_of_whoever_has_it() {
        on_each_database(|bench| async move {
            let db = &bench.deps.db;
            if db.backend() == crate::db::Backend::Postgres {
                return;
            }
            let (began, may_end) = (&Notify::new(), &Notify::new());
            let first = db.write(|tx| async move {
                insert(&tx, "first").await?;
                began.notify_one();
                may_end.notified().await;
                Ok(())
            });
            let second = async {
                began.notified().await;
                let second = db.write(|tx| async move {
                    insert(&tx, "second").await?;
                    // The first is done, since there is one writer, and not durable yet: nobody else sees it.
                    Ok(names(db).await)
                });
                let release = async {
                    while db.waiting_transactions() == 0 {
                        yield_now().await;
                    }
                    may_end.notify_one();
                };
                tokio::join!(second, release).0
            };
            let (first, seen_by_second) = tokio::join!(first, second);
            first.unwrap();
            assert_eq!(seen_by_second.unwrap(), [""; 0]);
            assert_eq!(names(db).await, ["first", "second"]);
        })
        .await;
    }

    #[tokio::test]
    async fn whoever_goes_away_takes_nobody_along() {
        on_each_database(|bench| async move {
            let db = &bench.deps.db;
            let tasks: Vec<_> = (0..300_u32)
                .map(|number| {
                    let db = db.clone();
                    let write = async move {
                        let name = &format!("{number:03}");
                        let write = db.write(|tx| async move {
                            insert(&tx, name).await?;
                            insert(&tx, &format!("{name} again")).await
                        });
                        write.await.map(|()| name.clone())
                    };
                    (number, tokio::spawn(write))
                })
                .collect();
            let mut kept = Vec::new();
            for (number, task) in tasks {
                // Two of three go away, each after another number of steps of the others.
                if number % 3 == 0 {
                    kept.push(task);
                } else {
                    for _ in 0..number % 7 {
                        yield_now().await;
                    }
                    task.abort();
                }
            }
            let answered: Vec<_> = join_all(kept).await.into_iter().map(|name| name.unwrap().unwrap()).collect();
            // After whatever was still under way.
            db.write(|tx| async move { insert(&tx, "last").await }).await.unwrap();
            let there = names(db).await;
            assert!(answered.iter().all(|name| there.contains(name)), "{answered:?} {there:?}");
            for name in there.iter().filter(|name| name.len() == 3) {
                assert!(there.contains(&format!("{name} again")), "half of {name} is there");
            }
            assert_eq!(answered.len(), 100);
        })
        .await;
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_gives_up_fails_its_group_and_nobody_else() {
        on_each_database(|bench| async move {
            let db = &bench.deps.db;
            if db.backend() == crate::db::Backend::Postgres {
                return;
            }
            let writes = (0..20).map(|number| {
                db.write(move |tx| async move {
                    insert(&tx, &format!("{number:02}")).await?;
                    if number == 10 {
                        // As SQLite does where the disk is full, and the operation does not notice.
                        tx.execute_unprepared("ROLLBACK").await?;
                    }
                    Ok(())
                })
            });
            let outcomes = join_all(writes).await;
            assert!(outcomes[10].is_err());
            let there = names(db).await;
            for (number, outcome) in outcomes.iter().enumerate() {
                assert_eq!(outcome.is_ok(), there.contains(&format!("{number:02}")), "{number}: {outcome:?}");
            }
            db.write(|tx| async move { insert(&tx, "later").await }).await.unwrap();
            assert!(names(db).await.contains(&"later".to_owned()));
        })
        .await;
    }
}
