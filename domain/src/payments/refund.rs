//! Paying back, and taking back what was sold (wire: payments §8): once per purchase. What was granted stays; what would have
//! been granted again is for the pieces that are left.

use postern_entity::{
    PurchaseId, StripeOperationId,
    purchase::{self, PurchaseKind, PurchaseSource, PurchaseStatus},
    purchase_invoice,
};
use serde_json::{Value, json};

use super::{
    money::{Currency, times},
    purchases, store,
    stripe::{self, Connected, Request, account::TENANCY_ID},
};
use crate::{
    Actor, Code, Deps, Failure, Level,
    db::Tx,
    error::{Result, refuse},
    ports::stripe::{Metadata, StripeError},
};

/// What is to be paid back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundPurchase {
    /// What sort of purchase.
    pub kind: PurchaseKind,
    /// Which.
    pub id: PurchaseId,
    /// What of it.
    pub entries: Vec<RefundEntry>,
    /// Which invoice of a subscription is paid back; the one that it began with when not given.
    pub invoice_id: Option<String>,
    /// What becomes of the rest, as newer clients ask: nothing when not given.
    pub end: Option<RefundEnd>,
}

/// How a purchase ends that is paid back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundEnd {
    /// All of it is taken back.
    Now,
    /// A subscription goes on until its period ends.
    WithPeriod,
}

/// A part of a transaction that is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundEntry {
    /// Which entry of the transaction; a purchase's product is always 0.
    pub entry_index: i64,
    /// How many pieces are taken back; none, when only money is paid back.
    pub quantity: i64,
    /// How much is paid back, as text: US dollars.
    pub amount_usd: String,
}

/// Pays back and takes back, for administrators.
///
/// # Errors
/// `FORBIDDEN`; `SUBSCRIPTION_INVOICE_NOT_FOUND`, `ONE_TIME_PURCHASE_NOT_FOUND`; `SUBSCRIPTION_ALREADY_REFUNDED`,
/// `ONE_TIME_PURCHASE_ALREADY_REFUNDED`; `TEST_MODE_PURCHASE_NON_REFUNDABLE`; `SCHEMA_ERROR` for entries that are not there
/// or more than was paid; `CONFLICT` while something else is being done to the purchase; `UNAVAILABLE` when Stripe is away, which
/// is then done later.
#[crate::boxed]
pub async fn refund(deps: &Deps, actor: &Actor, wanted: &RefundPurchase) -> Result<()> {
    if actor.level < Level::Admin {
        return refuse(Failure::forbidden("Only administrators of the project pay back."));
    }
    let project_id = &actor.project_id;
    let id: StripeOperationId = deps
        .mutate(actor, "payments.refund", |tx| async move {
            let row = store::find(&*tx, project_id, wanted.id).await?.filter(|row| row.kind == wanted.kind);
            let Some(row) = row else { return refuse(unknown(wanted)) };
            store::lock_customer(&tx, project_id, &purchases::customer_of(&row)).await?;
            let Some(row) = store::hold(&tx, project_id, wanted.id).await? else { return refuse(unknown(wanted)) };
            let request = request(&tx, &row, wanted).await?;
            stripe::begin(deps, &tx, &row, &Request::Refund(request)).await
        })
        .await?;
    stripe::run(deps, project_id, id).await
}

fn unknown(wanted: &RefundPurchase) -> Failure {
    match wanted.kind {
        PurchaseKind::Subscription => {
            Failure::new(Code::SubscriptionInvoiceNotFound, "There is no such subscription that was paid.")
                .with(json!({ "subscription_invoice_id": wanted.id }))
        }
        PurchaseKind::OneTime => {
            Failure::new(Code::OneTimePurchaseNotFound, "There is no such purchase that was paid.")
                .with(json!({ "one_time_purchase_id": wanted.id }))
        }
    }
}

/// All that the calls need.
async fn request(tx: &Tx, row: &purchase::Model, wanted: &RefundPurchase) -> Result<stripe::Refund> {
    let invoice = match row.kind {
        PurchaseKind::Subscription => match invoice_of(tx, row, wanted.invoice_id.as_deref()).await? {
            Some(invoice) => Some(invoice),
            None => return refuse(unknown(wanted)),
        },
        PurchaseKind::OneTime if row.source == PurchaseSource::ApiGrant => return refuse(unknown(wanted)),
        PurchaseKind::OneTime => None,
    };
    if row.refunded_at.is_some() {
        return refuse(match row.kind {
            PurchaseKind::Subscription => {
                Failure::new(Code::SubscriptionAlreadyRefunded, "This subscription was refunded before.")
                    .with(json!({ "subscription_id": row.id }))
            }
            PurchaseKind::OneTime => {
                Failure::new(Code::OneTimePurchaseAlreadyRefunded, "This purchase was refunded before.")
                    .with(json!({ "one_time_purchase_id": row.id }))
            }
        });
    }
    if row.source == PurchaseSource::TestMode {
        let text = "This purchase was only tried out: nothing was paid.";
        return refuse(Failure::new(Code::TestModePurchaseNonRefundable, text));
    }
    let paid = match &invoice {
        Some(invoice) => Some(invoice.amount_paid),
        None => price_of(tx, row).await?,
    };
    let Some(paid) = paid else {
        return refuse(Failure::schema("refund_entries is about a purchase that was not paid in US dollars"));
    };
    let pieces = row.quantity - row.revoked_quantity;
    let (quantity, cents) = sum(wanted, pieces, paid)?;
    let quantity = if wanted.end == Some(RefundEnd::Now) { pieces } else { quantity };
    let ends_with_period = wanted.end == Some(RefundEnd::WithPeriod);
    if ends_with_period && row.kind == PurchaseKind::OneTime {
        return refuse(Failure::schema("end_action is at-period-end, but a one-time purchase has no periods"));
    }
    let is_subscription = row.kind == PurchaseKind::Subscription;
    let payment =
        if is_subscription { invoice.and_then(|invoice| invoice.payment_intent_id) } else { row.stripe_id.clone() };
    if cents > 0 && payment.is_none() {
        return refuse(Failure::schema("refund_entries pays back more than was paid: nothing"));
    }
    Ok(stripe::Refund {
        payment_intent_id: payment.filter(|_| cents > 0),
        cents,
        quantity,
        of: pieces,
        ends_with_period,
        subscription_id: row.stripe_id.clone().filter(|_| {
            is_subscription && (quantity > 0 || ends_with_period) && row.status != PurchaseStatus::Canceled
        }),
        metadata: metadata(row),
    })
}

