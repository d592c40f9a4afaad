//! Payment intents, and what is paid back of them.

use postern_domain::ports::stripe::{Metadata, NewPaymentIntent, PaymentSecret, StripeError, StripePaymentIntent};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    StripeClient,
    read::{HasId, Link, time},
    spelling,
};

#[derive(Deserialize)]
struct Created {
    id: String,
    client_secret: Option<SecretString>,
}

#[derive(Deserialize)]
struct PaymentIntent {
    id: String,
    status: String,
    amount: i64,
    #[serde(default)]
    amount_received: i64,
    currency: String,
    customer: Option<Link>,
    metadata: Option<Metadata>,
    latest_charge: Option<Link<Charge>>,
    last_payment_error: Option<PaymentError>,
    created: i64,
}

#[derive(Deserialize)]
struct Charge {
    receipt_url: Option<String>,
}

#[derive(Deserialize)]
struct PaymentError {
    message: Option<String>,
}

impl From<PaymentIntent> for StripePaymentIntent {
    fn from(intent: PaymentIntent) -> Self {
        Self {
            id: intent.id,
            status: intent.status,
            amount: intent.amount,
            amount_received: intent.amount_received,
            currency: intent.currency,
            customer_id: intent.customer.map(Link::into_id),
            metadata: intent.metadata.unwrap_or_default(),
            receipt_url: intent.latest_charge.and_then(Link::whole).and_then(|charge| charge.receipt_url),
            last_error: intent.last_payment_error.and_then(|error| error.message),
            created: time(intent.created),
        }
    }
}

pub(crate) async fn create(
    stripe: &StripeClient,
    account_id: &str,
    new: &NewPaymentIntent,
    key: &str,
) -> Result<PaymentSecret, StripeError> {
    let made: Created = stripe.change(Some(account_id), spelling::create_payment_intent(new), key).await?;
    Ok(PaymentSecret { id: made.id, client_secret: made.client_secret })
}

pub(crate) async fn retrieve(
    stripe: &StripeClient,
    account_id: &str,
    id: &str,
) -> Result<StripePaymentIntent, StripeError> {
    let found: PaymentIntent = stripe.ask(Some(account_id), spelling::retrieve_payment_intent(id)?).await?;
    Ok(found.into())
}

pub(crate) async fn refund(
    stripe: &StripeClient,
    account_id: &str,
    payment_intent_id: &str,
    amount: i64,
    metadata: &Metadata,
    key: &str,
) -> Result<String, StripeError> {
    let request = spelling::create_refund(payment_intent_id, amount, metadata);
    let made: HasId = stripe.change(Some(account_id), request, key).await?;
    Ok(made.id)
}
