//! Granting products without payment: by servers, and by trying out a purchase (wire: payments §5, §6).

use postern_entity::{
    ProjectId, PurchaseId,
    purchase::{PurchaseKind, PurchaseSource, PurchaseStatus},
};
use serde::{Deserialize, Serialize};

use super::{
    choice::{self, ProductChoice},
    product::{Price, Version},
    purchases::{self, NewPurchase},
    store, stripe,
};
use crate::{
    Actor, Deps, Failure,
    db::Tx,
    error::{Result, refuse},
    items::{Customer, require_access, require_exists},
};

/// What was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The subscription or one-time purchase.
    pub id: PurchaseId,
    /// Which of both.
    pub kind: PurchaseKind,
}

/// Grants a product, for servers: by its first price, a subscription of one period at a time or a one-time purchase.
///
/// # Errors
/// `FORBIDDEN` for clients; those of the product checks; `USER_NOT_FOUND`, `TEAM_NOT_FOUND`.
#[crate::boxed]
pub async fn grant(
    deps: &Deps,
    actor: &Actor,
    customer: &Customer,
    product: &ProductChoice,
    quantity: i64,
) -> Result<Granted> {
    if !actor.is_server() {
        return refuse(Failure::forbidden("Only servers grant products."));
    }
    require_access(deps, actor, customer).await?;
    require_exists(deps, &actor.project_id, customer).await?;
    let version = &choice::chosen(deps, actor, customer, product).await?;
    deps.mutate(actor, "payments.grant", |tx| async move {
        let price = version.first_price().map(|(id, price)| (id.to_owned(), price.clone()));
        let order = Order { version, price, quantity, source: PurchaseSource::ApiGrant };
        grant_in(deps, &tx, &actor.project_id, customer, order).await
    })
    .await
}

/// What is granted.
pub(super) struct Order<'a> {
    pub(super) version: &'a Version,
    pub(super) price: Option<(String, Price)>,
    pub(super) quantity: i64,
    pub(super) source: PurchaseSource,
}

/// Checks and grants in the caller's transaction. What the customer holds by subscription in the same line ends now.
pub(super) async fn grant_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    customer: &Customer,
    order: Order<'_>,
) -> Result<Granted> {
    let (now, version) = (deps.now(), order.version);
    store::lock_customer(tx, project_id, customer).await?;
    let open = store::open_of(&**tx, project_id, customer, now).await?;
    let conflicts = choice::check(version, customer, order.quantity, &open, now)?;
    for replaced in conflicts.replaced {
        replace(deps, tx, replaced.id, project_id).await?;
    }
    let interval = order.price.as_ref().and_then(|(_, price)| price.interval);
    let (kind, period) = match interval {
        Some(interval) => {
            let end = interval.after(now);
            let Some(end) = end else {
                return refuse(Failure::bad_request(
                    "The interval of the price reaches beyond the end of the calendar.",
                ));
            };
            (PurchaseKind::Subscription, Some((now, end)))
        }
        None => (PurchaseKind::OneTime, None),
    };
    let new = NewPurchase {
        kind,
        version,
        price_id: order.price.map(|(id, _)| id),
        quantity: order.quantity,
        source: order.source,
        status: PurchaseStatus::Active,
        stripe_id: None,
        period,
        created_at: now,
    };
    let Some(mut row) = purchases::add(deps, tx, project_id, customer, new).await? else {
        return refuse(Failure::bad_request("The purchase is there already."));
    };
    purchases::begin(deps, tx, &mut row, version, now).await?;
    let granted = Granted { id: row.id, kind };
    store::update(tx, row).await?;
    Ok(granted)
}

/// Ends a subscription that another product of its line replaces: here now; at Stripe, if it is paid there, soon after.
pub(super) async fn replace(deps: &Deps, tx: &Tx, id: PurchaseId, project_id: &ProjectId) -> Result<()> {
    let Some(mut row) = store::hold(tx, project_id, id).await? else { return Ok(()) };
    let now = deps.now();
    stripe::end_soon(deps, tx, project_id, [&row], "replaced").await?;
    row.status = PurchaseStatus::Canceled;
    row.canceled_at = row.canceled_at.or(Some(now));
    purchases::end(deps, tx, &mut row, Some(now)).await?;
    store::update(tx, row).await
}
