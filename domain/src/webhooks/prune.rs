//! Forgetting: payloads whose time is over, everything older than what can be listed, and payloads about deleted users. A
//! hundred rows at a time.

use postern_entity::{Timestamp, WebhookMessageId};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    Deps, Result,
    db::{Tx, statement},
    events::{EventKind, Left, jobs::EraseUserEvents},
    time::time_ordered,
};

/// For how many days messages and attempts can be listed (wire/webhooks §7.3).
pub const KEPT_DAYS: i64 = 90;
const DAY_SECONDS: i64 = 24 * 60 * 60;
const BATCH: usize = 100;

/// Removes at most a hundred rows, or payloads after the message `after`; answers where to go on, if more may have to go.
/// Ids are ordered by time, so what is old stands at the beginning.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn prune_step(deps: &Deps, after: Option<Uuid>) -> Result<Option<Uuid>> {
    let oldest = before(deps.now().plus_seconds(-KEPT_DAYS * DAY_SECONDS));
    let connection = deps.db.read();
    for table in ["webhook_attempt", "webhook_delivery", "webhook_message"] {
        let sql = format!("SELECT 1 FROM {table} WHERE id < $1 ORDER BY id LIMIT 1");
        if connection.query_one_raw(statement(connection, &sql, [oldest.into()])).await?.is_none() {
            continue;
        }
        let sql =
            format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id < $1 ORDER BY id LIMIT {BATCH})");
        deps.db
            .write(async |tx| {
                tx.execute_raw(statement(&*tx, &sql, [oldest.into()])).await?;
                Ok(())
            })
            .await?;
        return Ok(Some(after.unwrap_or_default()));
    }
    let retention = deps.settings.webhook_retention_days;
    if retention >= KEPT_DAYS {
        return Ok(None);
    }
    let expired = before(deps.now().plus_seconds(-retention * DAY_SECONDS));
    // What still waits keeps its bytes.
    let sql = format!(
        "SELECT m.id AS id FROM webhook_message m WHERE m.id > $1 AND m.id < $2 AND m.payload IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM webhook_delivery d WHERE d.message_id = m.id AND d.state = 'sending' \
         AND d.next_attempt_at IS NOT NULL) ORDER BY m.id LIMIT {BATCH}"
    );
    let values = [after.unwrap_or_default().into(), expired.into()];
    let rows = connection.query_all_raw(statement(connection, &sql, values)).await?;
    let ids = rows.iter().map(|row| Ok(WebhookMessageId(row.try_get("", "id")?))).collect::<Result<Vec<_>>>()?;
    deps.db.write(async |tx| erase(&tx, &ids).await).await?;
    Ok(ids.last().filter(|_| ids.len() == BATCH).map(|id| id.0))
}

/// Erases the payloads of at most a hundred messages about a deleted user, once nobody waits for them. What tells of the
/// deletion itself holds ids only and stays.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn erase_user_step(deps: &Deps, job: &EraseUserEvents) -> Result<Left> {
    let of_user = "m.user_id = $1 AND m.user_id IS NOT NULL AND m.payload IS NOT NULL AND m.project_id = $2 \
                   AND m.event_type <> $3";
    let values = [job.user_id.0.into(), job.project_id.0.clone().into(), EventKind::UserDeleted.as_str().into()];
    deps.db
        .write(async |tx| {
            let sql = format!(
                "SELECT m.id AS id FROM webhook_message m WHERE {of_user} AND NOT EXISTS \
                 (SELECT 1 FROM webhook_delivery d WHERE d.message_id = m.id AND d.state = 'sending' \
                 AND d.next_attempt_at IS NOT NULL) LIMIT {BATCH}"
            );
            let rows = tx.query_all_raw(statement(&*tx, &sql, values.clone())).await?;
            let ids =
                rows.iter().map(|row| Ok(WebhookMessageId(row.try_get("", "id")?))).collect::<Result<Vec<_>>>()?;
            erase(&tx, &ids).await?;
            if ids.len() == BATCH {
                return Ok(Left::More);
            }
            let sql = format!("SELECT 1 FROM webhook_message m WHERE {of_user} LIMIT 1");
            let left = tx.query_one_raw(statement(&*tx, &sql, values.clone())).await?;
            Ok(if left.is_some() { Left::Waiting } else { Left::Nothing })
        })
        .await
}

async fn erase(tx: &Tx, ids: &[WebhookMessageId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let places: Vec<_> = (1..=ids.len()).map(|place| format!("${place}")).collect();
    let (places, values) = (places.join(", "), || ids.iter().map(|id| id.0.into()));
    let shaped =
        format!("UPDATE webhook_delivery SET payload = NULL WHERE message_id IN ({places}) AND payload IS NOT NULL");
    tx.execute_raw(statement(&**tx, &shaped, values())).await?;
    // Receivers may have answered with what they were sent.
    let answers = format!(
        "UPDATE webhook_attempt SET response_body = NULL WHERE message_id IN ({places}) AND response_body IS NOT NULL"
    );
    tx.execute_raw(statement(&**tx, &answers, values())).await?;
    let sql = format!("UPDATE webhook_message SET payload = NULL WHERE id IN ({places})");
    tx.execute_raw(statement(&**tx, &sql, values())).await?;
    Ok(())
}

/// The least id of that moment.
fn before(at: Timestamp) -> Uuid {
    let mut bytes = time_ordered(at).into_bytes();
    // The time takes the first 48 bits (RFC 9562 §5.7).
    bytes.iter_mut().skip(6).for_each(|byte| *byte = 0);
    Uuid::from_bytes(bytes)
}
