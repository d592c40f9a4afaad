//! Writing down what attempts came to: the attempts, the states of their deliveries, the health and the clocks of their
//! endpoints, and what their owners are told. Runs for many of them at a time, in a transaction that holds the leases of
//! their lines, or that ends their jobs.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use postern_entity::{
    Timestamp, WebhookDeliveryId, webhook_attempt,
    webhook_delivery::{self, Column, DeliveryState},
    webhook_endpoint,
};
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};

use super::{
    breaker::Health,
    disable::{self, Reason},
    judge::{DeliveryResult, Outcome},
    line, notice,
    schedule::{Clock, after_exhausted},
    store,
};
use crate::{
    Deps, Result,
    db::{Tx, statement},
    queue::{self, JobResult, placeholders},
};

impl JobResult for DeliveryResult {
    fn write_all<'a>(deps: &'a Deps, tx: &'a Tx, results: &'a [&'a Self]) -> BoxFuture<'a, Result<()>> {
        Box::pin(write_all(deps, tx, results))
    }
}

/// Writes results.
pub(super) async fn write_all(deps: &Deps, tx: &Tx, results: &[&DeliveryResult]) -> Result<()> {
    if results.is_empty() {
        return Ok(());
    }
    let now = queue::now_in(deps, &**tx).await?;
    let attempts = results.iter().filter_map(|result| {
        let next_attempt_at = result.next_attempt_at(now);
        Some(webhook_attempt::Model { next_attempt_at, ..result.attempt.clone()? })
    });
    let made = store::insert_attempts(tx, attempts.collect()).await?;
    // Those that are there already were written before, by a transaction whose end was not heard of.
    let is_new = |result: &&DeliveryResult| result.attempt.as_ref().is_none_or(|attempt| made.contains(&attempt.id));
    let results: Vec<_> = results.iter().copied().filter(is_new).collect();
    let results = results.as_slice();
    let (beside, in_line): (Vec<_>, Vec<_>) = results.iter().copied().partition(|result| result.beside);
    write_successes(tx, results).await?;
    let failed = write_failures(tx, &in_line, now).await?;
    write_failures_beside(tx, &beside).await?;
    // Found by hand to be there again, its line need not wait for the next look. Lines first, then endpoints: everybody locks
    // them in this order.
    let back = one_each(beside.iter().copied().filter(|result| result.succeeded()));
    let back: Vec<_> = back.iter().map(|result| (&result.project_id, result.endpoint_id)).collect();
    line::wake(deps, tx, back).await?;
    write_health(deps, tx, results).await?;
    for result in one_each(results.iter().copied().filter(|result| result.outcome == Outcome::Gone)) {
        disable_endpoint_of(deps, tx, result, Reason::Gone).await?;
    }
    // Nothing has failed that was sent by hand in the meantime and has arrived.
    let told = |result: &&DeliveryResult| result.succeeded() || failed.contains(&result.delivery_id);
    let told: Vec<_> = results.iter().copied().filter(|result| result.number.is_some()).filter(told).collect();
    for result in one_each(told.iter().copied().filter(|result| result.outcome == Outcome::Exhausted)) {
        move_clock(deps, tx, result).await?;
    }
    notice::tell_all(deps, tx, &told).await
}

/// One result of each endpoint among them, in the order of the endpoints.
fn one_each<'a>(results: impl Iterator<Item = &'a DeliveryResult>) -> Vec<&'a DeliveryResult> {
    let ends: BTreeMap<_, _> = results.map(|result| (result.endpoint_id, result)).collect();
    ends.into_values().collect()
}

/// A success stands, whatever else was under way for the delivery.
async fn write_successes(tx: &Tx, results: &[&DeliveryResult]) -> Result<()> {
    for scheduled in [true, false] {
        let of_these = |result: &&&DeliveryResult| result.succeeded() && result.number.is_some() == scheduled;
        let ids: BTreeSet<_> = results.iter().filter(of_these).map(|result| result.delivery_id).collect();
        if ids.is_empty() {
            continue;
        }
        webhook_delivery::Entity::update_many()
            .col_expr(Column::State, Expr::value(DeliveryState::Succeeded.to_value()))
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(i32::from(scheduled)))
            .col_expr(Column::NextAttemptAt, Expr::value(None::<i64>))
            .col_expr(Column::Once, Expr::value(false))
            .filter(Column::Id.is_in(ids))
            .exec(&**tx)
            .await?;
    }
    Ok(())
}

