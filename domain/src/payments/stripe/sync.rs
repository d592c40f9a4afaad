//! Reading the subscriptions of a customer from Stripe, and writing down how they stand. A reading that began later has seen
//! all that an earlier one saw, so an earlier one that is written down later changes nothing.

use postern_entity::{
    ProjectId, StripeCustomerId, Timestamp,
    purchase::{self, PurchaseKind, PurchaseSource, PurchaseStatus},
    stripe_customer,
};
use sea_orm::{ConnectionTrait, EntityTrait, QuerySelect};
use serde_json::Value;

use super::{Connected, customer, ending::end_soon, operation::is_pending};
use crate::{
    Deps, ProjectId as Id,
    db::{Backend, Tx, statement},
    error::{Error, Result},
    items::{self, Customer},
    payments::{
        cancel, checkout, grant,
        product::{Product, Version},
        purchases::{self, NewPurchase},
        store, switch,
    },
    ports::stripe::{Metadata, StripeError, StripeSubscription},
};

/// What came of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Synced {
    /// It was written down, or a later one was.
    Done,
    /// The customer is nobody's here.
    Unknown,
}

/// Reads and writes down all subscriptions of a customer.
pub(super) async fn customer(
    deps: &Deps,
    connected: &Connected,
    project_id: &ProjectId,
    stripe_customer_id: &str,
) -> Result<Result<Synced, StripeError>> {
    let known = match customer::known(deps, connected, project_id, stripe_customer_id).await? {
        Ok(Some(known)) => known,
        Ok(None) => return Ok(Ok(Synced::Unknown)),
        Err(error) => return Ok(Err(error)),
    };
    let number = begin(deps, known.id).await?;
    let subscriptions = match connected.api.subscriptions(&connected.account_id, stripe_customer_id).await {
        Ok(subscriptions) => subscriptions,
        Err(StripeError::NotFound(_)) => return gone(deps, project_id, &known).await.map(|()| Ok(Synced::Done)),
        Err(error) => return Ok(Err(error)),
    };
    let (owner, subscriptions) = (&Customer::new(known.customer_type, &known.customer_id), &subscriptions);
    deps.db
        .write(|tx| async move {
            store::lock_customer(&tx, project_id, owner).await?;
            if !is_newest(&tx, known.id, number).await? {
                return Ok(());
            }
            for (index, subscription) in subscriptions.iter().enumerate() {
                // Stripe's clock has whole seconds, and its list the newest first: so what was made in one second is told apart.
                let alike = |other: &&StripeSubscription| other.created == subscription.created;
                let earlier = subscriptions.iter().skip(index + 1).filter(alike).take(999).count();
                let made = subscription.created.plus_millis(i64::try_from(earlier).unwrap_or_default());
                put(deps, &tx, project_id, owner, &StripeSubscription { created: made, ..subscription.clone() })
                    .await?;
            }
            one_of_each_line(deps, &tx, project_id, owner).await
        })
        .await?;
    Ok(Ok(Synced::Done))
}

/// A customer was deleted at Stripe, and its subscriptions with it: what they are owned by ends with the periods that were paid, and
/// whoever buys again is made anew there.
async fn gone(deps: &Deps, project_id: &ProjectId, known: &stripe_customer::Model) -> Result<()> {
    let owner = &Customer::new(known.customer_type, &known.customer_id);
    let (id, is_main) = (known.id, known.is_main);
    deps.db
        .write(|tx| async move {
            store::lock_customer(&tx, project_id, owner).await?;
            tx.execute_raw(statement(&*tx, "UPDATE stripe_customer SET is_main = FALSE WHERE id = $1", [id.0.into()]))
                .await?;
            if !is_main {
                return Ok(());
            }
            let now = deps.now();
            for open in store::open_of(&*tx, project_id, owner, now).await? {
                if open.stripe_id.is_some() && purchases::is_running(&open, now) {
                    cancel::settle(deps, &tx, open).await?;
                }
            }
            Ok(())
        })
        .await
}

/// Lets readings that have begun until now change nothing: something was done at Stripe that they may not have seen.
pub(super) async fn outdate(tx: &Tx, project_id: &ProjectId, customer: &Customer) -> Result<()> {
    let sql = "UPDATE stripe_customer SET syncs_begun = syncs_begun + 1, sync_done = syncs_begun + 1 \
               WHERE project_id = $1 AND customer_type = $2 AND customer_id = $3";
    let values = [project_id.as_str().into(), customer.kind().as_str().into(), customer.id().into()];
    tx.execute_raw(statement(&**tx, sql, values)).await?;
    Ok(())
}

/// The number of a reading that begins now.
async fn begin(deps: &Deps, id: StripeCustomerId) -> Result<i64> {
    let sql = "UPDATE stripe_customer SET syncs_begun = syncs_begun + 1 WHERE id = $1 RETURNING syncs_begun";
    deps.db
        .write(|tx| async move {
            let row = tx.query_one_raw(statement(&*tx, sql, [id.0.into()])).await?;
            let row = row.ok_or_else(|| Error::internal("a customer at Stripe was removed while it was read"))?;
            Ok(row.try_get("", "syncs_begun")?)
        })
        .await
}

