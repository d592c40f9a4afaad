//! What it means when the database itself refuses.

use sea_orm::{DbErr, RuntimeErr};

use super::may_come_back;
use crate::error::Error;

/// What PostgreSQL answers when a statement has given up waiting for a lock (SQLSTATE).
pub(super) const LOCK_TIMED_OUT: &str = "55P03";

/// Whether the transaction failed only because another one was in its way.
pub(super) fn lost_race(error: &DbErr) -> bool {
    matches!(sqlstate(error).as_deref(), Some("40001" | "40P01" | LOCK_TIMED_OUT))
}

/// The SQLSTATE of PostgreSQL or the result code of SQLite, when the database itself refused.
pub(super) fn sqlstate(error: &DbErr) -> Option<String> {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned())
}

/// Whether the database said no, or what it said cannot be read, so that nothing was done. Of a lost connection nobody knows.
pub(crate) fn is_refused(error: &Error) -> bool {
    Held::is(error) || matches!(error, Error::Database(_)) && !may_come_back(error)
}

/// Somebody else held a lock for longer than an operation was willing to wait for it, which sets a limit of its own because it
/// has something else to do then. It is not run again for that, as it is where the limit of everybody was too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("somebody else holds the row")]
pub(crate) struct Held;

impl Held {
    /// What an error of the statement means that has waited so.
    pub(crate) fn or(error: DbErr) -> Error {
        match sqlstate(&error).as_deref() {
            Some(LOCK_TIMED_OUT) => Error::internal(Self),
            _ => error.into(),
        }
    }

    /// Whether `error` says so.
    pub(crate) fn is(error: &Error) -> bool {
        matches!(error, Error::Internal(cause) if cause.is::<Self>())
    }
}

/// Whether the row was refused because another one with the same unique key exists. `constraint` is the name of the
/// index, or on SQLite (which names the columns instead) one of `columns` in the form `table.column`.
#[must_use]
pub fn violates_unique(error: &DbErr, constraint: &str, columns: &str) -> bool {
    match error.sql_err() {
        Some(sea_orm::SqlErr::UniqueConstraintViolation(text)) => text.contains(constraint) || text.contains(columns),
        _ => false,
    }
}
