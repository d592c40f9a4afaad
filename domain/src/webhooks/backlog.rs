//! How much waits for endpoints, for operators.

use sea_orm::ConnectionTrait;

use crate::{Deps, Result, db::statement};

/// More than this is not counted: a gauge need not read a million rows.
pub const MAX_COUNTED: u64 = 100_000;

/// What waits for endpoints, of all projects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that wait for an attempt, at most [`MAX_COUNTED`].
    pub waiting: u64,
    /// Endpoints at which no receiver is found, so that nothing is tried.
    pub paused: u64,
}

/// What waits at this moment.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn backlog(deps: &Deps) -> Result<Backlog> {
    let connection = deps.db.read();
    let number = async |sql: &str, values: Vec<sea_orm::Value>| -> Result<u64> {
        let row = connection.query_one_raw(statement(connection, sql, values)).await?;
        let number: Option<i64> = row.map(|row| row.try_get("", "number")).transpose()?;
        Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0))
    };
    let waiting = format!(
        "SELECT count(*) AS number FROM (SELECT 1 FROM webhook_delivery WHERE state = 'sending' \
         AND next_attempt_at IS NOT NULL LIMIT {MAX_COUNTED}) AS waiting"
    );
    let paused = "SELECT count(*) AS number FROM webhook_endpoint WHERE paused_until > $1 AND deleted_at IS NULL";
    Ok(Backlog {
        waiting: number(&waiting, Vec::new()).await?,
        paused: number(paused, vec![deps.now().millis().into()]).await?,
    })
}
