//! Forgetting: payloads of deleted users, and events older than the retention.

use postern_entity::{ProjectId, UserId};
use sea_orm::ConnectionTrait;

use super::{
    BATCH, EventKind,
    consume::consumed_by_all,
    jobs::EraseUserEvents,
    sequencer::{head, lock_head},
};
use crate::{
    Deps, Result,
    db::{Tx, statement},
    queue::{self, Enqueue},
};

/// How long events are kept, unless a cursor has not passed them yet.
pub const RETENTION_DAYS: i64 = 90;

/// Lets the payloads of all events about a user be erased, soon after the caller's transaction: the user is being deleted.
/// Events that are on their way to webhooks keep theirs until they are fanned out; `user.deleted`, which holds ids only,
/// keeps it.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn erase_user(deps: &Deps, tx: &Tx, project_id: &ProjectId, user_id: UserId) -> Result<()> {
    let job = EraseUserEvents { project_id: project_id.clone(), user_id };
    queue::enqueue(deps, tx, Enqueue::new(&job)?.project(project_id.clone())).await?;
    Ok(())
}

/// What is left to erase after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// More, at once.
    More,
    /// Events that some cursor has yet to pass.
    Waiting,
}

/// Erases at most a hundred payloads.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn erase_step(deps: &Deps, job: &EraseUserEvents) -> Result<Left> {
    let end = head(deps).await?.position;
    deps.db
        .write(async |tx| {
            let passed = consumed_by_all(&*tx, end).await?;
            let of_user = "project_id = $1 AND user_id = $2 AND kind <> $3 AND payload IS NOT NULL";
            let values =
                [job.project_id.0.clone().into(), job.user_id.0.into(), EventKind::UserDeleted.as_str().into()];
            let sql = format!(
                "UPDATE event SET payload = NULL WHERE seq IN \
                 (SELECT seq FROM event WHERE {of_user} AND position <= {passed} LIMIT {BATCH})"
            );
            let erased = tx.execute_raw(statement(&*tx, &sql, values.clone())).await?.rows_affected();
            if erased == BATCH {
                return Ok(Left::More);
            }
            let sql = format!("SELECT 1 FROM event WHERE {of_user} LIMIT 1");
            let left = tx.query_one_raw(statement(&*tx, &sql, values)).await?;
            Ok(if left.is_some() { Left::Waiting } else { Left::Nothing })
        })
        .await
}

/// Removes at most a hundred events from the old end of the log; answers whether more may have to go.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn prune_step(deps: &Deps) -> Result<bool> {
    let cutoff = deps.now().plus_seconds(-RETENTION_DAYS * 24 * 60 * 60).millis();
    if !oldest_is_before(deps, cutoff).await? {
        return Ok(false);
    }
    deps.db
        .write(async |tx| {
            let head = lock_head(&tx).await?;
            let end = consumed_by_all(&*tx, head.position).await?;
            let sql = format!(
                "SELECT position, created_at FROM event WHERE position > $1 AND position <= $2 \
                 ORDER BY position LIMIT {BATCH}"
            );
            let rows = tx.query_all_raw(statement(&*tx, &sql, [head.pruned_position.into(), end.into()])).await?;
            // In the order of the log: a reader must be able to trust that nothing after `pruned_position` is gone.
            let mut pruned = None;
            for row in &rows {
                if row.try_get::<i64>("", "created_at")? >= cutoff {
                    break;
                }
                pruned = Some(row.try_get::<i64>("", "position")?);
            }
            let Some(pruned) = pruned else { return Ok(false) };
            let sql = "DELETE FROM event WHERE position > $1 AND position <= $2";
            let removed = tx
                .execute_raw(statement(&*tx, sql, [head.pruned_position.into(), pruned.into()]))
                .await?
                .rows_affected();
            let sql = "UPDATE event_head SET pruned_position = $1 WHERE id = 1";
            tx.execute_raw(statement(&*tx, sql, [pruned.into()])).await?;
            Ok(removed == BATCH)
        })
        .await
}

async fn oldest_is_before(deps: &Deps, cutoff: i64) -> Result<bool> {
    let connection = deps.db.read();
    let pruned = head(deps).await?.pruned_position;
    let sql = "SELECT created_at FROM event WHERE position > $1 ORDER BY position LIMIT 1";
    let row = connection.query_one_raw(statement(connection, sql, [pruned.into()])).await?;
    Ok(row.map(|row| row.try_get::<i64>("", "created_at")).transpose()?.is_some_and(|oldest| oldest < cutoff))
}
