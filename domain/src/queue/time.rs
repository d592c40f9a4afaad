//! The clock of the queue. Several processes share one queue on PostgreSQL, so leases and due times are told by the
//! database there; one process owns an SQLite file, so its clock, the one handed in, is as good. It is read so that it is
//! never put back: else every waiting job would wait for that much longer.

use std::time::Duration;

use sea_orm::sea_query::{Expr, SimpleExpr};

use crate::{Deps, db::Backend};

/// An SQL expression for the present instant in milliseconds. Stable within a statement, so that an index can be searched
/// by it.
pub(super) fn now(deps: &Deps) -> SimpleExpr {
    Expr::cust(now_sql(deps))
}

/// The same as text, to be put into a statement.
pub(super) fn now_sql(deps: &Deps) -> String {
    match (deps.db.backend(), deps.clock.fixed()) {
        (Backend::Postgres, None) => "(floor(extract(epoch from statement_timestamp()) * 1000))::bigint".to_owned(),
        (_, Some(now)) => now.millis().to_string(),
        (Backend::Sqlite, None) => deps.clock.never_back().millis().to_string(),
    }
}

/// Whole milliseconds, bounded so that sums with an instant cannot overflow.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 4)
}
