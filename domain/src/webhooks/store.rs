//! Queries of webhooks, scoped by project. Those without a project belong to the delivery of many projects' messages at a
//! time, which compares the projects of the rows itself.

use std::collections::BTreeSet;

use postern_entity::{ProjectId, Timestamp, WebhookEndpointId, project, webhook_endpoint, webhook_secret};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::Place;
use crate::{
    Result,
    db::{Tx, statement},
    queue::placeholders,
};

mod sent;

pub(super) use sent::*;

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

/// Those of the config file.
pub(super) async fn configured_endpoints(tx: &Tx, project_id: &ProjectId) -> Result<Vec<webhook_endpoint::Model>> {
    let find = live_endpoints(project_id).filter(webhook_endpoint::Column::ConfigKey.is_not_null());
    Ok(find.order_by_asc(webhook_endpoint::Column::Id).lock(LockType::NoKeyUpdate).all(&**tx).await?)
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

/// Endpoints, and the addresses that they had when something was heard of them.
pub(super) type Places<'a> = BTreeSet<(WebhookEndpointId, &'a str)>;

/// A receiver was found there.
pub(super) async fn clear_misses(tx: &Tx, places: &Places<'_>) -> Result<()> {
    set_at(tx, places, "misses = 0, pauses = 0, paused_until = NULL", "misses <> 0").await
}

/// A message has arrived there.
pub(super) async fn stop_clocks(tx: &Tx, places: &Places<'_>) -> Result<()> {
    set_at(tx, places, "failing_since = NULL", "failing_since IS NOT NULL").await
}

/// Changes endpoints where that is called for, and which are there still.
async fn set_at(tx: &Tx, places: &Places<'_>, change: &str, condition: &str) -> Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE webhook_endpoint SET {change} FROM (VALUES {}) AS v \
         WHERE webhook_endpoint.id = v.column1 AND webhook_endpoint.url = v.column2 AND {condition}",
        placeholders(places.len(), 2)
    );
    let values = places.iter().flat_map(|(id, url)| [sea_orm::Value::from(id.0), (*url).into()]);
    tx.execute_raw(statement(&**tx, &sql, values)).await?;
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

/// Deleted ones included: what waits for them must be dropped.
pub(super) async fn any_endpoints_by_ids(
    connection: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = WebhookEndpointId>,
) -> Result<Vec<webhook_endpoint::Model>> {
    Ok(webhook_endpoint::Entity::find().filter(webhook_endpoint::Column::Id.is_in(ids)).all(connection).await?)
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
