//! Cancelling subscriptions (wire: payments §5). What was paid for is owned until its period ends.

use postern_entity::{
    ProjectId, PurchaseId, StripeOperationId,
    purchase::{self, PurchaseKind, PurchaseStatus},
};

use super::{
    purchases::{self, is_running, owned},
    store,
    stripe::{self, Request},
};
use crate::{
    Actor, Deps, Failure,
    db::Tx,
    error::{Result, refuse},
    items::{Customer, require_access, require_exists},
};

/// What stands for all products that came with requests, where a key is wanted.
pub const INLINE: &str = "_inline";
/// Why a subscription ends at Stripe: whose it is, is gone.
const DELETED: &str = "deleted";

/// Which subscriptions are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// All of a product; none stands for what came with requests.
    Product(Option<String>),
    /// This one.
    Subscription(PurchaseId),
}

/// Cancels: what is not paid at Stripe ends with its period; what is, is cancelled there now and owned until its period ends.
///
/// # Errors
/// Those of [`require_access`]; `USER_NOT_FOUND`, `TEAM_NOT_FOUND`; `BAD_REQUEST` when the customer does not have it, has it for good, or has
/// cancelled it before; `CONFLICT` while something else is being done to it; `UNAVAILABLE` when Stripe is away, which is then
/// done later.
#[crate::boxed]
pub async fn cancel(deps: &Deps, actor: &Actor, customer: &Customer, which: &Cancelled) -> Result<()> {
    require_access(deps, actor, customer).await?;
    // A server may end what a customer left behind who is gone.
    if !actor.is_server() {
        require_exists(deps, &actor.project_id, customer).await?;
    }
    let project_id = &actor.project_id;
    let operations: Vec<StripeOperationId> = deps
        .mutate(actor, "payments.cancel", |tx| async move {
            store::lock_customer(&tx, project_id, customer).await?;
            let mut operations = Vec::new();
            for row in chosen(deps, &tx, actor, customer, which).await? {
                operations.extend(cancel_one(deps, &tx, row).await?);
            }
            Ok(operations)
        })
        .await?;
    for id in operations {
        stripe::run(deps, project_id, id).await?;
    }
    Ok(())
}

async fn chosen(
    deps: &Deps,
    tx: &Tx,
    actor: &Actor,
    customer: &Customer,
    which: &Cancelled,
) -> Result<Vec<purchase::Model>> {
    let now = deps.now();
    let open = store::open_of(&**tx, &actor.project_id, customer, now).await?;
    let meant: Vec<_> = open
        .into_iter()
        .filter(|row| owned(row, now) > 0)
        .filter(|row| match which {
            Cancelled::Product(product_id) => row.product_id == *product_id,
            Cancelled::Subscription(id) => row.id == *id,
        })
        .collect();
    if meant.is_empty() {
        return refuse(Failure::bad_request("The customer does not have this product."));
    }
    if meant.iter().all(|row| row.kind == PurchaseKind::OneTime) {
        return refuse(Failure::bad_request(
            "The customer bought this product once, for good: there is nothing to cancel.",
        ));
    }
    let running: Vec<_> = meant.into_iter().filter(|row| is_running(row, now) && !is_ending(row)).collect();
    if running.is_empty() {
        return refuse(Failure::bad_request("The customer has cancelled this product already."));
    }
    Ok(running)
}

/// One that Stripe knows can still be ended there before its period ends.
fn is_ending(row: &purchase::Model) -> bool {
    row.cancel_at_period_end && row.stripe_id.is_none()
}

async fn cancel_one(deps: &Deps, tx: &Tx, mut row: purchase::Model) -> Result<Option<StripeOperationId>> {
    if let Some(subscription_id) = row.stripe_id.clone() {
        return Ok(Some(stripe::begin(deps, tx, &row, &Request::Cancel { subscription_id }).await?));
    }
    row.cancel_at_period_end = true;
    end_with_period(deps, tx, row).await?;
    Ok(None)
}

async fn end_with_period(deps: &Deps, tx: &Tx, mut row: purchase::Model) -> Result<()> {
    row.status = PurchaseStatus::Canceled;
    row.canceled_at = row.canceled_at.or(Some(deps.now()));
    let end = row.period_end.unwrap_or_else(|| deps.now());
    purchases::end(deps, tx, &mut row, Some(end)).await?;
    store::update(tx, row).await
}

/// Lets everything that a customer pays for at Stripe end there soon after the caller's transaction: the customer is being
/// deleted.
///
/// # Errors
/// Those of the database.
pub(crate) async fn end_all_at_stripe(deps: &Deps, tx: &Tx, project_id: &ProjectId, customer: &Customer) -> Result<()> {
    let open = store::open_of(&**tx, project_id, customer, deps.now()).await?;
    stripe::end_soon(deps, tx, project_id, &open, DELETED).await
}

/// Removes at most `limit` purchases of a project that was deleted; whatever of them is still paid at Stripe ends there soon
/// after the caller's transaction. Answers how many there were.
///
/// # Errors
/// Those of the database.
pub(crate) async fn remove_some(deps: &Deps, tx: &Tx, project_id: &ProjectId, limit: u64) -> Result<u64> {
    let rows = store::some(&**tx, project_id, limit).await?;
    // What was replaced has its own job, and what was cancelled has ended there.
    let goes_on =
        |row: &&purchase::Model| !matches!(row.status, PurchaseStatus::Canceled | PurchaseStatus::IncompleteExpired);
    stripe::end_soon(deps, tx, project_id, rows.iter().filter(goes_on), DELETED).await?;
    store::remove(tx, project_id, rows.iter().map(|row| row.id)).await
}

/// Stripe has ended it.
pub(super) async fn settle(deps: &Deps, tx: &Tx, row: purchase::Model) -> Result<()> {
    // A reading of the subscription may have told so already.
    if row.status == PurchaseStatus::Canceled { Ok(()) } else { end_with_period(deps, tx, row).await }
}
