//! What was given up, and how an endpoint has done.

use std::collections::BTreeMap;

use postern_entity::{
    Timestamp, WebhookEndpointId,
    webhook_delivery::{self, DeliveryState},
};
use sea_orm::{ActiveEnum, ConnectionTrait, EntityTrait};

use super::{Delivery, MAX_PAGE, Page, PageRequest, no_such_endpoint, require_admin, store};
use crate::{
    Deps, Result,
    actor::Actor,
    db::statement,
    error::{Failure, refuse},
};

/// The longest time that statistics look back.
pub const MAX_STATISTICS_SECONDS: i64 = 28 * 86_400;

/// Deliveries of the project that were given up after their last attempt, newest first; those to one endpoint, or to any.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn dead_letters(
    deps: &Deps,
    actor: &Actor,
    endpoint_id: Option<WebhookEndpointId>,
    page: PageRequest,
) -> Result<Page<Delivery>> {
    require_admin(actor)?;
    let limit = page.limit.min(MAX_PAGE);
    let mut values: Vec<sea_orm::Value> = vec![actor.project_id.0.clone().into(), (limit + 1).into()];
    let mut conditions = String::new();
    if let Some(endpoint_id) = endpoint_id {
        values.push(endpoint_id.0.into());
        conditions.push_str(&format!(" AND endpoint_id = ${}", values.len()));
    }
    if let Some(after) = page.after {
        values.extend([after.at.millis().into(), after.id.into()]);
        conditions.push_str(&format!(" AND (created_at, id) < (${}, ${})", values.len() - 1, values.len()));
    }
    let sql = format!(
        "SELECT * FROM webhook_delivery WHERE project_id = $1 AND state = 'failed'{conditions} \
         ORDER BY created_at DESC, id DESC LIMIT $2"
    );
    let connection = deps.db.read();
    let find = webhook_delivery::Entity::find().from_raw_sql(statement(connection, &sql, values));
    Ok(Page::of(find.all(connection).await?, limit, Delivery::of))
}

/// How an endpoint has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Messages that wait for an attempt, however old.
    pub sending: u64,
    /// Messages of the time that it took.
    pub succeeded: u64,
    /// Messages of the time that were given up.
    pub failed: u64,
    /// Messages of the time that were not tried to the end: the endpoint was disabled, or the payload is gone.
    pub dropped: u64,
    /// Attempts in the time that it answered with 2xx.
    pub attempts_succeeded: u64,
    /// All other attempts in the time.
    pub attempts_failed: u64,
    /// How long its answers took on average, in milliseconds.
    pub mean_duration_ms: Option<u64>,
}

/// How an endpoint has done since then.
///
/// # Errors
/// A time too long ago; no such endpoint; access; internal.
#[crate::boxed]
pub async fn statistics(
    deps: &Deps,
    actor: &Actor,
    endpoint_id: WebhookEndpointId,
    since: Timestamp,
) -> Result<Statistics> {
    match statistics_of(deps, actor, &[endpoint_id], since).await?.remove(&endpoint_id) {
        Some(statistics) => Ok(statistics),
        None => no_such_endpoint(),
    }
}

/// How those of these endpoints that there are have done since then: three queries, however many there are.
///
/// # Errors
/// A time too long ago; access; internal.
#[crate::boxed]
pub async fn statistics_of(
    deps: &Deps,
    actor: &Actor,
    ids: &[WebhookEndpointId],
    since: Timestamp,
) -> Result<BTreeMap<WebhookEndpointId, Statistics>> {
    require_admin(actor)?;
    if since < deps.now().plus_seconds(-MAX_STATISTICS_SECONDS - 60) {
        let days = MAX_STATISTICS_SECONDS / 86_400;
        return refuse(Failure::schema(format!("since must lie at most {days} days back")));
    }
    let connection = deps.db.read();
    let rows = store::endpoints_by_ids(connection, &actor.project_id, ids).await?;
    let mut all: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, Statistics::default())).collect();
    if all.is_empty() {
        return Ok(all);
    }
    let places: Vec<_> = (2..=all.len() + 1).map(|place| format!("${place}")).collect();
    let places = places.join(", ");
    let values: Vec<sea_orm::Value> =
        std::iter::once(since.millis().into()).chain(all.keys().map(|id| id.0.into())).collect();
    let sql = format!(
        "SELECT endpoint_id, state, count(*) AS number FROM webhook_delivery WHERE endpoint_id IN ({places}) \
         AND created_at >= $1 AND state <> 'sending' GROUP BY endpoint_id, state \
         UNION ALL SELECT endpoint_id, 'sending', count(*) FROM webhook_delivery WHERE endpoint_id IN ({places}) \
         AND state = 'sending' AND next_attempt_at IS NOT NULL GROUP BY endpoint_id"
    );
    for row in connection.query_all_raw(statement(connection, &sql, values.clone())).await? {
        let state: String = row.try_get("", "state")?;
        let Some(one) = all.get_mut(&WebhookEndpointId(row.try_get("", "endpoint_id")?)) else { continue };
        let number = count(row.try_get("", "number")?);
        match DeliveryState::try_from_value(&state)? {
            DeliveryState::Sending => one.sending = number,
            DeliveryState::Succeeded => one.succeeded = number,
            DeliveryState::Failed => one.failed = number,
            DeliveryState::Dropped => one.dropped = number,
        }
    }
    let sql = format!(
        "SELECT endpoint_id, succeeded, count(*) AS number, CAST(sum(duration_ms) AS BIGINT) AS duration \
         FROM webhook_attempt WHERE endpoint_id IN ({places}) AND attempted_at >= $1 GROUP BY endpoint_id, succeeded"
    );
    let mut durations: BTreeMap<WebhookEndpointId, u64> = BTreeMap::new();
    for row in connection.query_all_raw(statement(connection, &sql, values)).await? {
        let id = WebhookEndpointId(row.try_get("", "endpoint_id")?);
        let Some(one) = all.get_mut(&id) else { continue };
        let number = count(row.try_get("", "number")?);
        *durations.entry(id).or_default() += count(row.try_get("", "duration")?);
        if row.try_get("", "succeeded")? {
            one.attempts_succeeded = number;
        } else {
            one.attempts_failed = number;
        }
    }
    for (id, duration) in durations {
        if let Some(one) = all.get_mut(&id) {
            one.mean_duration_ms = duration.checked_div(one.attempts_succeeded + one.attempts_failed);
        }
    }
    Ok(all)
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
