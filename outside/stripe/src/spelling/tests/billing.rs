//! What is paid again and again, and Stripe's own pages.

use stripe_billing::{
    invoice::{ListInvoice, RetrieveInvoice},
    subscription::{
        CancelSubscription, CreateSubscription, CreateSubscriptionItems, CreateSubscriptionItemsPriceData,
        CreateSubscriptionItemsPriceDataRecurring, CreateSubscriptionItemsPriceDataRecurringInterval,
        CreateSubscriptionPaymentBehavior, CreateSubscriptionPaymentSettings,
        CreateSubscriptionPaymentSettingsSaveDefaultPaymentMethod, ListSubscription, ListSubscriptionStatus,
        RetrieveSubscription, UpdateSubscription, UpdateSubscriptionItems, UpdateSubscriptionItemsPriceData,
        UpdateSubscriptionItemsPriceDataRecurring, UpdateSubscriptionItemsPriceDataRecurringInterval,
        UpdateSubscriptionPaymentBehavior, UpdateSubscriptionProrationBehavior,
    },
};
use stripe_checkout::{
    CheckoutSessionMode, CheckoutSessionStatus,
    checkout_session::{
        CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
        CreateCheckoutSessionLineItemsPriceDataRecurring, CreateCheckoutSessionLineItemsPriceDataRecurringInterval,
        CreateCheckoutSessionPaymentIntentData, CreateCheckoutSessionSubscriptionData, ExpireCheckoutSession,
        ListCheckoutSession, ProductData,
    },
};
use stripe_product::product::CreateProduct;

use super::*;

/// A price of each unit, with the text of which async-stripe is to know it.
fn prices() -> impl Iterator<Item = (RecurringPrice, &'static str)> {
    let units = [
        (BillingUnit::Day, "day", 1, "usd"),
        (BillingUnit::Week, "week", 2, "a currency & of next year"),
        (BillingUnit::Month, "month", 3, "eur"),
        (BillingUnit::Year, "year", u32::MAX, "jpy"),
    ];
    units.into_iter().map(|(interval, unit, interval_count, code)| {
        let (product_name, currency) = (TEXT.to_owned(), code.to_owned());
        (RecurringPrice { product_name, unit_amount: 1000, currency, interval_count, interval }, unit)
    })
}

fn created(new: &NewSubscription, unit: &str) -> CreateSubscription {
    let interval: CreateSubscriptionItemsPriceDataRecurringInterval = unit.parse().unwrap();
    assert!(!matches!(interval, CreateSubscriptionItemsPriceDataRecurringInterval::Unknown(_)));
    let recurring = CreateSubscriptionItemsPriceDataRecurring {
        interval_count: Some(new.price.interval_count.into()),
        ..CreateSubscriptionItemsPriceDataRecurring::new(interval)
    };
    let price = CreateSubscriptionItemsPriceData {
        unit_amount: Some(new.price.unit_amount),
        ..CreateSubscriptionItemsPriceData::new(currency(&new.price.currency), "prod_1", recurring)
    };
    let item = CreateSubscriptionItems {
        price_data: Some(price),
        quantity: Some(new.quantity.try_into().unwrap()),
        ..CreateSubscriptionItems::new()
    };
    let settings = CreateSubscriptionPaymentSettings {
        save_default_payment_method: Some(CreateSubscriptionPaymentSettingsSaveDefaultPaymentMethod::OnSubscription),
        ..CreateSubscriptionPaymentSettings::new()
    };
    let theirs = CreateSubscription::new()
        .customer(new.customer_id.as_str())
        .items([item])
        .payment_behavior(CreateSubscriptionPaymentBehavior::DefaultIncomplete)
        .payment_settings(settings)
        .metadata(map(&new.metadata))
        .expand(["latest_invoice.confirmation_secret", "pending_setup_intent"].map(str::to_owned));
    if new.trial_days > 0 { theirs.trial_period_days(new.trial_days) } else { theirs }
}

