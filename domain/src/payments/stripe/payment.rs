//! One-time purchases that were paid, or not, by a payment intent.

use postern_entity::{
    ProjectId, PurchaseId,
    purchase::{PurchaseKind, PurchaseSource, PurchaseStatus},
    stripe_event,
};

use super::{
    Connected,
    customer::named,
    sync::{one_of_each_line, sold},
};
use crate::{
    Deps,
    emails::Template,
    error::Result,
    items::{self, Customer},
    payments::{
        checkout, mails,
        money::told,
        product::Version,
        purchases::{self, NewPurchase},
        store,
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
    let (intent, customer) = (&intent, &customer);
    let noted = deps
        .db
        .write(|tx| async move {
            let Some((version, _)) = sold(deps, &tx, project_id, &intent.metadata).await? else {
                tracing::warn!(payment_intent = id, "a payment at Stripe for something that was not sold here");
                return Ok(Noted::Foreign);
            };
            if intent.status == "succeeded" {
                store::lock_customer(&tx, project_id, customer).await?;
                buy(deps, &tx, project_id, (customer, &version, quantity), intent).await?;
            }
            let mail = mail(&version, quantity, intent, event);
            if let Some((template, key)) = mail.filter(|_| connected.sold_at(intent.created)) {
                mails::tell(deps, &tx, project_id, to, &template, &key).await?;
            }
            Ok(Noted::Done)
        })
        .await?;
    Ok(Ok(noted))
}

async fn buy(
    deps: &Deps,
    tx: &crate::db::Tx,
    project_id: &ProjectId,
    (customer, version, quantity): (&Customer, &Version, i64),
    intent: &StripePaymentIntent,
) -> Result<Option<PurchaseId>> {
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
    let Some(mut row) = purchases::add(deps, tx, project_id, customer, new).await? else { return Ok(None) };
    checkout::spend(deps, tx, project_id, &intent.metadata).await?;
    purchases::begin(deps, tx, &mut row, version, intent.created).await?;
    let id = row.id;
    store::update(tx, row).await?;
    one_of_each_line(deps, tx, project_id, customer).await?;
    Ok(Some(id))
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
