//! Writing down what attempts came to: the attempts, the states of their deliveries, and the clocks of their endpoints.
//! Runs in the transaction that ends the jobs, for many of them at a time.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use postern_entity::{
    ProjectId, Timestamp, WebhookDeliveryId, WebhookEndpointId, webhook_attempt,
    webhook_delivery::{self, Column, DeliveryState},
    webhook_endpoint,
};
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};

use super::{
    endpoint::event,
    schedule::{Clock, after_exhausted},
    store,
};
use crate::{
    Deps, Result,
    db::{Tx, statement},
    events::{self, EventKind},
    queue::{JobResult, placeholders},
};

/// What a run of a delivery's job came to.
#[derive(Clone, Debug)]
pub(super) struct DeliveryResult {
    project_id: ProjectId,
    delivery_id: WebhookDeliveryId,
    endpoint_id: WebhookEndpointId,
    manual: bool,
    outcome: Outcome,
    attempt: Option<webhook_attempt::Model>,
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The endpoint took it.
    Succeeded,
    /// It did not; the schedule has another attempt.
    Retry {
        /// When it is due.
        at: Timestamp,
    },
    /// It did not, and there is no other attempt.
    Exhausted,
    /// Not tried: the endpoint is disabled or deleted, or the payload is gone.
    Dropped,
}

impl DeliveryResult {
    pub(super) fn new(delivery: &webhook_delivery::Model, manual: bool, outcome: Outcome) -> Self {
        Self {
            project_id: delivery.project_id.clone(),
            delivery_id: delivery.id,
            endpoint_id: delivery.endpoint_id,
            manual,
            outcome,
            attempt: None,
        }
    }

    pub(super) fn with_attempt(mut self, attempt: webhook_attempt::Model) -> Self {
        self.attempt = Some(attempt);
        self
    }
}

impl JobResult for DeliveryResult {
    fn write_all<'a>(deps: &'a Deps, tx: &'a Tx, results: &'a [&'a Self]) -> BoxFuture<'a, Result<()>> {
        Box::pin(write_all(deps, tx, results))
    }
}

async fn write_all(deps: &Deps, tx: &Tx, results: &[&DeliveryResult]) -> Result<()> {
    let attempts = results.iter().filter_map(|result| result.attempt.clone()).collect();
    store::insert_attempts(tx, attempts).await?;
    let (manual, scheduled): (Vec<_>, Vec<_>) = results.iter().copied().partition(|result| result.manual);
    write_scheduled_failures(tx, &scheduled).await?;
    write_manual_failures(tx, &manual).await?;
    let succeeded = |result: &&&DeliveryResult| result.outcome == Outcome::Succeeded;
    write_successes(tx, scheduled.iter().filter(succeeded).map(|result| result.delivery_id), 1).await?;
    write_successes(tx, manual.iter().filter(succeeded).map(|result| result.delivery_id), 0).await?;
    stop_clocks(tx, results.iter().filter(succeeded).map(|result| result.endpoint_id)).await?;
    let exhausted = scheduled.iter().filter(|result| result.outcome == Outcome::Exhausted);
    let exhausted: BTreeSet<_> = exhausted.map(|result| (result.endpoint_id, &result.project_id)).collect();
    for (endpoint_id, project_id) in exhausted {
        move_clock(deps, tx, project_id, endpoint_id).await?;
    }
    Ok(())
}

/// A success stands, whatever else was under way for the delivery.
async fn write_successes(tx: &Tx, ids: impl Iterator<Item = WebhookDeliveryId>, attempts: i32) -> Result<()> {
    let ids: BTreeSet<_> = ids.collect();
    if ids.is_empty() {
        return Ok(());
    }
    webhook_delivery::Entity::update_many()
        .col_expr(Column::State, Expr::value(DeliveryState::Succeeded.to_value()))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(attempts))
        .col_expr(Column::NextAttemptAt, Expr::value(None::<i64>))
        .filter(Column::Id.is_in(ids))
        .exec(&**tx)
        .await?;
    Ok(())
}

async fn write_scheduled_failures(tx: &Tx, results: &[&DeliveryResult]) -> Result<()> {
    const COLUMNS: usize = 4;
    let mut values: Vec<sea_orm::Value> = Vec::new();
    for result in results {
        let (state, next_attempt_at) = match result.outcome {
            Outcome::Succeeded => continue,
            Outcome::Retry { at } => (DeliveryState::Sending, Some(at.millis())),
            Outcome::Exhausted => (DeliveryState::Failed, None),
            Outcome::Dropped => (DeliveryState::Dropped, None),
        };
        let attempts = i32::from(result.attempt.is_some());
        values.extend([result.delivery_id.0.into(), state.to_value().into(), attempts.into(), next_attempt_at.into()]);
    }
    if values.is_empty() {
        return Ok(());
    }
    // What the owner has sent by hand in the meantime stays delivered.
    let sql = format!(
        "UPDATE webhook_delivery SET state = v.column2, attempts = attempts + v.column3, next_attempt_at = v.column4 \
         FROM (VALUES {}) AS v WHERE webhook_delivery.id = v.column1 AND webhook_delivery.state <> 'succeeded'",
        placeholders(values.len() / COLUMNS, COLUMNS)
    );
    tx.execute_raw(statement(&**tx, &sql, values)).await?;
    Ok(())
}

/// A failed manual attempt ends only a delivery that has no schedule. One that has goes on with it: what the owner does
/// besides must not cost the message its remaining attempts.
async fn write_manual_failures(tx: &Tx, results: &[&DeliveryResult]) -> Result<()> {
    let failed = results.iter().filter(|result| result.outcome != Outcome::Succeeded);
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

/// Any success says that the endpoint is well.
async fn stop_clocks(tx: &Tx, endpoint_ids: impl Iterator<Item = WebhookEndpointId>) -> Result<()> {
    use webhook_endpoint::Column::{FailingSince, Id};
    let endpoint_ids: BTreeSet<_> = endpoint_ids.collect();
    if endpoint_ids.is_empty() {
        return Ok(());
    }
    webhook_endpoint::Entity::update_many()
        .col_expr(FailingSince, Expr::value(None::<i64>))
        .filter(Id.is_in(endpoint_ids))
        .filter(FailingSince.is_not_null())
        .exec(&**tx)
        .await?;
    Ok(())
}

/// Starts the endpoint's clock, or disables the endpoint when its time is over.
async fn move_clock(deps: &Deps, tx: &Tx, project_id: &ProjectId, endpoint_id: WebhookEndpointId) -> Result<()> {
    let Some(mut row) = store::endpoint_for_update(tx, project_id, endpoint_id).await? else { return Ok(()) };
    let now = deps.now();
    match after_exhausted(row.failing_since, now) {
        Clock::Start => row.failing_since = Some(now),
        Clock::Disable if !row.disabled => {
            tracing::warn!(endpoint.id = %endpoint_id, project.id = %project_id, "a webhook endpoint was disabled: it keeps failing");
            row.disabled = true;
            row.updated_at = now;
            events::record(deps, tx, event(EventKind::WebhookEndpointUpdated, &row)).await?;
        }
        Clock::Keep | Clock::Disable => return Ok(()),
    }
    store::update_endpoint(tx, row).await
}
