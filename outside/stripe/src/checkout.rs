//! Checkout Sessions: pages of Stripe's own.

use postern_domain::ports::stripe::{BillingUnit, CheckoutOf, NewCheckout, StripeCheckout, StripeError};
use serde::Deserialize;
use stripe_checkout::{
    CheckoutSessionMode,
    checkout_session::{
        CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
        CreateCheckoutSessionLineItemsPriceDataRecurring, CreateCheckoutSessionLineItemsPriceDataRecurringInterval,
        CreateCheckoutSessionPaymentIntentData, CreateCheckoutSessionSubscriptionData, ProductData,
    },
};

use crate::{StripeClient, customers::map, payments::currency};

#[derive(Deserialize)]
struct Session {
    id: String,
    url: Option<String>,
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