fn updated(change: &SubscriptionChange, unit: &str) -> UpdateSubscription {
    let interval: UpdateSubscriptionItemsPriceDataRecurringInterval = unit.parse().unwrap();
    assert!(!matches!(interval, UpdateSubscriptionItemsPriceDataRecurringInterval::Unknown(_)));
    let recurring = UpdateSubscriptionItemsPriceDataRecurring {
        interval_count: Some(change.price.interval_count.into()),
        ..UpdateSubscriptionItemsPriceDataRecurring::new(interval)
    };
    let price = UpdateSubscriptionItemsPriceData {
        unit_amount: Some(change.price.unit_amount),
        ..UpdateSubscriptionItemsPriceData::new(currency(&change.price.currency), "prod_1", recurring)
    };
    let item = UpdateSubscriptionItems {
        id: Some(change.item_id.clone()),
        price_data: Some(price),
        quantity: Some(change.quantity.try_into().unwrap()),
        ..UpdateSubscriptionItems::new()
    };
    UpdateSubscription::new("sub_1")
        .items([item])
        .metadata(map(&change.metadata))
        .payment_behavior(UpdateSubscriptionPaymentBehavior::ErrorIfIncomplete)
        .proration_behavior(UpdateSubscriptionProrationBehavior::AlwaysInvoice)
}

#[test]
fn subscriptions_that_begin_and_change() {
    alike(create_product(TEXT), &CreateProduct::new(TEXT));
    for (price, unit) in prices() {
        for (metadata, (quantity, trial_days)) in metadatas().into_iter().zip([(0, 0), (i64::MAX, 14)]) {
            let new = NewSubscription {
                customer_id: "cus_1".to_owned(),
                price: price.clone(),
                quantity,
                trial_days,
                metadata: metadata.clone(),
            };
            alike(create_subscription(&new, "prod_1").unwrap(), &created(&new, unit));
            let change = SubscriptionChange { item_id: TEXT.to_owned(), price: price.clone(), quantity, metadata };
            alike(update_subscription("sub_1", &change, "prod_1").unwrap(), &updated(&change, unit));
        }
    }
}

#[test]
fn there_are_no_fewer_than_no_pieces() {
    let new = NewSubscription { quantity: -1, ..NewSubscription::default() };
    let change = SubscriptionChange {
        item_id: "si_1".to_owned(),
        price: RecurringPrice::default(),
        quantity: -1,
        metadata: Metadata::new(),
    };
    for spelled in [
        create_subscription(&new, "prod_1"),
        update_subscription("sub_1", &change, "prod_1"),
        reduce_subscription("sub_1", "si_1", -1),
    ] {
        let code = "parameter_invalid_integer".to_owned();
        let refused = StripeError::Refused { code, message: "a quantity of -1".to_owned() };
        assert_eq!(spelled.unwrap_err(), refused);
    }
}

#[test]
fn subscriptions_that_end_and_are_looked_at() {
    let item =
        UpdateSubscriptionItems { id: Some("si_1".to_owned()), quantity: Some(2), ..UpdateSubscriptionItems::new() };
    let theirs = UpdateSubscription::new("sub_1").items([item]);
    let theirs = theirs.proration_behavior(UpdateSubscriptionProrationBehavior::None);
    alike(reduce_subscription("sub_1", "si_1", 2).unwrap(), &theirs);
    alike(end_subscription("sub_1").unwrap(), &UpdateSubscription::new("sub_1").cancel_at_period_end(true));
    alike(cancel_subscription("sub_1").unwrap(), &CancelSubscription::new("sub_1"));
    alike(retrieve_subscription("sub_1").unwrap(), &RetrieveSubscription::new("sub_1"));
    let theirs = ListSubscription::new().customer("cus_1").status(ListSubscriptionStatus::All).limit(100);
    alike(list_subscription("cus_1", None), &theirs);
    alike(list_subscription("cus_1", Some("sub_1")), &theirs.starting_after("sub_1"));
}

