//! Queries of what was sold, each scoped by project. None begins a transaction.

use postern_entity::{
    ProjectId, PurchaseId, Timestamp, product_version,
    purchase::{self, Column, PurchaseKind},
    purchase_invoice,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use super::product::Version;
use crate::{
    db::{Backend, Tx, statement},
    error::{Error, Result},
    items::Customer,
};

/// The most purchases of one customer that rules look at: the newest.
const MAX_OF_CUSTOMER: u64 = 10_000;

fn of_project(project_id: &ProjectId) -> Select<purchase::Entity> {
    purchase::Entity::find().filter(Column::ProjectId.eq(project_id.clone()))
}

/// Lets nobody else change what a customer has bought until the transaction ends. Taken before any purchase is held.
pub(super) async fn lock_customer(tx: &Tx, project_id: &ProjectId, customer: &Customer) -> Result<()> {
    if tx.backend() == Backend::Postgres {
        // There may be no row to hold yet. Of the transaction, so it works behind a transaction pooler.
        let name = format!("purchases/{project_id}/{}/{}", customer.kind().as_str(), customer.id());
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        tx.execute_raw(statement(&**tx, sql, [name.into()])).await?;
    }
    Ok(())
}

/// What a customer has bought and what is not over at `now`, oldest first.
pub(super) async fn open_of(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    customer: &Customer,
    now: Timestamp,
) -> Result<Vec<purchase::Model>> {
    let mut rows = of_project(project_id)
        .filter(Column::CustomerType.eq(customer.kind()))
        .filter(Column::CustomerId.eq(customer.id()))
        .filter(Condition::any().add(Column::EndsAt.is_null()).add(Column::EndsAt.gt(now)))
        // What was taken back wholly stays in the table; only a subscription may go on at Stripe.
        .filter(
            Condition::any()
                .add(Column::Kind.eq(PurchaseKind::Subscription))
                .add(Expr::col(Column::RevokedQuantity).lt(Expr::col(Column::Quantity))),
        )
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .limit(MAX_OF_CUSTOMER)
        .all(connection)
        .await?;
    rows.reverse();
    Ok(rows)
}

/// A purchase.
pub(super) async fn find(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: PurchaseId,
) -> Result<Option<purchase::Model>> {
    Ok(of_project(project_id).filter(Column::Id.eq(id)).one(connection).await?)
}

/// A purchase, held until the transaction ends.
pub(super) async fn hold(tx: &Tx, project_id: &ProjectId, id: PurchaseId) -> Result<Option<purchase::Model>> {
    let mut select = of_project(project_id).filter(Column::Id.eq(id));
    if tx.backend() == Backend::Postgres {
        select = select.lock_exclusive();
    }
    Ok(select.one(&**tx).await?)
}

/// What Stripe calls so.
pub(super) async fn by_stripe_id(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    stripe_id: &str,
) -> Result<Option<purchase::Model>> {
    Ok(of_project(project_id).filter(Column::StripeId.eq(stripe_id)).one(connection).await?)
}

/// What Stripe calls so, held until the transaction ends.
pub(super) async fn hold_by_stripe_id(
    tx: &Tx,
    project_id: &ProjectId,
    stripe_id: &str,
) -> Result<Option<purchase::Model>> {
    let mut select = of_project(project_id).filter(Column::StripeId.eq(stripe_id));
    if tx.backend() == Backend::Postgres {
        select = select.lock_exclusive();
    }
    Ok(select.one(&**tx).await?)
}

/// Writes a new purchase. Answers whether it is new: one of the same Stripe id may have been written meanwhile.
pub(super) async fn insert(tx: &Tx, row: &purchase::Model) -> Result<bool> {
    let inserted = purchase::Entity::insert(row.clone().into_active_model())
        .on_conflict(OnConflict::columns([Column::ProjectId, Column::StripeId]).do_nothing().to_owned())
        .exec_without_returning(&**tx)
        .await?;
    Ok(inserted > 0)
}

/// Writes a purchase that is held.
pub(super) async fn update(tx: &Tx, row: purchase::Model) -> Result<()> {
    let row = ActiveModelTrait::reset_all(row.into_active_model());
    purchase::Entity::update(row).exec_without_returning(&**tx).await?;
    Ok(())
}

/// At most `limit` purchases of a project, whichever.
pub(super) async fn some(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    limit: u64,
) -> Result<Vec<purchase::Model>> {
    Ok(of_project(project_id).limit(limit).all(connection).await?)
}

/// Removes purchases, with what hangs on them. Answers how many there were.
pub(super) async fn remove(tx: &Tx, project_id: &ProjectId, ids: impl IntoIterator<Item = PurchaseId>) -> Result<u64> {
    let removed = purchase::Entity::delete_many()
        .filter(Column::ProjectId.eq(project_id.clone()))
        .filter(Column::Id.is_in(ids))
        .exec(&**tx)
        .await?;
    Ok(removed.rows_affected)
}

/// Keeps a version of a product; answers what names it.
pub(super) async fn keep_version(tx: &Tx, project_id: &ProjectId, version: &Version, now: Timestamp) -> Result<String> {
    let id = version.id()?;
    let row = product_version::Model {
        project_id: project_id.clone(),
        id: id.clone(),
        product_id: version.product_id.clone(),
        product: serde_json::to_value(version).map_err(Error::internal)?,
        created_at: now,
    };
    let columns = [product_version::Column::ProjectId, product_version::Column::Id];
    product_version::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::columns(columns).do_nothing().to_owned())
        .exec_without_returning(&**tx)
        .await?;
    Ok(id)
}

