//! Queries of messages, deliveries and attempts.

use std::collections::BTreeSet;

use postern_entity::{
    ProjectId, Timestamp, WebhookAttemptId, WebhookDeliveryId, WebhookEndpointId, WebhookMessageId,
    webhook_attempt::{self, AttemptTrigger},
    webhook_delivery::{self, DeliveryState},
    webhook_message,
};
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict, Query, SelectStatement},
};
use uuid::Uuid;

use super::in_order;
use crate::{
    Result,
    db::{Tx, statement},
    webhooks::{
        Place,
        jobs::RecoverWebhookEndpoint,
        recover::{GIVEN_UP, Which},
    },
};

/// Writes messages; answers those whose event had none yet.
pub(in crate::webhooks) async fn insert_messages(
    tx: &Tx,
    rows: &[webhook_message::Model],
) -> Result<BTreeSet<WebhookMessageId>> {
    use webhook_message::Column;
    if rows.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut insert = Query::insert();
    insert.into_table(webhook_message::Entity).columns([
        Column::Id,
        Column::ProjectId,
        Column::EventPosition,
        Column::EventType,
        Column::Channels,
        Column::UserId,
        Column::TeamId,
        Column::Payload,
        Column::CreatedAt,
        Column::Traceparent,
    ]);
    for row in rows.iter().cloned() {
        insert
            .values([
                Expr::value(row.id),
                Expr::value(row.project_id),
                Expr::value(row.event_position),
                Expr::value(row.event_type),
                Expr::value(row.channels),
                Expr::value(row.user_id),
                Expr::value(row.team_id),
                Expr::value(row.payload),
                Expr::value(row.created_at),
                Expr::value(row.traceparent),
            ])
            .map_err(crate::Error::internal)?;
    }
    insert.on_conflict(OnConflict::column(Column::EventPosition).do_nothing().to_owned()).returning_col(Column::Id);
    let made = tx.query_all(&insert).await?;
    made.iter().map(|row| Ok(WebhookMessageId(row.try_get::<Uuid>("", "id")?))).collect()
}

pub(in crate::webhooks) async fn insert_deliveries(tx: &Tx, rows: Vec<webhook_delivery::Model>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    webhook_delivery::Entity::insert_many(rows).exec_without_returning(&**tx).await?;
    Ok(())
}

/// The delivery of a message to an endpoint; made from `row` when there is none.
pub(in crate::webhooks) async fn delivery_or_insert(
    tx: &Tx,
    row: webhook_delivery::Model,
) -> Result<WebhookDeliveryId> {
    use webhook_delivery::Column::{EndpointId, MessageId};
    let (message_id, endpoint_id) = (row.message_id, row.endpoint_id);
    let once = OnConflict::columns([MessageId, EndpointId]).do_nothing().to_owned();
    webhook_delivery::Entity::insert(row.into_active_model()).on_conflict(once).exec_without_returning(&**tx).await?;
    let found = webhook_delivery::Entity::find()
        .filter(MessageId.eq(message_id))
        .filter(EndpointId.eq(endpoint_id))
        .one(&**tx)
        .await?;
    found.map(|row| row.id).ok_or_else(|| crate::Error::internal("a delivery vanished while it was made"))
}