/// By what a refund at Stripe names its purchase.
fn metadata(row: &purchase::Model) -> Metadata {
    let pairs = [(TENANCY_ID, row.project_id.0.clone()), ("purchaseId", row.id.to_string())];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// All of a one-time purchase, for which so much was paid.
pub(super) fn of_all(row: &purchase::Model, cents: i64) -> stripe::Refund {
    stripe::Refund {
        payment_intent_id: row.stripe_id.clone(),
        cents,
        quantity: row.quantity,
        of: row.quantity,
        ends_with_period: false,
        subscription_id: None,
        metadata: metadata(row),
    }
}

async fn invoice_of(tx: &Tx, row: &purchase::Model, id: Option<&str>) -> Result<Option<purchase_invoice::Model>> {
    match id {
        Some(id) => store::invoice(&**tx, &row.project_id, row.id, id).await,
        None => store::creation_invoice(&**tx, &row.project_id, row.id).await,
    }
}

async fn price_of(tx: &Tx, row: &purchase::Model) -> Result<Option<i64>> {
    let Some(version) = store::version(&**tx, &row.project_id, &row.version_id).await? else { return Ok(None) };
    let price = row.price_id.as_ref().and_then(|id| version.product.prices.get(id));
    Ok(price.and_then(super::product::Price::cents).and_then(|cents| times(cents, row.quantity)))
}

/// Pieces and cents of all entries.
fn sum(wanted: &RefundPurchase, pieces: i64, paid: i64) -> Result<(i64, i64)> {
    let [entry] = wanted.entries.as_slice() else {
        return refuse(Failure::schema("refund_entries must name the product of the purchase once: its entry 0"));
    };
    if entry.entry_index != 0 {
        return refuse(Failure::schema("refund_entries[0].entry_index must be 0, the product of the purchase"));
    }
    if !(0..=pieces).contains(&entry.quantity) {
        return refuse(Failure::schema(format!("refund_entries[0].quantity must be 0 to {pieces}")));
    }
    let Some(cents) = Currency::Usd.parse(&entry.amount_usd) else {
        return refuse(Failure::schema("refund_entries[0].amount_usd must be an amount such as 5 or 4.99"));
    };
    if cents > paid {
        let paid = Currency::Usd.text(paid);
        return refuse(Failure::schema(format!("refund_entries[0].amount_usd must be at most what was paid, {paid}")));
    }
    Ok((entry.quantity, cents))
}

/// The calls at Stripe.
pub(super) async fn call(connected: &Connected, wanted: &stripe::Refund, key: &str) -> Result<Value, StripeError> {
    let (api, account_id) = (&connected.api, &connected.account_id);
    let refund_id = match &wanted.payment_intent_id {
        Some(id) => Some(api.refund(account_id, id, wanted.cents, &wanted.metadata, key).await?),
        None => None,
    };
    if let Some(id) = &wanted.subscription_id {
        let left = if wanted.ends_with_period { 0 } else { wanted.of - wanted.quantity };
        match api.reduce_subscription(account_id, id, left, &format!("{key}-reduce")).await {
            // It has ended: there is nothing to lower. Whatever was paid back stays paid back.
            Ok(()) | Err(StripeError::Refused { .. } | StripeError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(json!({ "refund_id": refund_id }))
}

/// Stripe has paid it back.
pub(super) async fn settle(deps: &Deps, tx: &Tx, mut row: purchase::Model, wanted: &stripe::Refund) -> Result<()> {
    row.refunded_at = Some(deps.now());
    row.revoked_quantity += wanted.quantity.min(row.quantity - row.revoked_quantity);
    let left = wanted.of - wanted.quantity;
    if wanted.quantity > 0 {
        purchases::rescale(deps, tx, &mut row, wanted.of, left).await?;
    }
    if row.kind == PurchaseKind::Subscription && (left == 0 || wanted.ends_with_period) {
        row.cancel_at_period_end = true;
        let end = row.ends_at.or(row.period_end);
        purchases::end(deps, tx, &mut row, end).await?;
    }
    store::update(tx, row).await
}
