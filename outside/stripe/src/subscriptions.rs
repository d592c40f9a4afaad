//! Subscriptions.

use postern_domain::ports::stripe::{
    BillingUnit, Metadata, NewSubscription, PaymentSecret, RecurringPrice, StripeError, StripeSubscription,
    SubscriptionChange,
};
use secrecy::SecretString;
use serde::Deserialize;
use stripe_billing::subscription::{
    CancelSubscription, CreateSubscription, CreateSubscriptionItems, CreateSubscriptionItemsPriceData,
    CreateSubscriptionItemsPriceDataRecurring, CreateSubscriptionItemsPriceDataRecurringInterval,
    CreateSubscriptionPaymentBehavior, CreateSubscriptionPaymentSettings,
    CreateSubscriptionPaymentSettingsSaveDefaultPaymentMethod, ListSubscription, ListSubscriptionStatus,
    RetrieveSubscription, UpdateSubscription, UpdateSubscriptionItems, UpdateSubscriptionItemsPriceData,
    UpdateSubscriptionItemsPriceDataRecurring, UpdateSubscriptionItemsPriceDataRecurringInterval,
    UpdateSubscriptionPaymentBehavior, UpdateSubscriptionProrationBehavior,
};
use stripe_product::product::CreateProduct;

use crate::{
    StripeClient,
    call::word,
    customers::map,
    payments::currency,
    read::{HasId, Link, List, time},
};

#[derive(Deserialize)]
struct Subscription {
    id: String,
    customer: Link,
    status: String,
    items: List<Item>,
    #[serde(default)]
    cancel_at_period_end: bool,
    canceled_at: Option<i64>,
    ended_at: Option<i64>,
    created: i64,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    /// None where the use is measured.
    quantity: Option<i64>,
    price: Price,
    current_period_start: i64,
    current_period_end: i64,
}

#[derive(Deserialize)]
struct Price {
    unit_amount: Option<i64>,
    currency: String,
}

/// A subscription with what its customer is to confirm.
#[derive(Deserialize)]
struct Billed {
    id: String,
    latest_invoice: Option<Link<Invoice>>,
    pending_setup_intent: Option<Link<SetupIntent>>,
}

#[derive(Deserialize)]
struct Invoice {
    status: Option<String>,
    confirmation_secret: Option<Confirmation>,
}

#[derive(Deserialize)]
struct Confirmation {
    client_secret: SecretString,
}

#[derive(Deserialize)]
struct SetupIntent {
    client_secret: Option<SecretString>,
}

/// Where the secrets of a [`Billed`] are.
const SECRETS: [&str; 2] = ["latest_invoice.confirmation_secret", "pending_setup_intent"];

impl Subscription {
    /// None for one without items, which nothing of ours makes.
    fn into_port(self) -> Option<StripeSubscription> {
        let item = self.items.data.into_iter().next()?;
        Some(StripeSubscription {
            id: self.id,
            customer_id: self.customer.into_id(),
            status: self.status,
            item_id: item.id,
            quantity: item.quantity.unwrap_or(1),
            unit_amount: item.price.unit_amount,
            currency: item.price.currency,
            period_start: time(item.current_period_start),
            period_end: time(item.current_period_end),
            cancel_at_period_end: self.cancel_at_period_end,
            canceled_at: self.canceled_at.map(time),
            ended_at: self.ended_at.map(time),
            created: time(self.created),
            metadata: self.metadata.unwrap_or_default(),
        })
    }
}

impl From<Billed> for PaymentSecret {
    /// Of the invoice that is to be paid; when there is none, of the card that a trial waits for. An invoice that is paid keeps
    /// its secret, which opens nothing any more.
    fn from(billed: Billed) -> Self {
        let invoice = billed.latest_invoice.and_then(Link::whole);
        let open = invoice.filter(|invoice| invoice.status.as_deref() == Some("open"));
        let payment = open.and_then(|invoice| invoice.confirmation_secret).map(|secret| secret.client_secret);
        let setup = billed.pending_setup_intent.and_then(Link::whole).and_then(|intent| intent.client_secret);
        Self { id: billed.id, client_secret: payment.or(setup) }
    }
}

/// Prices are made on the spot, but only of a product that is there. Its key is derived, so that a call that is repeated
/// finds the product of the first.
async fn create_product(
    stripe: &StripeClient,
    account_id: &str,
    price: &RecurringPrice,
    key: &str,
) -> Result<String, StripeError> {
    let request = CreateProduct::new(price.product_name.as_str());
    let product: HasId = stripe.change(Some(account_id), &request, &format!("{key}-product")).await?;
    Ok(product.id)
}