/// Whether no later reading was written down. The customer is held from here on, and this reading is the newest.
async fn is_newest(tx: &Tx, id: StripeCustomerId, number: i64) -> Result<bool> {
    let mut select = stripe_customer::Entity::find_by_id(id);
    if tx.backend() == Backend::Postgres {
        select = select.lock_exclusive();
    }
    if select.one(&**tx).await?.is_none_or(|row| row.sync_done > number) {
        return Ok(false);
    }
    let sql = "UPDATE stripe_customer SET sync_done = $1 WHERE id = $2";
    tx.execute_raw(statement(&**tx, sql, [number.into(), id.0.into()])).await?;
    Ok(true)
}

/// Of a line a customer holds one product, add-ons aside, and of one that cannot be stacked one piece: what was bought last
/// replaces the others. Whoever buys on Stripe's own page is not asked before.
pub(super) async fn one_of_each_line(deps: &Deps, tx: &Tx, project_id: &ProjectId, customer: &Customer) -> Result<()> {
    let now = deps.now();
    let open = store::open_of(&**tx, project_id, customer, now).await?;
    let owned: Vec<_> = open.iter().filter(|row| purchases::owned(row, now) > 0).collect();
    let versions = store::versions(&**tx, project_id, owned.iter().map(|row| row.version_id.clone())).await?;
    let stacks = |row: &purchase::Model| versions.get(&row.version_id).is_some_and(|sold| sold.product.stackable);
    for row in owned.iter().filter(|row| purchases::is_running(row, now) && !row.is_add_on) {
        // The oldest comes first.
        let is_replaced = owned.iter().any(|later| {
            let is_later = (later.created_at, later.id) > (row.created_at, row.id);
            let stays = later.kind == PurchaseKind::OneTime || purchases::is_running(later, now);
            let is_same = row.product_id.is_some() && later.product_id == row.product_id;
            let excludes = if is_same {
                !stacks(later)
            } else {
                row.line_id.is_some() && later.line_id == row.line_id && !later.is_add_on
            };
            is_later && stays && excludes
        });
        if is_replaced {
            grant::replace(deps, tx, row.id, project_id).await?;
        }
    }
    Ok(())
}

/// Writes down how a subscription stands, and lets follow what follows: items begin, end, grow and shrink.
async fn put(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    customer: &Customer,
    told: &StripeSubscription,
) -> Result<()> {
    let Some(status) = status(&told.status) else {
        tracing::warn!(subscription = told.id, status = told.status, "Stripe tells of a state that is not known here");
        return Ok(());
    };
    let known = store::hold_by_stripe_id(tx, project_id, &told.id).await?;
    let sold = match (sold(deps, tx, project_id, &told.metadata).await?, &known) {
        (Some(sold), _) => Some(sold),
        // What it says of itself was changed at Stripe; what it was sold as stays.
        (None, Some(row)) => {
            let version = store::version(&**tx, project_id, &row.version_id).await?;
            version.map(|version| (version, row.version_id.clone()))
        }
        (None, None) => None,
    };
    let Some((version, version_id)) = sold else {
        tracing::warn!(subscription = told.id, "a subscription of Stripe that was not sold here");
        return Ok(());
    };
    let price_id = told.metadata.get("priceId").filter(|id| !id.is_empty()).cloned();
    let (mut row, before) = match known {
        Some(row) => (row.clone(), Some(row)),
        None => {
            let new = NewPurchase {
                kind: PurchaseKind::Subscription,
                version: &version,
                price_id: price_id.clone(),
                quantity: told.quantity.clamp(1, items::MAX_QUANTITY),
                source: PurchaseSource::PurchasePage,
                status,
                stripe_id: Some(told.id.clone()),
                period: Some((told.period_start, told.period_end)),
                created_at: told.created,
            };
            // Written by somebody who did not hold the customer: there is nobody like that.
            let Some(row) = purchases::add(deps, tx, project_id, customer, new).await? else { return Ok(()) };
            checkout::spend(deps, tx, project_id, &told.metadata).await?;
            (row, None)
        }
    };
    let (was, now) = (row.status, deps.now());
    if was == PurchaseStatus::Canceled && purchases::is_over(&row, now) {
        return end_again(deps, tx, &row, status, told).await;
    }
    row.status = status;
    (row.period_start, row.period_end) = (Some(told.period_start), Some(told.period_end));
    (row.cancel_at_period_end, row.canceled_at) = (told.cancel_at_period_end, told.canceled_at);
    if price_id.is_some() {
        row.price_id = price_id;
    }
    let runs = matches!(status, PurchaseStatus::Active | PurchaseStatus::Trialing);
    if runs {
        pieces(deps, tx, &mut row, (&version, &version_id), told).await?;
    }
    let (ends_at, is_over) = (ends_at(&row, told, now), purchases::is_over(&row, now));
    if is_over && runs && row.started > 0 && ends_at.is_none_or(|end| end > now) {
        // It was given up and is paid again: what ended stays so, and it begins anew.
        row.ends_at = ends_at;
        purchases::begin(deps, tx, &mut row, &version, now).await?;
    } else if ends_at != row.ends_at && !is_over {
        purchases::end(deps, tx, &mut row, ends_at).await?;
    }
    if runs && row.started == 0 {
        // By Stripe's clock, so that it is the same whichever event tells of it.
        purchases::begin(deps, tx, &mut row, &version, told.created).await?;
    }
    if before.as_ref() == Some(&row) { Ok(()) } else { store::update(tx, row).await }
}