#[test]
fn invoices() {
    let theirs = RetrieveInvoice::new("in_1").expand(["payments".to_owned()]);
    alike(retrieve_invoice("in_1").unwrap(), &theirs);
    for (limit, asked) in [(0, 1), (1, 1), (30, 30), (100, 100), (255, 100)] {
        let theirs = ListInvoice::new().customer("cus_1").limit(asked).expand(["data.payments".to_owned()]);
        alike(list_invoice("cus_1", None, limit), &theirs);
        alike(list_invoice("cus_1", Some("in_1"), limit), &theirs.starting_after("in_1"));
    }
}

fn opened(new: &NewCheckout, unit: &str) -> CreateCheckoutSession {
    let interval: CreateCheckoutSessionLineItemsPriceDataRecurringInterval = unit.parse().unwrap();
    assert!(!matches!(interval, CreateCheckoutSessionLineItemsPriceDataRecurringInterval::Unknown(_)));
    let recurring = CreateCheckoutSessionLineItemsPriceDataRecurring::new(interval);
    let (name, unit_amount, code, recurring) = match &new.of {
        CheckoutOf::OneTime { product_name, unit_amount, currency } => (product_name, *unit_amount, currency, None),
        CheckoutOf::Subscription { price, .. } => {
            let interval_count = Some(price.interval_count.into());
            let recurring = CreateCheckoutSessionLineItemsPriceDataRecurring { interval_count, ..recurring };
            (&price.product_name, price.unit_amount, &price.currency, Some(recurring))
        }
    };
    let price = CreateCheckoutSessionLineItemsPriceData {
        product_data: Some(ProductData::new(name.as_str())),
        unit_amount: Some(unit_amount),
        recurring,
        ..CreateCheckoutSessionLineItemsPriceData::new(currency(code))
    };
    let line = CreateCheckoutSessionLineItems {
        price_data: Some(price),
        quantity: new.quantity.try_into().ok(),
        ..CreateCheckoutSessionLineItems::new()
    };
    let metadata = Some(map(&new.metadata));
    let theirs = CreateCheckoutSession::new()
        .customer(new.customer_id.as_str())
        .success_url(new.success_url.as_str())
        .cancel_url(new.cancel_url.as_str())
        .metadata(map(&new.metadata))
        .line_items([line]);
    match new.of {
        CheckoutOf::OneTime { .. } => {
            let data =
                CreateCheckoutSessionPaymentIntentData { metadata, ..CreateCheckoutSessionPaymentIntentData::new() };
            theirs.mode(CheckoutSessionMode::Payment).payment_intent_data(data)
        }
        CheckoutOf::Subscription { trial_days, .. } => {
            let data = CreateCheckoutSessionSubscriptionData {
                metadata,
                trial_period_days: (trial_days > 0).then_some(trial_days),
                ..CreateCheckoutSessionSubscriptionData::new()
            };
            theirs.mode(CheckoutSessionMode::Subscription).subscription_data(data)
        }
    }
}

#[test]
fn pages_of_stripes_own() {
    for (price, unit) in prices() {
        let once = CheckoutOf::OneTime {
            product_name: price.product_name.clone(),
            unit_amount: price.unit_amount,
            currency: price.currency.clone(),
        };
        let trial = CheckoutOf::Subscription { price: price.clone(), trial_days: 7 };
        for of in [once, CheckoutOf::Subscription { price, trial_days: 0 }, trial] {
            for (metadata, quantity) in metadatas().into_iter().zip([-1, 3]) {
                let new = NewCheckout {
                    customer_id: "cus_1".to_owned(),
                    of: of.clone(),
                    quantity,
                    metadata,
                    success_url: "https://example.com/paid?session={CHECKOUT_SESSION_ID}&a=b#c".to_owned(),
                    cancel_url: "https://example.com/back?text=ä%20b".to_owned(),
                };
                alike(create_checkout_session(&new), &opened(&new, unit));
            }
        }
    }
    let theirs = ListCheckoutSession::new().customer("cus_1").status(CheckoutSessionStatus::Open).limit(100);
    alike(list_checkout_session("cus_1", 100), &theirs);
    alike(expire_checkout_session("cs_1").unwrap(), &ExpireCheckoutSession::new("cs_1"));
}
