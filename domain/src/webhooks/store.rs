//! Queries of webhooks, scoped by project. Those without a project belong to the delivery of many projects' messages at a
//! time, which compares the projects of the rows itself.

use std::collections::BTreeSet;

use postern_entity::{
    ProjectId, Timestamp, WebhookDeliveryId, WebhookEndpointId, WebhookMessageId, project, webhook_attempt,
    webhook_delivery::{self, DeliveryState},
    webhook_endpoint, webhook_message, webhook_secret,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, LockType, OnConflict, Query},
};
use uuid::Uuid;

use super::Place;
use crate::{Result, db::Tx};

/// Makes others wait who change what is counted per project. Does not stop those who only refer to the project.
pub(super) async fn lock_project(tx: &Tx, id: &ProjectId) -> Result<()> {
    project::Entity::find_by_id(id.clone()).lock(LockType::NoKeyUpdate).one(&**tx).await?;
    Ok(())
}

fn live_endpoints(project_id: &ProjectId) -> Select<webhook_endpoint::Entity> {
    webhook_endpoint::Entity::find()
        .filter(webhook_endpoint::Column::ProjectId.eq(project_id.clone()))
        .filter(webhook_endpoint::Column::DeletedAt.is_null())
}

pub(super) async fn endpoint(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: WebhookEndpointId,
) -> Result<Option<webhook_endpoint::Model>> {
    Ok(live_endpoints(project_id).filter(webhook_endpoint::Column::Id.eq(id)).one(connection).await?)
}

pub(super) async fn endpoint_for_update(
    tx: &Tx,
    project_id: &ProjectId,
    id: WebhookEndpointId,
) -> Result<Option<webhook_endpoint::Model>> {
    let find = live_endpoints(project_id).filter(webhook_endpoint::Column::Id.eq(id));
    Ok(find.lock(LockType::NoKeyUpdate).one(&**tx).await?)
}

pub(super) async fn endpoints(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    after: Option<Place>,
    limit: u64,
) -> Result<Vec<webhook_endpoint::Model>> {
    use webhook_endpoint::Column::{CreatedAt, Id};
    let find = in_order(live_endpoints(project_id), CreatedAt, Id, after, Order::Asc);
    Ok(find.limit(limit).all(connection).await?)
}

pub(super) async fn endpoints_by_ids(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    ids: &[WebhookEndpointId],
) -> Result<Vec<webhook_endpoint::Model>> {
    let find = live_endpoints(project_id).filter(webhook_endpoint::Column::Id.is_in(ids.iter().copied()));
    Ok(find.all(connection).await?)
}

pub(super) async fn count_endpoints(connection: &impl ConnectionTrait, project_id: &ProjectId) -> Result<u64> {
    Ok(live_endpoints(project_id).count(connection).await?)
}

pub(super) async fn insert_endpoint(tx: &Tx, row: webhook_endpoint::Model) -> Result<()> {
    webhook_endpoint::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

pub(super) async fn update_endpoint(tx: &Tx, row: webhook_endpoint::Model) -> Result<()> {
    row.into_active_model().reset_all().update(&**tx).await?;
    Ok(())
}

/// The secrets of endpoints, those of one endpoint newest first.
pub(super) async fn secrets(
    connection: &impl ConnectionTrait,
    endpoint_ids: &[WebhookEndpointId],
) -> Result<Vec<webhook_secret::Model>> {
    Ok(webhook_secret::Entity::find()
        .filter(webhook_secret::Column::EndpointId.is_in(endpoint_ids.iter().copied()))
        .order_by_desc(webhook_secret::Column::Generation)
        .all(connection)
        .await?)
}

pub(super) async fn insert_secret(tx: &Tx, row: webhook_secret::Model) -> Result<()> {
    webhook_secret::Entity::insert(row.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

pub(super) async fn expire_secret(
    tx: &Tx,
    endpoint_id: WebhookEndpointId,
    generation: i32,
    at: Timestamp,
) -> Result<()> {
    webhook_secret::Entity::update_many()
        .col_expr(webhook_secret::Column::ExpiresAt, Expr::value(at))
        .filter(webhook_secret::Column::EndpointId.eq(endpoint_id))
        .filter(webhook_secret::Column::Generation.eq(generation))
        .exec(&**tx)
        .await?;
    Ok(())
}

pub(super) async fn delete_secrets(tx: &Tx, endpoint_id: WebhookEndpointId, generations: Vec<i32>) -> Result<()> {
    webhook_secret::Entity::delete_many()
        .filter(webhook_secret::Column::EndpointId.eq(endpoint_id))
        .filter(webhook_secret::Column::Generation.is_in(generations))
        .exec(&**tx)
        .await?;
    Ok(())
}

pub(super) async fn delete_all_secrets(tx: &Tx, endpoint_id: WebhookEndpointId) -> Result<()> {
    webhook_secret::Entity::delete_many()
        .filter(webhook_secret::Column::EndpointId.eq(endpoint_id))
        .exec(&**tx)
        .await?;
    Ok(())
}

/// The endpoints, disabled ones included, of several projects: for the fan-out.
pub(super) async fn endpoints_of_projects(
    tx: &Tx,
    project_ids: BTreeSet<&ProjectId>,
) -> Result<Vec<webhook_endpoint::Model>> {
    use webhook_endpoint::Column;
    Ok(webhook_endpoint::Entity::find()
        .filter(Column::ProjectId.is_in(project_ids.into_iter().cloned()))
        .filter(Column::DeletedAt.is_null())
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(&**tx)
        .await?)
}

/// Writes messages; answers those whose event had none yet.
pub(super) async fn insert_messages(tx: &Tx, rows: &[webhook_message::Model]) -> Result<BTreeSet<WebhookMessageId>> {
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
            ])
            .map_err(crate::Error::internal)?;
    }
    insert.on_conflict(OnConflict::column(Column::EventPosition).do_nothing().to_owned()).returning_col(Column::Id);
    let made = tx.query_all(&insert).await?;
    made.iter().map(|row| Ok(WebhookMessageId(row.try_get::<Uuid>("", "id")?))).collect()
}

