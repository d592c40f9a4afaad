//! Subscriptions.

use postern_domain::ports::stripe::{
    Metadata, NewSubscription, PaymentSecret, RecurringPrice, StripeError, StripeSubscription, SubscriptionChange,
};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    StripeClient,
    call::word,
    read::{HasId, Link, List, time},
    spelling,
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
    let request = spelling::create_product(&price.product_name);
    let product: HasId = stripe.change(Some(account_id), request, &format!("{key}-product")).await?;
    Ok(product.id)
}

pub(crate) async fn create(
    stripe: &StripeClient,
    account_id: &str,
    new: &NewSubscription,
    key: &str,
) -> Result<PaymentSecret, StripeError> {
    let product = create_product(stripe, account_id, &new.price, key).await?;
    let made: Billed = stripe.change(Some(account_id), spelling::create_subscription(new, &product)?, key).await?;
    Ok(made.into())
}

pub(crate) async fn change(
    stripe: &StripeClient,
    account_id: &str,
    id: &str,
    change: &SubscriptionChange,
    key: &str,
) -> Result<(), StripeError> {
    // Nothing is made for one that cannot be asked for.
    let id = word(id)?;
    let product = create_product(stripe, account_id, &change.price, key).await?;
    let request = spelling::update_subscription(id, change, &product)?;
    let _: HasId = stripe.change(Some(account_id), request, key).await?;
    Ok(())
}

pub(crate) async fn item(stripe: &StripeClient, account_id: &str, id: &str) -> Result<String, StripeError> {
    let found: Subscription = stripe.ask(Some(account_id), spelling::retrieve_subscription(id)?).await?;
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
    let request = if quantity > 0 {
        let item = item(stripe, account_id, id).await?;
        spelling::reduce_subscription(id, &item, quantity)?
    } else {
        spelling::end_subscription(id)?
    };
    let _: HasId = stripe.change(Some(account_id), request, key).await?;
    Ok(())
}

/// Stripe does not find a subscription to be cancelled that has been, but still shows it.
pub(crate) async fn cancel(stripe: &StripeClient, account_id: &str, id: &str, key: &str) -> Result<(), StripeError> {
    let request = spelling::cancel_subscription(id)?;
    let cancelled: Result<HasId, _> = stripe.change(Some(account_id), request, key).await;
    let Err(error @ StripeError::NotFound(_)) = cancelled else { return cancelled.map(drop) };
    let found: Subscription = stripe.ask(Some(account_id), spelling::retrieve_subscription(id)?).await?;
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
    let mut after = None;
    let mut found = Vec::new();
    loop {
        let request = spelling::list_subscription(customer_id, after.as_deref());
        let page: List<Subscription> = stripe.ask(Some(account_id), request).await?;
        let last = page.data.last().map(|subscription| subscription.id.clone());
        found.extend(page.data.into_iter().filter_map(Subscription::into_port));
        match last {
            Some(last) if page.has_more => after = Some(last),
            _ => return Ok(found),
        }
    }
}