pub(crate) async fn create(
    stripe: &StripeClient,
    account_id: &str,
    new: &NewSubscription,
    key: &str,
) -> Result<PaymentSecret, StripeError> {
    use CreateSubscriptionItemsPriceDataRecurringInterval::{Day, Month, Week, Year};
    let product = create_product(stripe, account_id, &new.price, key).await?;
    let interval = match new.price.interval {
        BillingUnit::Day => Day,
        BillingUnit::Week => Week,
        BillingUnit::Month => Month,
        BillingUnit::Year => Year,
    };
    let recurring = CreateSubscriptionItemsPriceDataRecurring {
        interval_count: Some(new.price.interval_count.into()),
        ..CreateSubscriptionItemsPriceDataRecurring::new(interval)
    };
    let price = CreateSubscriptionItemsPriceData {
        unit_amount: Some(new.price.unit_amount),
        ..CreateSubscriptionItemsPriceData::new(currency(&new.price.currency), product, recurring)
    };
    let item = CreateSubscriptionItems {
        price_data: Some(price),
        quantity: Some(pieces(new.quantity)?),
        ..CreateSubscriptionItems::new()
    };
    let saved = CreateSubscriptionPaymentSettingsSaveDefaultPaymentMethod::OnSubscription;
    let settings = CreateSubscriptionPaymentSettings {
        save_default_payment_method: Some(saved),
        ..CreateSubscriptionPaymentSettings::new()
    };
    let mut request = CreateSubscription::new()
        .customer(new.customer_id.as_str())
        .items([item])
        .payment_behavior(CreateSubscriptionPaymentBehavior::DefaultIncomplete)
        .payment_settings(settings)
        .metadata(map(&new.metadata))
        .expand(SECRETS.map(str::to_owned));
    if new.trial_days > 0 {
        request = request.trial_period_days(new.trial_days);
    }
    let made: Billed = stripe.change(Some(account_id), &request, key).await?;
    Ok(made.into())
}

pub(crate) async fn change(
    stripe: &StripeClient,
    account_id: &str,
    id: &str,
    change: &SubscriptionChange,
    key: &str,
) -> Result<(), StripeError> {
    use UpdateSubscriptionItemsPriceDataRecurringInterval::{Day, Month, Week, Year};
    let request = UpdateSubscription::new(word(id)?);
    let product = create_product(stripe, account_id, &change.price, key).await?;
    let interval = match change.price.interval {
        BillingUnit::Day => Day,
        BillingUnit::Week => Week,
        BillingUnit::Month => Month,
        BillingUnit::Year => Year,
    };
    let recurring = UpdateSubscriptionItemsPriceDataRecurring {
        interval_count: Some(change.price.interval_count.into()),
        ..UpdateSubscriptionItemsPriceDataRecurring::new(interval)
    };
    let price = UpdateSubscriptionItemsPriceData {
        unit_amount: Some(change.price.unit_amount),
        ..UpdateSubscriptionItemsPriceData::new(currency(&change.price.currency), product, recurring)
    };
    let item = UpdateSubscriptionItems {
        id: Some(change.item_id.clone()),
        price_data: Some(price),
        quantity: Some(pieces(change.quantity)?),
        ..UpdateSubscriptionItems::new()
    };
    let request = request.items([item]).metadata(map(&change.metadata));
    // What it costs more from now on is paid now: else nothing would be charged before the next period, and nothing at all
    // if the subscription was ended first.
    let request = request
        .payment_behavior(UpdateSubscriptionPaymentBehavior::ErrorIfIncomplete)
        .proration_behavior(UpdateSubscriptionProrationBehavior::AlwaysInvoice);
    let _: HasId = stripe.change(Some(account_id), &request, key).await?;
    Ok(())
}

fn pieces(quantity: i64) -> Result<u64, StripeError> {
    u64::try_from(quantity).map_err(|_| StripeError::Refused {
        code: "parameter_invalid_integer".to_owned(),
        message: format!("a quantity of {quantity}"),
    })
}

pub(crate) async fn item(stripe: &StripeClient, account_id: &str, id: &str) -> Result<String, StripeError> {
    let found: Subscription = stripe.ask(Some(account_id), &RetrieveSubscription::new(word(id)?)).await?;
    let first = found.items.data.into_iter().next();
    first.map(|item| item.id).ok_or_else(|| StripeError::Refused {
        code: String::new(),
        message: "the subscription has no items".to_owned(),
    })
}

pub(crate) async fn reduce(
    stripe: &StripeClient,
    account_id: &str,
    id: &str,
    quantity: i64,
    key: &str,
) -> Result<(), StripeError> {
    let request = UpdateSubscription::new(word(id)?);
    let request = if quantity > 0 {
        let item = UpdateSubscriptionItems {
            id: Some(item(stripe, account_id, id).await?),
            quantity: Some(pieces(quantity)?),
            ..UpdateSubscriptionItems::new()
        };
        request.items([item]).proration_behavior(UpdateSubscriptionProrationBehavior::None)
    } else {
        request.cancel_at_period_end(true)
    };
    let _: HasId = stripe.change(Some(account_id), &request, key).await?;
    Ok(())
}

/// Stripe does not find a subscription to be cancelled that has been, but still shows it.
pub(crate) async fn cancel(stripe: &StripeClient, account_id: &str, id: &str, key: &str) -> Result<(), StripeError> {
    let request = CancelSubscription::new(word(id)?);
    let cancelled: Result<HasId, _> = stripe.change(Some(account_id), &request, key).await;
    let Err(error @ StripeError::NotFound(_)) = cancelled else { return cancelled.map(drop) };
    let found: Subscription = stripe.ask(Some(account_id), &RetrieveSubscription::new(word(id)?)).await?;
    match found.status.as_str() {
        "canceled" | "incomplete_expired" => Ok(()),
        _ => Err(error),
    }
}

pub(crate) async fn of_customer(
    stripe: &StripeClient,
    account_id: &str,
    customer_id: &str,
) -> Result<Vec<StripeSubscription>, StripeError> {
    let mut request = ListSubscription::new().customer(customer_id).status(ListSubscriptionStatus::All).limit(100);
    let mut found = Vec::new();
    loop {
        let page: List<Subscription> = stripe.ask(Some(account_id), &request).await?;
        let last = page.data.last().map(|subscription| subscription.id.clone());
        found.extend(page.data.into_iter().filter_map(Subscription::into_port));
        match last {
            Some(last) if page.has_more => request = request.starting_after(last),
            _ => return Ok(found),
        }
    }
}
