//! One-time purchases that were paid, or not, by a payment intent.

use postern_entity::{
    ProjectId, StripeOperationId,
    purchase::{PurchaseKind, PurchaseSource, PurchaseStatus},
    stripe_event,
};

use super::{
    Connected,
    customer::named,
    operation::{Request, begin, run},
    sync::{one_of_each_line, sold},
};
use crate::{
    Deps,
    db::Tx,
    emails::Template,
    error::{Error, Result},
    items::{self, Customer},
    payments::{
        checkout, choice, mails,
        money::told,
        product::Version,
        purchases::{self, NewPurchase},
        refund, store,
    },
    ports::stripe::{StripeError, StripePaymentIntent},
};

/// The value of `purchaseKind` in the metadata of payment intents that buy something once.
pub(in crate::payments) const ONE_TIME: &str = "ONE_TIME";

/// The event that tells of a payment that was tried in vain.
const FAILED: &str = "payment_intent.payment_failed";

/// What came of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// What follows is written down.
    Done,
    /// It is of a customer whose subscriptions may have changed.
    Sync,
    /// It does not say what was sold, or says what was not sold here.
    Foreign,
}

/// Reads a payment intent and writes down what it bought, with the mail that follows. The event names the failure that
/// is told of, if it failed.
pub(super) async fn note(
    deps: &Deps,
    connected: &Connected,
    project_id: &ProjectId,
    id: &str,
    event: &stripe_event::Model,
) -> Result<Result<Noted, StripeError>> {
    let intent = match connected.api.payment_intent(&connected.account_id, id).await {
        Ok(intent) => intent,
        Err(StripeError::NotFound(_)) => return Ok(Ok(Noted::Foreign)),
        Err(error) => return Ok(Err(error)),
    };
    if intent.metadata.get("purchaseKind").map(String::as_str) != Some(ONE_TIME) {
        return Ok(Ok(Noted::Sync));
    }
    let quantity = intent.metadata.get("purchaseQuantity").and_then(|text| text.parse::<i64>().ok());
    let (Some(customer), Some(quantity)) = (named(&intent.metadata), quantity.filter(|count| *count > 0)) else {
        tracing::warn!(payment_intent = id, "a payment at Stripe that does not say what was bought");
        return Ok(Ok(Noted::Foreign));
    };
    let to = &mails::recipients(deps, project_id, &customer).await?;
    let (intent, customer, is_ours) = (&intent, &customer, connected.sold_at(intent.created));
    let (noted, bought) = deps
        .db
        .write(|tx| async move {
            let Some((version, _)) = sold(deps, &tx, project_id, &intent.metadata).await? else {
                tracing::warn!(payment_intent = id, "a payment at Stripe for something that was not sold here");
                return Ok((Noted::Foreign, Bought::Nothing));
            };
            let bought = if intent.status == "succeeded" {
                store::lock_customer(&tx, project_id, customer).await?;
                buy(deps, &tx, project_id, (customer, &version, quantity), (intent, is_ours)).await?
            } else {
                Bought::Nothing
            };
            let mail = mail(&version, quantity, intent, event).filter(|_| is_ours);
            if let (Some((template, key)), true) = (mail, !matches!(bought, Bought::PaidBack(_))) {
                mails::tell(deps, &tx, project_id, to, &template, &key).await?;
            }
            Ok((Noted::Done, bought))
        })
        .await?;
    match bought {
        Bought::PaidBack(Some(operation)) => match run(deps, project_id, operation).await {
            // Where Stripe is away, the operation's own job goes on.
            Ok(()) | Err(Error::Refused(_)) => {}
            Err(error) => return Err(error),
        },
        Bought::ForGood => close_pages(connected, intent).await,
        Bought::PaidBack(None) | Bought::Nothing => {}
    }
    Ok(Ok(noted))
}

/// What becomes of a payment.
enum Bought {
    /// Nothing that was not before.
    Nothing,
    /// The customer has now what it is for, and cannot have more of it.
    ForGood,
    /// It is paid back, because there was no place for what it is for; by this operation, the first time.
    PaidBack(Option<StripeOperationId>),
}

/// Closes the pages on which the customer could pay for the same once more. Whoever does all the same is paid back, so nothing
/// tries this again.
async fn close_pages(connected: &Connected, intent: &StripePaymentIntent) {
    let product_id = intent.metadata.get("productId").filter(|id| !id.is_empty());
    let (Some(customer_id), Some(product_id)) = (&intent.customer_id, product_id) else { return };
    if let Err(error) = connected.api.close_checkouts(&connected.account_id, customer_id, product_id).await {
        tracing::warn!(%error, "pages at Stripe that sell what their customer has now stay open");
    }
}

async fn buy(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    (customer, version, quantity): (&Customer, &Version, i64),
    (intent, is_ours): (&StripePaymentIntent, bool),
) -> Result<Bought> {
    let new = NewPurchase {
        kind: PurchaseKind::OneTime,
        version,
        price_id: intent.metadata.get("priceId").filter(|id| !id.is_empty()).cloned(),
        quantity: quantity.min(items::MAX_QUANTITY),
        source: PurchaseSource::PurchasePage,
        status: PurchaseStatus::Active,
        stripe_id: Some(intent.id.clone()),
        period: None,
        created_at: intent.created,
    };
    let now = deps.now();
    let open = store::open_of(&**tx, project_id, customer, now).await?;
    let Some(mut row) = purchases::add(deps, tx, project_id, customer, new).await? else {
        let known = store::by_stripe_id(&**tx, project_id, &intent.id).await?;
        let never_began = known.is_some_and(|row| row.started == 0);
        return Ok(if never_began { Bought::PaidBack(None) } else { Bought::Nothing });
    };
    checkout::spend(deps, tx, project_id, &intent.metadata).await?;
    // Nobody is asked again who pays at a second URL, or on a page that was open before.
    if is_ours && choice::is_held_for_good(version, &open, now) {
        tracing::warn!(project = %project_id, purchase = %row.id, payment_intent = intent.id, "a customer has paid for what it holds for good: it is paid back");
        let refund = Request::Refund(refund::of_all(&row, intent.amount_received));
        return Ok(Bought::PaidBack(Some(begin(deps, tx, &row, &refund).await?)));
    }
    purchases::begin(deps, tx, &mut row, version, intent.created).await?;
    store::update(tx, row).await?;
    one_of_each_line(deps, tx, project_id, customer).await?;
    Ok(if version.product.stackable { Bought::Nothing } else { Bought::ForGood })
}

fn mail(
    version: &Version,
    quantity: i64,
    intent: &StripePaymentIntent,
    event: &stripe_event::Model,
) -> Option<(Template, String)> {
    let product_name = version.product.display_name.clone();
    if intent.status == "succeeded" {
        let receipt = Template::PaymentReceipt {
            product_name,
            quantity,
            amount: told(&intent.currency, intent.amount_received),
            receipt_link: intent.receipt_url.clone(),
        };
        return Some((receipt, format!("receipt/{}", intent.id)));
    }
    if event.kind != FAILED {
        return None;
    }
    let failed = Template::PaymentFailed {
        product_name,
        amount: told(&intent.currency, intent.amount),
        invoice_url: None,
        failure_reason: Some(intent.last_error.clone()?),
    };
    Some((failed, format!("payment_failed/{}", event.id)))
}