/// What is due at an endpoint, longest first, without those that are under way. Where order is wanted (`in_order`), only what
/// has no place in the line: what has one is [`line_deliveries`]', and may have come after that was asked. Nothing where it has
/// come to be wanted since. Asks with the condition of its index.
pub(in crate::webhooks) async fn due_deliveries(
    connection: &impl ConnectionTrait,
    endpoint_id: WebhookEndpointId,
    in_order: bool,
    now: Timestamp,
    under_way: impl IntoIterator<Item = WebhookDeliveryId>,
    limit: u64,
) -> Result<Vec<webhook_delivery::Model>> {
    let mut values: Vec<sea_orm::Value> = vec![endpoint_id.0.into(), now.millis().into(), limit.into()];
    values.extend(under_way.into_iter().map(|id| sea_orm::Value::from(id.0)));
    let places: Vec<_> = (4..=values.len()).map(|place| format!("${place}")).collect();
    let others = if places.is_empty() { String::new() } else { format!(" AND id NOT IN ({})", places.join(", ")) };
    let no_order = " AND NOT EXISTS (SELECT 1 FROM webhook_endpoint e WHERE e.id = $1 AND e.fifo)";
    let out_of_line = if in_order { " AND line IS NULL" } else { no_order };
    let sql = format!(
        "SELECT * FROM webhook_delivery WHERE endpoint_id = $1 AND state = 'sending' AND next_attempt_at IS NOT NULL \
         AND next_attempt_at <= $2{out_of_line}{others} ORDER BY next_attempt_at, id LIMIT $3"
    );
    let find = webhook_delivery::Entity::find().from_raw_sql(statement(connection, &sql, values));
    Ok(find.all(connection).await?)
}

/// When the newest attempt on an endpoint began.
pub(in crate::webhooks) async fn last_attempt_at(
    connection: &impl ConnectionTrait,
    endpoint_id: WebhookEndpointId,
) -> Result<Option<Timestamp>> {
    use webhook_attempt::Column::{AttemptedAt, EndpointId, Id};
    let find = webhook_attempt::Entity::find()
        .select_only()
        .column(AttemptedAt)
        .filter(EndpointId.eq(endpoint_id))
        .order_by_desc(AttemptedAt)
        .order_by_desc(Id);
    Ok(find.into_tuple().one(connection).await?)
}

/// The head of the line of an endpoint that wants everything in order, due or not.
pub(in crate::webhooks) async fn line_deliveries(
    connection: &impl ConnectionTrait,
    endpoint_id: WebhookEndpointId,
    limit: u64,
) -> Result<Vec<webhook_delivery::Model>> {
    let sql = "SELECT * FROM webhook_delivery WHERE endpoint_id = $1 AND state = 'sending' AND line IS NOT NULL \
               ORDER BY line LIMIT $2";
    let find =
        webhook_delivery::Entity::find().from_raw_sql(statement(connection, sql, [endpoint_id.0.into(), limit.into()]));
    Ok(find.all(connection).await?)
}

/// Drops what waits for an endpoint, at most `limit` of it; answers how many.
pub(in crate::webhooks) async fn drop_waiting(tx: &Tx, endpoint_id: WebhookEndpointId, limit: u64) -> Result<u64> {
    let sql = "UPDATE webhook_delivery SET state = 'dropped', next_attempt_at = NULL, once = $3 WHERE id IN \
               (SELECT id FROM webhook_delivery WHERE endpoint_id = $1 AND state = 'sending' \
               AND next_attempt_at IS NOT NULL LIMIT $2) AND state = 'sending'";
    let values = [endpoint_id.0.into(), limit.into(), false.into()];
    Ok(tx.execute_raw(statement(&**tx, sql, values)).await?.rows_affected())
}

/// Messages of a recovery's window that were given up for its endpoint, in the order of their deliveries.
pub(in crate::webhooks) async fn missed_messages(
    connection: &impl ConnectionTrait,
    job: &RecoverWebhookEndpoint,
    after: Option<Place>,
    limit: u64,
) -> Result<Vec<(Place, webhook_message::Model)>> {
    use webhook_delivery::Column;
    let find = webhook_delivery::Entity::find()
        .filter(Column::ProjectId.eq(job.project_id.clone()))
        .filter(Column::EndpointId.eq(job.endpoint_id))
        .filter(Column::CreatedAt.gte(job.since))
        .filter(Column::CreatedAt.lt(job.until))
        // As the condition of an index has it.
        .filter(match job.which {
            Which::Redriven => Expr::cust("state = 'failed'"),
            _ => Column::State.is_in(GIVEN_UP.iter().copied()),
        });
    let find = in_order(find, Column::CreatedAt, Column::Id, after, Order::Asc);
    let missed = find.limit(limit).all(connection).await?;
    let messages = messages_by_ids(connection, missed.iter().map(|delivery| delivery.message_id)).await?;
    let with_message = |delivery: &webhook_delivery::Model| {
        let message = messages.iter().find(|message| message.id == delivery.message_id)?;
        Some((Place { at: delivery.created_at, id: delivery.id.0 }, message.clone()))
    };
    Ok(missed.iter().filter_map(with_message).collect())
}