/// Versions by what names them.
pub(super) async fn versions(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    ids: impl IntoIterator<Item = String>,
) -> Result<std::collections::HashMap<String, Version>> {
    let rows = product_version::Entity::find()
        .filter(product_version::Column::ProjectId.eq(project_id.clone()))
        .filter(product_version::Column::Id.is_in(ids))
        .all(connection)
        .await?;
    rows.into_iter().map(|row| Ok((row.id, serde_json::from_value(row.product).map_err(Error::internal)?))).collect()
}

/// The version that is called so.
pub(super) async fn version(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: &str,
) -> Result<Option<Version>> {
    Ok(versions(connection, project_id, [id.to_owned()]).await?.remove(id))
}

/// Writes an invoice as it is now. Its purchase is held. What was read before it was paid, and comes later, changes nothing.
pub(super) async fn put_invoice(tx: &Tx, row: purchase_invoice::Model) -> Result<()> {
    use purchase_invoice::Column;
    let rank = |status: Option<&str>| match status {
        Some("paid" | "void") => 3,
        Some("uncollectible") => 2,
        Some("open") => 1,
        _ => 0,
    };
    let known = purchase_invoice::Entity::find_by_id((row.project_id.clone(), row.id.clone())).one(&**tx).await?;
    if known.is_some_and(|known| rank(known.status.as_deref()) > rank(row.status.as_deref())) {
        return Ok(());
    }
    let changed = [
        Column::Status,
        Column::Total,
        Column::AmountPaid,
        Column::HostedUrl,
        Column::PaymentIntentId,
        Column::IsCreation,
    ];
    purchase_invoice::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::columns([Column::ProjectId, Column::Id]).update_columns(changed).to_owned())
        .exec_without_returning(&**tx)
        .await?;
    Ok(())
}

/// An invoice of a subscription.
pub(super) async fn invoice(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    purchase_id: PurchaseId,
    id: &str,
) -> Result<Option<purchase_invoice::Model>> {
    Ok(purchase_invoice::Entity::find_by_id((project_id.clone(), id.to_owned()))
        .filter(purchase_invoice::Column::PurchaseId.eq(purchase_id))
        .one(connection)
        .await?)
}

/// The invoice that a subscription began with.
pub(super) async fn creation_invoice(
    connection: &impl ConnectionTrait,
    project_id: &ProjectId,
    id: PurchaseId,
) -> Result<Option<purchase_invoice::Model>> {
    Ok(purchase_invoice::Entity::find()
        .filter(purchase_invoice::Column::ProjectId.eq(project_id.clone()))
        .filter(purchase_invoice::Column::PurchaseId.eq(id))
        .filter(purchase_invoice::Column::IsCreation.eq(true))
        .one(connection)
        .await?)
}
