//! Cards, and their set-up.

use postern_domain::ports::stripe::{StripeCard, StripeError, StripeSetupIntent};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    StripeClient,
    read::{Link, List},
    spelling,
};

#[derive(Deserialize)]
struct PaymentMethod {
    id: String,
    card: Option<Card>,
}

#[derive(Default, Deserialize)]
struct Card {
    brand: Option<String>,
    last4: Option<String>,
    exp_month: Option<i64>,
    exp_year: Option<i64>,
}

#[derive(Deserialize)]
struct Created {
    client_secret: SecretString,
}

#[derive(Deserialize)]
struct SetupIntent {
    id: String,
    status: String,
    customer: Option<Link>,
    payment_method: Option<Link>,
}

pub(crate) async fn of_customer(
    stripe: &StripeClient,
    account_id: &str,
    customer_id: &str,
) -> Result<Vec<StripeCard>, StripeError> {
    let request = spelling::list_payment_methods_customer(customer_id)?;
    let found: List<PaymentMethod> = stripe.ask(Some(account_id), request).await?;
    let cards = found.data.into_iter().map(|method| {
        let card = method.card.unwrap_or_default();
        StripeCard {
            id: method.id,
            brand: card.brand,
            last4: card.last4,
            exp_month: card.exp_month,
            exp_year: card.exp_year,
        }
    });
    Ok(cards.collect())
}

pub(crate) async fn create_setup(
    stripe: &StripeClient,
    account_id: &str,
    customer_id: &str,
) -> Result<SecretString, StripeError> {
    let made: Created = stripe.change_again(Some(account_id), spelling::create_setup_intent(customer_id)).await?;
    Ok(made.client_secret)
}

pub(crate) async fn setup(stripe: &StripeClient, account_id: &str, id: &str) -> Result<StripeSetupIntent, StripeError> {
    let found: SetupIntent = stripe.ask(Some(account_id), spelling::retrieve_setup_intent(id)?).await?;
    Ok(StripeSetupIntent {
        id: found.id,
        status: found.status,
        customer_id: found.customer.map(Link::into_id),
        payment_method_id: found.payment_method.map(Link::into_id),
    })
}