/// All messages of a recovery's window that stand for events, oldest first.
pub(in crate::webhooks) async fn messages_of_window(
    connection: &impl ConnectionTrait,
    job: &RecoverWebhookEndpoint,
    after: Option<Place>,
    limit: u64,
) -> Result<Vec<(Place, webhook_message::Model)>> {
    use webhook_message::Column;
    let find = webhook_message::Entity::find()
        .filter(Column::ProjectId.eq(job.project_id.clone()))
        .filter(Column::CreatedAt.gte(job.since))
        .filter(Column::CreatedAt.lt(job.until))
        .filter(Column::EventPosition.is_not_null());
    let find = if job.event_types.is_empty() { find } else { find.filter(Column::EventType.is_in(&job.event_types)) };
    let find = if job.which == Which::Missing {
        find.filter(Expr::exists(deliveries_of_message(job.endpoint_id)).not())
    } else {
        find
    };
    let find = in_order(find, Column::CreatedAt, Column::Id, after, Order::Asc);
    let messages = find.limit(limit).all(connection).await?;
    Ok(messages.into_iter().map(|message| (Place { at: message.created_at, id: message.id.0 }, message)).collect())
}

/// Whether the message of the outer query has a delivery to an endpoint.
fn deliveries_of_message(endpoint_id: WebhookEndpointId) -> SelectStatement {
    use webhook_delivery::Column::{EndpointId, MessageId};
    let of_message = Expr::col((webhook_delivery::Entity, MessageId));
    Query::select()
        .expr(Expr::val(1))
        .from(webhook_delivery::Entity)
        .and_where(of_message.equals((webhook_message::Entity, webhook_message::Column::Id)))
        .and_where(EndpointId.eq(endpoint_id))
        .to_owned()
}

/// The deliveries of these messages to an endpoint.
pub(in crate::webhooks) async fn deliveries_to(
    tx: &Tx,
    endpoint_id: WebhookEndpointId,
    message_ids: &[WebhookMessageId],
) -> Result<Vec<webhook_delivery::Model>> {
    use webhook_delivery::Column::{EndpointId, MessageId};
    let find = webhook_delivery::Entity::find()
        .filter(MessageId.is_in(message_ids.iter().copied()))
        .filter(EndpointId.eq(endpoint_id));
    Ok(find.all(&**tx).await?)
}

/// Those of these messages that were sent to an endpoint by hand since then.
pub(in crate::webhooks) async fn sent_by_hand_since(
    tx: &Tx,
    endpoint_id: WebhookEndpointId,
    message_ids: &[WebhookMessageId],
    since: Timestamp,
) -> Result<BTreeSet<WebhookMessageId>> {
    use webhook_attempt::Column::{AttemptedAt, EndpointId, MessageId, TriggerType};
    let ids: Vec<WebhookMessageId> = webhook_attempt::Entity::find()
        .select_only()
        .column(MessageId)
        .filter(MessageId.is_in(message_ids.iter().copied()))
        .filter(EndpointId.eq(endpoint_id))
        .filter(AttemptedAt.gte(since))
        .filter(TriggerType.eq(AttemptTrigger::Manual))
        .into_tuple()
        .all(&**tx)
        .await?;
    Ok(ids.into_iter().collect())
}

