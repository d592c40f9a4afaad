//! The clock of the queue. Several processes share one queue on PostgreSQL, so leases and due times are told by the
//! database there; one process owns an SQLite file, so its clock, the one handed in, is as good. It is read so that it is
//! never put back: else every waiting job would wait for that much longer.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, SimpleExpr},
};

use crate::{
    Deps, Result, Timestamp,
    db::{Backend, statement},
};

/// An SQL expression for the present instant in milliseconds. Stable within a statement, so that an index can be searched
/// by it.
pub(super) fn now(deps: &Deps) -> SimpleExpr {
    Expr::cust(now_sql(deps))
}

/// The same as text, to be put into a statement.
pub(crate) fn now_sql(deps: &Deps) -> String {
    match (deps.db.backend(), deps.clock.fixed()) {
        (Backend::Postgres, None) => "(floor(extract(epoch from statement_timestamp()) * 1000))::bigint".to_owned(),
        (_, Some(now)) => now.millis().to_string(),
        (Backend::Sqlite, None) => deps.clock.never_back().millis().to_string(),
    }
}

/// The present instant itself.
///
/// # Errors
/// Those of the database, which is asked on PostgreSQL.
pub(crate) async fn now_in(deps: &Deps, connection: &impl ConnectionTrait) -> Result<Timestamp> {
    if deps.db.backend() == Backend::Postgres && deps.clock.fixed().is_none() {
        let sql = format!("SELECT {} AS now", now_sql(deps));
        let row = connection.query_one_raw(statement(connection, &sql, [])).await?;
        if let Some(row) = row {
            return Ok(Timestamp(row.try_get("", "now")?));
        }
    }
    Ok(deps.clock.fixed().unwrap_or_else(|| deps.clock.never_back()))
}

/// Whole milliseconds, bounded so that sums with an instant cannot overflow.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 4)
}
