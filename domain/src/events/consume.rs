//! Following the log with a cursor that is stored: each event is dealt with once, by whichever worker comes first.

use postern_entity::{
    event::{self, Column},
    event_consumer,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    BATCH,
    read::{LoggedEvent, logged},
    sequencer::head,
};
use crate::{
    Deps, Result,
    db::{Backend, Tx, statement},
};

/// Whether there is anything for [`consume`]. Reads only.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn has_unconsumed(deps: &Deps, name: &str) -> Result<bool> {
    let cursor = event_consumer::Entity::find_by_id(name).one(deps.db.read()).await?;
    Ok(head(deps).await?.position > cursor.map_or(0, |cursor| cursor.position))
}

/// Takes the next events of all projects, at most a hundred, and moves the cursor `name` past them in the caller's
/// transaction: they count as dealt with if and only if it commits. Empty when nothing is new, or when another worker is
/// at it. A new cursor begins at the oldest event that is kept. Events are kept until every cursor has passed them.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn consume(deps: &Deps, tx: &Tx, name: &str) -> Result<Vec<LoggedEvent>> {
    let events = upcoming(deps, tx, name).await?;
    if let Some(last) = events.last() {
        pass(deps, tx, name, last.position).await?;
    }
    Ok(events)
}

/// The same without moving the cursor, for a consumer that may deal with some of them only: it calls [`pass`] in the same
/// transaction.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn upcoming(deps: &Deps, tx: &Tx, name: &str) -> Result<Vec<LoggedEvent>> {
    let insert =
        "INSERT INTO event_consumer (name, position, updated_at) VALUES ($1, 0, $2) ON CONFLICT (name) DO NOTHING";
    let now = deps.now().millis();
    tx.execute_raw(statement(&**tx, insert, [name.into(), now.into()])).await?;
    let skip = if tx.backend() == Backend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!("SELECT position FROM event_consumer WHERE name = $1{skip}");
    let Some(cursor) = tx.query_one_raw(statement(&**tx, &sql, [name.into()])).await? else { return Ok(Vec::new()) };
    let cursor: i64 = cursor.try_get("", "position")?;
    let rows = event::Entity::find()
        .filter(Column::Position.gt(cursor))
        .order_by_asc(Column::Position)
        .limit(BATCH)
        .all(&**tx)
        .await?;
    // An event of a type that only a newer version knows stops this one: nobody else would deal with it later.
    Ok(rows.into_iter().map_while(logged).collect())
}

/// Moves the cursor `name`, which [`upcoming`] has locked, past the event at `position`.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn pass(deps: &Deps, tx: &Tx, name: &str, position: i64) -> Result<()> {
    let sql = "UPDATE event_consumer SET position = $2, updated_at = $3 WHERE name = $1";
    let values = [name.into(), position.into(), deps.now().millis().into()];
    tx.execute_raw(statement(&**tx, sql, values)).await?;
    Ok(())
}

/// Up to which position every cursor has come; `end` when there is none.
pub(super) async fn consumed_by_all<C: ConnectionTrait>(connection: &C, end: i64) -> Result<i64> {
    let sql = "SELECT MIN(position) AS position FROM event_consumer";
    let row = connection.query_one_raw(statement(connection, sql, [])).await?;
    let least: Option<i64> = row.map(|row| row.try_get("", "position")).transpose()?.flatten();
    Ok(least.unwrap_or(end).min(end))
}