/// One that is over for good: replaced by another purchase, or ended at Stripe. If it goes on there, ending it has failed.
async fn end_again(
    deps: &Deps,
    tx: &Tx,
    row: &purchase::Model,
    status: PurchaseStatus,
    told: &StripeSubscription,
) -> Result<()> {
    if matches!(status, PurchaseStatus::Canceled | PurchaseStatus::IncompleteExpired) {
        return Ok(());
    }
    end_soon(deps, tx, &row.project_id, [row], &format!("replaced:{}", told.period_start.seconds())).await
}

/// A subscription whose first invoice was paid begins, whatever became of it since.
pub(super) async fn begin_paid(deps: &Deps, tx: &Tx, row: purchase::Model) -> Result<()> {
    if row.started > 0 {
        return Ok(());
    }
    let Some(version) = store::version(&**tx, &row.project_id, &row.version_id).await? else { return Ok(()) };
    let mut row = row;
    let at = row.created_at;
    purchases::begin(deps, tx, &mut row, &version, at).await?;
    store::update(tx, row).await
}

/// What it is for, and for how many pieces. While a change is under way, its outcome says so.
async fn pieces(
    deps: &Deps,
    tx: &Tx,
    row: &mut purchase::Model,
    (version, version_id): (&Version, &str),
    told: &StripeSubscription,
) -> Result<()> {
    if is_pending(tx, row.id).await? {
        return Ok(());
    }
    let limited = told.quantity.clamp(1, items::MAX_QUANTITY);
    if row.version_id != version_id {
        return switch::become_version(deps, tx, row, version, version_id, limited).await;
    }
    let left = row.quantity - row.revoked_quantity;
    // One that was paid back wholly keeps its quantity at Stripe until it ends.
    if left == 0 || told.quantity == left || told.quantity < 1 {
        return Ok(());
    }
    row.quantity = told.quantity + row.revoked_quantity;
    if row.started == 0 {
        return Ok(());
    }
    if told.quantity > left {
        purchases::add_pieces(deps, tx, row, version, told.quantity - left).await
    } else {
        purchases::rescale(deps, tx, row, left, told.quantity).await
    }
}

/// When the subscription is over, if that is known. What was paid is owned until its period ends (wire: payments §9), also
/// of one that was cancelled before.
fn ends_at(row: &purchase::Model, told: &StripeSubscription, now: Timestamp) -> Option<Timestamp> {
    match row.status {
        PurchaseStatus::IncompleteExpired => Some(told.ended_at.unwrap_or(told.created)),
        // What it has when nobody pays is what was paid before.
        PurchaseStatus::Unpaid | PurchaseStatus::Paused => {
            Some(row.ends_at.filter(|end| *end <= now).or(told.ended_at).unwrap_or(now))
        }
        // Replaced here before its period was over.
        PurchaseStatus::Canceled if row.ends_at.is_some_and(|end| end <= now) => row.ends_at,
        PurchaseStatus::Canceled => Some(told.period_end),
        _ if told.cancel_at_period_end => Some(told.period_end),
        _ => None,
    }
}

fn status(text: &str) -> Option<PurchaseStatus> {
    serde_json::from_value(Value::String(text.to_owned())).ok()
}

/// What was sold, by what the purchase wrote into Stripe's object: the version; else the product itself, as older versions
/// of the contract wrote it (wire: payments §9).
pub(super) async fn sold(
    deps: &Deps,
    tx: &Tx,
    project_id: &Id,
    metadata: &Metadata,
) -> Result<Option<(Version, String)>> {
    if let Some(id) = metadata.get("productVersionId").filter(|id| !id.is_empty()) {
        return Ok(store::version(&**tx, project_id, id).await?.map(|version| (version, id.clone())));
    }
    let text = |key: &str| metadata.get(key).filter(|text| !text.is_empty());
    let Some(json) = text("product").or_else(|| text("offer")) else { return Ok(None) };
    let Ok(product) = serde_json::from_str::<Product>(json) else { return Ok(None) };
    let product_id = text("productId").or_else(|| text("offerId")).filter(|id| *id != "null").cloned();
    let mut version = match Version::inline(product) {
        Ok(version) => version,
        Err(Error::Refused(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    version.product_id = product_id;
    let id = store::keep_version(tx, project_id, &version, deps.now()).await?;
    Ok(Some((version, id)))
}
