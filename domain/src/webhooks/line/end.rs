//! The end of a turn: when the next one is due is found in the transaction that ends the job, so that nothing that was put
//! into the line in the meantime is left there.

use std::{collections::BTreeMap, time::Duration};

use futures::future::BoxFuture;
use postern_entity::{JobId, WebhookEndpointId};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    Deps, Result, Timestamp,
    db::{Tx, statement},
    queue::{self, Ending, JobResult, Lease},
    webhooks::breaker::Health,
};

/// An empty line is looked at this often, though it is woken when something is put into it.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// The end of a turn.
#[derive(Clone, Debug)]
pub(super) struct LineEnd {
    job_id: JobId,
    endpoint_id: WebhookEndpointId,
    /// The next turn is not due before.
    not_before: Duration,
}

/// Puts the line off until something in it is due, but for `not_before` at least.
pub(super) fn ending(lease: &Lease, endpoint_id: WebhookEndpointId, not_before: Duration) -> Ending {
    Ending::snooze(IDLE).with_result(LineEnd { job_id: lease.job_id, endpoint_id, not_before })
}

impl JobResult for LineEnd {
    fn write_all<'a>(deps: &'a Deps, tx: &'a Tx, results: &'a [&'a Self]) -> BoxFuture<'a, Result<()>> {
        Box::pin(put_off(deps, tx, results))
    }
}

async fn put_off(deps: &Deps, tx: &Tx, ends: &[&LineEnd]) -> Result<()> {
    let due = due(deps, tx, ends).await?;
    let jobs: Vec<_> = ends
        .iter()
        .filter_map(|end| Some((end.job_id, due.get(&end.endpoint_id)?.max(&end.not_before).to_owned())))
        .collect();
    queue::put_off_all(deps, tx, &jobs).await
}

/// After how long something in these lines is due, where anything waits. The subqueries ask with the conditions of their
/// indexes, so that a long line costs no more than a short one.
async fn due(deps: &Deps, tx: &Tx, ends: &[&LineEnd]) -> Result<BTreeMap<WebhookEndpointId, Duration>> {
    let places: Vec<_> = (1..=ends.len()).map(|place| format!("${place}")).collect();
    let waiting = "FROM webhook_delivery d WHERE d.endpoint_id = e.id AND d.state = 'sending'";
    let sql = format!(
        "SELECT {} AS now, e.id AS id, e.fifo AS fifo, e.paused_until AS paused_until, \
         (SELECT min(d.next_attempt_at) {waiting} AND d.next_attempt_at IS NOT NULL) AS soonest, \
         (SELECT d.next_attempt_at {waiting} AND d.line IS NOT NULL ORDER BY d.line LIMIT 1) AS head \
         FROM webhook_endpoint e WHERE e.id IN ({})",
        queue::now_sql(deps),
        places.join(", ")
    );
    let values = ends.iter().map(|end| end.endpoint_id.0.into());
    let rows = tx.query_all_raw(statement(&**tx, &sql, values)).await?;
    let mut due = BTreeMap::new();
    for row in &rows {
        let soonest: Option<i64> = row.try_get("", "soonest")?;
        let head: Option<i64> = row.try_get("", "head")?;
        let in_order: bool = row.try_get("", "fifo")?;
        let Some(at) = (if in_order { head.or(soonest) } else { soonest }) else { continue };
        // Two clocks: what lines wait for is due by that of the queue, a pause ends by that of the process.
        let wait = at.saturating_sub(row.try_get("", "now")?);
        let paused_until = row.try_get::<Option<i64>>("", "paused_until")?.map(Timestamp);
        let pause = Health { paused_until, ..Health::default() }.pause_left(deps.now());
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0)).max(pause).min(IDLE);
        due.insert(WebhookEndpointId(row.try_get::<Uuid>("", "id")?), wait);
    }
    Ok(due)
}
