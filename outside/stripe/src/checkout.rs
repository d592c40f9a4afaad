//! Checkout Sessions: pages of Stripe's own.

use postern_domain::ports::stripe::{BillingUnit, CheckoutOf, Metadata, NewCheckout, StripeCheckout, StripeError};
use serde::Deserialize;
use stripe_checkout::{
    CheckoutSessionMode, CheckoutSessionStatus,
    checkout_session::{
        CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
        CreateCheckoutSessionLineItemsPriceDataRecurring, CreateCheckoutSessionLineItemsPriceDataRecurringInterval,
        CreateCheckoutSessionPaymentIntentData, CreateCheckoutSessionSubscriptionData, ExpireCheckoutSession,
        ListCheckoutSession, ProductData,
    },
};
use stripe_client_core::StripeRequest;

use crate::{
    StripeClient,
    call::word,
    customers::map,
    payments::currency,
    read::{HasId, List},
};

/// How many open pages of a customer are looked at: they are open for a day.
const PAGES_LOOKED_AT: i64 = 100;

#[derive(Deserialize)]
struct Session {
    id: String,
    url: Option<String>,
    metadata: Option<Metadata>,
}

pub(crate) async fn create(
    stripe: &StripeClient,
    account_id: &str,
    new: &NewCheckout,
    key: &str,
) -> Result<StripeCheckout, StripeError> {
    let request = CreateCheckoutSession::new()
        .customer(new.customer_id.as_str())
        .success_url(new.success_url.as_str())
        .cancel_url(new.cancel_url.as_str())
        .metadata(map(&new.metadata))
        .line_items([CreateCheckoutSessionLineItems {
            price_data: Some(price(&new.of)),
            quantity: u64::try_from(new.quantity).ok(),
            ..CreateCheckoutSessionLineItems::new()
        }]);
    let metadata = Some(map(&new.metadata));
    let request = match &new.of {
        CheckoutOf::OneTime { .. } => {
            let data =
                CreateCheckoutSessionPaymentIntentData { metadata, ..CreateCheckoutSessionPaymentIntentData::new() };
            request.mode(CheckoutSessionMode::Payment).payment_intent_data(data)
        }
        CheckoutOf::Subscription { trial_days, .. } => {
            let data = CreateCheckoutSessionSubscriptionData {
                metadata,
                trial_period_days: Some(*trial_days).filter(|days| *days > 0),
                ..CreateCheckoutSessionSubscriptionData::new()
            };
            request.mode(CheckoutSessionMode::Subscription).subscription_data(data)
        }
    };
    let made: Session = stripe.change(Some(account_id), &request, key).await?;
    let url = made.url.ok_or_else(|| StripeError::Refused {
        code: String::new(),
        message: format!("the page {} is not open any more", made.id),
    })?;
    Ok(StripeCheckout { id: made.id, url })
}

pub(crate) async fn close(
    stripe: &StripeClient,
    account_id: &str,
    customer_id: &str,
    product_id: &str,
) -> Result<usize, StripeError> {
    let request =
        ListCheckoutSession::new().customer(customer_id).status(CheckoutSessionStatus::Open).limit(PAGES_LOOKED_AT);
    let open: List<Session> = stripe.ask(Some(account_id), &request).await?;
    let sells_it = |session: &Session| {
        session.metadata.as_ref().and_then(|metadata| metadata.get("productId")).is_some_and(|id| id == product_id)
    };
    let mut closed = 0;
    for session in open.data.iter().filter(|session| sells_it(session)) {
        let request = ExpireCheckoutSession::new(word(&session.id)?);
        let ended: Result<HasId, _> = stripe.change_again(Some(account_id), request.build()).await;
        match ended {
            Ok(_) => closed += 1,
            // It was paid or has ended meanwhile.
            Err(StripeError::Refused { .. } | StripeError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(closed)
}

fn price(of: &CheckoutOf) -> CreateCheckoutSessionLineItemsPriceData {
    use CreateCheckoutSessionLineItemsPriceDataRecurringInterval::{Day, Month, Week, Year};
    let (name, unit_amount, code, recurring) = match of {
        CheckoutOf::OneTime { product_name, unit_amount, currency } => (product_name, *unit_amount, currency, None),
        CheckoutOf::Subscription { price, .. } => {
            let interval = match price.interval {
                BillingUnit::Day => Day,
                BillingUnit::Week => Week,
                BillingUnit::Month => Month,
                BillingUnit::Year => Year,
            };
            let recurring = CreateCheckoutSessionLineItemsPriceDataRecurring {
                interval_count: Some(price.interval_count.into()),
                ..CreateCheckoutSessionLineItemsPriceDataRecurring::new(interval)
            };
            (&price.product_name, price.unit_amount, &price.currency, Some(recurring))
        }
    };
    CreateCheckoutSessionLineItemsPriceData {
        product_data: Some(ProductData::new(name.as_str())),
        unit_amount: Some(unit_amount),
        recurring,
        ..CreateCheckoutSessionLineItemsPriceData::new(currency(code))
    }
}