/// What the owner has sent by hand in the meantime stays delivered. Answers which were written.
async fn write_failures(tx: &Tx, results: &[&DeliveryResult], now: Timestamp) -> Result<BTreeSet<WebhookDeliveryId>> {
    const COLUMNS: usize = 4;
    let mut values: Vec<sea_orm::Value> = Vec::new();
    for result in results {
        let state = match result.outcome {
            Outcome::Succeeded => continue,
            Outcome::Retry { .. } => DeliveryState::Sending,
            Outcome::Exhausted | Outcome::Gone => DeliveryState::Failed,
            Outcome::Dropped => DeliveryState::Dropped,
        };
        let next_attempt_at = result.next_attempt_at(now).map(Timestamp::millis);
        let attempts = i32::from(result.number.is_some());
        values.extend([result.delivery_id.0.into(), state.to_value().into(), attempts.into(), next_attempt_at.into()]);
    }
    if values.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = values.len() / COLUMNS;
    let sql = format!(
        "UPDATE webhook_delivery SET state = v.column2, attempts = attempts + v.column3, next_attempt_at = v.column4, \
         once = ${} FROM (VALUES {}) AS v WHERE webhook_delivery.id = v.column1 AND webhook_delivery.state <> 'succeeded' \
         RETURNING webhook_delivery.id AS id",
        values.len() + 1,
        placeholders(rows, COLUMNS)
    );
    values.push(false.into());
    let written = tx.query_all_raw(statement(&**tx, &sql, values)).await?;
    written.iter().map(|row| Ok(WebhookDeliveryId(row.try_get("", "id")?))).collect()
}

/// A failed attempt beside the line ends only a delivery that has no schedule. One that has goes on with it: what the owner
/// does besides must not cost the message its remaining attempts.
async fn write_failures_beside(tx: &Tx, results: &[&DeliveryResult]) -> Result<()> {
    let failed = results.iter().filter(|result| !result.succeeded());
    let failed: BTreeSet<_> = failed.map(|result| result.delivery_id).collect();
    if failed.is_empty() {
        return Ok(());
    }
    webhook_delivery::Entity::update_many()
        .col_expr(Column::State, Expr::value(DeliveryState::Failed.to_value()))
        .filter(Column::Id.is_in(failed))
        .filter(Column::State.eq(DeliveryState::Sending))
        .filter(Column::NextAttemptAt.is_null())
        .exec(&**tx)
        .await?;
    Ok(())
}

/// Any answer says that a receiver is there, any success that it is well: at the address that was tried.
async fn write_health(deps: &Deps, tx: &Tx, results: &[&DeliveryResult]) -> Result<()> {
    let tried = results.iter().filter_map(|result| {
        let attempt = result.attempt.as_ref()?;
        Some(((result.endpoint_id, attempt.url.as_str()), *result))
    });
    let tried: Vec<_> = tried.collect();
    let where_it = |is_so: fn(&DeliveryResult) -> bool| -> store::Places<'_> {
        tried.iter().filter(|(_, result)| is_so(result)).map(|(place, _)| *place).collect()
    };
    let answered = where_it(|result| !result.missed);
    store::clear_misses(tx, &answered).await?;
    store::stop_clocks(tx, &where_it(DeliveryResult::succeeded)).await?;
    let mut missed: BTreeMap<_, (&DeliveryResult, usize)> = BTreeMap::new();
    for (place, result) in tried.iter().filter(|(place, result)| result.missed && !answered.contains(place)) {
        missed.entry(*place).or_insert((*result, 0)).1 += 1;
    }
    for ((endpoint_id, url), (result, count)) in missed {
        let row = store::endpoint_for_update(tx, &result.project_id, endpoint_id).await?;
        let Some(mut row) = row.filter(|row| row.url == url) else { continue };
        let before = health(&row);
        let after = before.after_misses(count, deps.now());
        if after != before {
            (row.misses, row.pauses, row.paused_until) = (after.misses, after.pauses, after.paused_until);
            store::update_endpoint(tx, row).await?;
        }
        // Few messages come to their last attempt there, so that nobody is there counts as much as one that was given up.
        if after.pauses > before.pauses {
            move_clock(deps, tx, result).await?;
        }
    }
    Ok(())
}

fn health(row: &webhook_endpoint::Model) -> Health {
    Health { misses: row.misses, pauses: row.pauses, paused_until: row.paused_until }
}

/// Starts the clock of the result's endpoint, or disables the endpoint when its time is over.
async fn move_clock(deps: &Deps, tx: &Tx, result: &DeliveryResult) -> Result<()> {
    let row = store::endpoint_for_update(tx, &result.project_id, result.endpoint_id).await?;
    let Some(mut row) = row.filter(|row| result.is_of(&row.url)) else { return Ok(()) };
    let now = deps.now();
    match after_exhausted(row.failing_since, now) {
        Clock::Start => row.failing_since = Some(now),
        Clock::Disable => return disable_endpoint_of(deps, tx, result, Reason::Failing).await,
        Clock::Keep => return Ok(()),
    }
    store::update_endpoint(tx, row).await
}

/// Disables the endpoint of a result. The log tells it with the job that found it, and so does the trace.
async fn disable_endpoint_of(deps: &Deps, tx: &Tx, result: &DeliveryResult, reason: Reason) -> Result<()> {
    let disabling = disable::disable(deps, tx, result, reason);
    result.traced.clone().run(disabling).await
}
