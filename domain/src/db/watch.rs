//! What a database is asked to do, for tests of what operations cost. Compiled for tests and with the feature `testing` only.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use sea_orm::DatabaseConnection;

/// Counts what one [`Db`](super::Db) and the clones made of it do, from [`Db::watch`](super::Db::watch) on.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Watched>);

#[derive(Debug, Default)]
struct Watched {
    commits: AtomicUsize,
    statements: Mutex<Vec<String>>,
}

impl Watch {
    /// Operations that were committed.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.0.commits.load(Ordering::Relaxed)
    }

    /// The text of the statements since the last call, without those that begin and end transactions.
    #[must_use]
    pub fn take_statements(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.statements.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn committed(&self) {
        self.0.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn attach(&self, connection: &mut DatabaseConnection) {
        let watched = Arc::clone(&self.0);
        connection.set_metric_callback(move |asked| {
            let mut statements = watched.statements.lock().unwrap_or_else(PoisonError::into_inner);
            statements.push(asked.statement.sql.clone());
        });
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use crate::{Error, testing::on_each_database};

    #[tokio::test]
    async fn statements_in_and_out_of_transactions_count_and_commits_that_happened() {
        on_each_database(|mut bench| async move {
            let db = &mut bench.deps.db;
            db.read().query_one_raw(crate::db::statement(db.read(), "SELECT 1", [])).await.unwrap();
            let watch = db.watch();
            let db = db.clone();
            db.read().query_one_raw(crate::db::statement(db.read(), "SELECT 2", [])).await.unwrap();
            let select = async |tx: crate::db::Tx| {
                tx.query_one_raw(crate::db::statement(&*tx, "SELECT 3", [])).await?;
                Ok(())
            };
            db.write(select).await.unwrap();
            assert_eq!(watch.take_statements(), ["SELECT 2", "SELECT 3"]);
            assert_eq!(watch.commits(), 1);
            let failed = db.write(async |_| Err::<(), _>(Error::internal("no"))).await;
            assert!(failed.is_err());
            assert_eq!(watch.commits(), 1);
            assert!(watch.take_statements().is_empty());
        })
        .await;
    }
}