/// Puts those of these deliveries that have ended so (`as_these`) back into the line: for one attempt, or for a whole schedule.
/// Answers how many.
pub(in crate::webhooks) async fn send_again(
    tx: &Tx,
    ids: &[WebhookDeliveryId],
    as_these: &[DeliveryState],
    once: bool,
    now: Timestamp,
) -> Result<u64> {
    use webhook_delivery::Column;
    if ids.is_empty() {
        return Ok(0);
    }
    let mut update = webhook_delivery::Entity::update_many()
        .col_expr(Column::State, Expr::value(DeliveryState::Sending.to_value()))
        .col_expr(Column::NextAttemptAt, Expr::value(now))
        .col_expr(Column::Once, Expr::value(once));
    if !once {
        update = update.col_expr(Column::Attempts, Expr::value(0));
    }
    let update = update.filter(Column::Id.is_in(ids.iter().copied())).filter(Column::State.is_in(as_these.to_vec()));
    Ok(update.exec(&**tx).await?.rows_affected)
}

/// Gives deliveries to an endpoint that wants everything in order their places in the line.
pub(in crate::webhooks) async fn line_up(tx: &Tx, ids: &[WebhookDeliveryId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let places: Vec<_> = (1..=ids.len()).map(|place| format!("${place}")).collect();
    let sql = format!(
        "UPDATE webhook_delivery SET line = (SELECT event_position FROM webhook_message m WHERE m.id = message_id) \
         WHERE id IN ({}) AND line IS NULL",
        places.join(", ")
    );
    tx.execute_raw(statement(&**tx, &sql, ids.iter().map(|id| id.0.into()))).await?;
    Ok(())
}

/// Those of these deliveries that were given up.
pub(in crate::webhooks) async fn failed_deliveries(
    tx: &Tx,
    project_id: &ProjectId,
    ids: &[WebhookDeliveryId],
) -> Result<Vec<webhook_delivery::Model>> {
    use webhook_delivery::Column;
    let find = webhook_delivery::Entity::find()
        .filter(Column::Id.is_in(ids.iter().copied()))
        .filter(Column::ProjectId.eq(project_id.clone()))
        .filter(Column::State.is_in(GIVEN_UP.iter().copied()));
    Ok(find.all(&**tx).await?)
}

pub(in crate::webhooks) async fn message(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: WebhookMessageId,
) -> Result<Option<webhook_message::Model>> {
    let find = webhook_message::Entity::find_by_id(id);
    Ok(find.filter(webhook_message::Column::ProjectId.eq(project_id.clone())).one(connection).await?)
}

pub(in crate::webhooks) async fn deliveries_by_ids(
    connection: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = WebhookDeliveryId>,
) -> Result<Vec<webhook_delivery::Model>> {
    Ok(webhook_delivery::Entity::find().filter(webhook_delivery::Column::Id.is_in(ids)).all(connection).await?)
}

pub(in crate::webhooks) async fn messages_by_ids(
    connection: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = WebhookMessageId>,
) -> Result<Vec<webhook_message::Model>> {
    Ok(webhook_message::Entity::find().filter(webhook_message::Column::Id.is_in(ids)).all(connection).await?)
}

/// Writes attempts; answers which of them were not there yet: a transaction whose end was not heard of is repeated.
pub(in crate::webhooks) async fn insert_attempts(
    tx: &Tx,
    rows: Vec<webhook_attempt::Model>,
) -> Result<BTreeSet<WebhookAttemptId>> {
    use webhook_attempt::Column::Id;
    if rows.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    let once = OnConflict::column(Id).do_nothing().to_owned();
    let mut insert = webhook_attempt::Entity::insert_many(rows).on_conflict(once).into_query();
    insert.returning_col(Id);
    let made = tx.query_all(&insert).await?;
    made.iter().map(|row| Ok(WebhookAttemptId(row.try_get::<Uuid>("", "id")?))).collect()
}
