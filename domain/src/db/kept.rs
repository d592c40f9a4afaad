//! The texts of statements: what is built once, and what stands in a text instead of being bound to it.

use std::sync::OnceLock;

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value, sea_query::Expr};

/// A query that every request makes: its text is built once, because building it anew costs more than running it.
pub(crate) struct KeptQuery {
    sqlite: OnceLock<Statement>,
    postgres: OnceLock<Statement>,
}

impl KeptQuery {
    /// Not built yet.
    pub(crate) const fn new() -> Self {
        Self { sqlite: OnceLock::new(), postgres: OnceLock::new() }
    }

    /// The statement that `build` makes, with `last` in place of the last values of the one it made first. So whatever comes
    /// before them must be the same each time.
    pub(crate) fn with<C: ConnectionTrait>(
        &self,
        connection: &C,
        last: impl IntoIterator<Item = Value, IntoIter: ExactSizeIterator>,
        build: impl Fn(DbBackend) -> Statement,
    ) -> Statement {
        let backend = connection.get_database_backend();
        let kept = if backend == DbBackend::Sqlite { &self.sqlite } else { &self.postgres };
        let mut statement = kept.get_or_init(|| build(backend)).clone();
        let last = last.into_iter();
        if let Some(values) = &mut statement.values {
            values.0.truncate(values.0.len().saturating_sub(last.len()));
            values.0.extend(last);
        }
        // One caller's values must never stand in for another's; every test looks.
        debug_assert_eq!(statement, build(backend), "a kept query differs from the one that was meant");
        statement
    }
}

/// Queries for rows by some key: one for each number of keys, which is a power of two up to 64 ([`super::Lookup`]).
pub(crate) struct KeptLookup([KeptQuery; 7]);

impl KeptLookup {
    /// Not built yet.
    pub(crate) const fn new() -> Self {
        Self([const { KeptQuery::new() }; 7])
    }

    /// The statement that `build` makes, whose only values are `keys`.
    pub(crate) fn with<C, K>(&self, connection: &C, keys: &[K], build: impl Fn(DbBackend) -> Statement) -> Statement
    where
        C: ConnectionTrait,
        K: Clone + Into<Value>,
    {
        debug_assert!(keys.len().is_power_of_two(), "{} keys", keys.len());
        match self.0.get(keys.len().trailing_zeros() as usize) {
            Some(kept) => kept.with(connection, keys.iter().cloned().map(Into::into), build),
            None => build(connection.get_database_backend()),
        }
    }
}

/// A value that stands in the text of a statement. For what partial indexes are declared with: SQLite plans a statement anew
/// each time such a value is bound, and PostgreSQL cannot keep a plan that uses the index.
pub(crate) fn constant(value: impl Into<Value>) -> Expr {
    Expr::Constant(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::on_each_database;

    #[tokio::test]
    async fn a_kept_query_gets_its_values_anew_each_time() {
        static ANSWER: KeptQuery = KeptQuery::new();
        on_each_database(|bench| async move {
            let connection = bench.deps.db.read();
            for (left, right) in [(1_i64, 2_i64), (30, 4)] {
                let query = ANSWER.with(connection, [left.into(), right.into()], |backend| {
                    let sql = "SELECT CAST($1 AS bigint) * 100 + CAST($2 AS bigint) * 10 + CAST($3 AS bigint) AS sum";
                    Statement::from_sql_and_values(backend, sql, [5_i64.into(), left.into(), right.into()])
                });
                let sum: i64 = connection.query_one_raw(query).await.unwrap().unwrap().try_get("", "sum").unwrap();
                assert_eq!(sum, 500 + left * 10 + right);
            }
        })
        .await;
    }
}
