//! Giving committed events their positions.

use sea_orm::ConnectionTrait;

use super::BATCH;
use crate::{
    Deps, Result,
    db::{Backend, Tx, statement},
    error::Error,
    signal::Signal,
};

/// Places at most a hundred events that wait, in one short transaction; answers whether more may wait. Any number of
/// workers may run it at the same time.
///
/// Within a transaction, and between two of which one began after the other had committed, positions keep the order of
/// writing.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn sequence(deps: &Deps) -> Result<bool> {
    // Looking takes no lock; an idle worker looks often.
    let connection = deps.db.read();
    let look = "SELECT 1 FROM event WHERE position IS NULL LIMIT 1";
    if connection.query_one_raw(statement(connection, look, [])).await?.is_none() {
        return Ok(false);
    }
    let placed = deps.db.write(async |tx| place(&tx).await).await?;
    metrics::counter!("postern_events_sequenced_total").increment(placed);
    Ok(placed == BATCH)
}

async fn place(tx: &Tx) -> Result<u64> {
    let head = lock_head(tx).await?.position;
    // The rows are looked for after the lock was won, so whatever the last holder placed is seen as placed.
    let sql = format!(
        "UPDATE event SET position = placed.place FROM (SELECT seq, $1 + ROW_NUMBER() OVER (ORDER BY seq) AS place \
         FROM (SELECT seq FROM event WHERE position IS NULL ORDER BY seq LIMIT {BATCH}) AS waiting) AS placed \
         WHERE event.seq = placed.seq"
    );
    let placed = tx.execute_raw(statement(&**tx, &sql, [head.into()])).await?.rows_affected();
    if placed > 0 {
        let position = head.saturating_add_unsigned(placed);
        let sql = "UPDATE event_head SET position = $1 WHERE id = 1";
        tx.execute_raw(statement(&**tx, sql, [position.into()])).await?;
        tx.raise(Signal::LogAdvanced { position });
    }
    Ok(placed)
}

/// Where the log ends and begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The newest position.
    pub(super) position: i64,
    /// Up to here the log was pruned.
    pub(super) pruned_position: i64,
}

/// The head, locked until the transaction ends: there is one sequencer, or pruner, at a time.
pub(super) async fn lock_head(tx: &Tx) -> Result<Head> {
    head_by(&**tx, if tx.backend() == Backend::Postgres { " FOR UPDATE" } else { "" }).await
}

pub(super) async fn head(deps: &Deps) -> Result<Head> {
    head_by(deps.db.read(), "").await
}

async fn head_by<C: ConnectionTrait>(connection: &C, lock: &str) -> Result<Head> {
    let sql = format!("SELECT position, pruned_position FROM event_head WHERE id = 1{lock}");
    let row = connection.query_one_raw(statement(connection, &sql, [])).await?;
    let row = row.ok_or_else(|| Error::internal("the event log has no head: the database is not migrated"))?;
    Ok(Head { position: row.try_get("", "position")?, pruned_position: row.try_get("", "pruned_position")? })
}