pub(super) async fn insert_deliveries(tx: &Tx, rows: Vec<webhook_delivery::Model>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    webhook_delivery::Entity::insert_many(rows).exec_without_returning(&**tx).await?;
    Ok(())
}

/// The delivery of a message to an endpoint; made from `row` when there is none.
pub(super) async fn delivery_or_insert(tx: &Tx, row: webhook_delivery::Model) -> Result<WebhookDeliveryId> {
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

/// Deliveries to an endpoint that were given up, of messages made in `[since, until)`, oldest first.
pub(super) async fn missed_deliveries(
    tx: &Tx,
    (project_id, endpoint_id): (&ProjectId, WebhookEndpointId),
    (since, until): (Timestamp, Timestamp),
    after: Option<Place>,
    limit: u64,
) -> Result<Vec<webhook_delivery::Model>> {
    use webhook_delivery::Column;
    let find = webhook_delivery::Entity::find()
        .filter(Column::ProjectId.eq(project_id.clone()))
        .filter(Column::EndpointId.eq(endpoint_id))
        .filter(Column::CreatedAt.gte(since))
        .filter(Column::CreatedAt.lt(until))
        .filter(Column::State.is_in([DeliveryState::Failed, DeliveryState::Dropped]));
    let find = in_order(find, Column::CreatedAt, Column::Id, after, Order::Asc);
    Ok(find.limit(limit).all(&**tx).await?)
}

pub(super) async fn message(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: WebhookMessageId,
) -> Result<Option<webhook_message::Model>> {
    let find = webhook_message::Entity::find_by_id(id);
    Ok(find.filter(webhook_message::Column::ProjectId.eq(project_id.clone())).one(connection).await?)
}

pub(super) async fn deliveries_by_ids(
    connection: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = WebhookDeliveryId>,
) -> Result<Vec<webhook_delivery::Model>> {
    Ok(webhook_delivery::Entity::find().filter(webhook_delivery::Column::Id.is_in(ids)).all(connection).await?)
}

pub(super) async fn messages_by_ids(
    connection: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = WebhookMessageId>,
) -> Result<Vec<webhook_message::Model>> {
    Ok(webhook_message::Entity::find().filter(webhook_message::Column::Id.is_in(ids)).all(connection).await?)
}

/// Deleted ones included: what waits for them must be dropped.
pub(super) async fn any_endpoints_by_ids(
    connection: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = WebhookEndpointId>,
) -> Result<Vec<webhook_endpoint::Model>> {
    Ok(webhook_endpoint::Entity::find().filter(webhook_endpoint::Column::Id.is_in(ids)).all(connection).await?)
}

pub(super) async fn insert_attempts(tx: &Tx, rows: Vec<webhook_attempt::Model>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    webhook_attempt::Entity::insert_many(rows).exec_without_returning(&**tx).await?;
    Ok(())
}

/// `select` in the order of (`at`, `id`), after `place`.
pub(super) fn in_order<E, C>(select: Select<E>, at: C, id: C, after: Option<Place>, order: Order) -> Select<E>
where
    E: EntityTrait,
    C: ColumnTrait,
{
    let select = match after {
        None => select,
        Some(place) => {
            let here = Expr::tuple([Expr::col(at.as_column_ref()), Expr::col(id.as_column_ref())]);
            let there = Expr::tuple([Expr::value(place.at), Expr::value(place.id)]);
            select.filter(if order == Order::Asc { here.gt(there) } else { here.lt(there) })
        }
    };
    select.order_by(at, order.clone()).order_by(id, order)
}
