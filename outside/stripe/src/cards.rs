//! Cards, and their set-up.

use postern_domain::ports::stripe::{StripeCard, StripeError, StripeSetupIntent};
use secrecy::SecretString;
use serde::Deserialize;
use stripe_client_core::StripeRequest;
use stripe_core::{
    SetupIntentAllowedPaymentMethodTypes,
    customer::{ListPaymentMethodsCustomer, ListPaymentMethodsCustomerType},
    setup_intent::{CreateSetupIntent, CreateSetupIntentUsage, RetrieveSetupIntent},
};

use crate::{
    StripeClient,
    call::word,
    read::{Link, List},
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
    let request = ListPaymentMethodsCustomer::new(word(customer_id)?);
    let request = request.type_(ListPaymentMethodsCustomerType::Card).limit(100);
    let found: List<PaymentMethod> = stripe.ask(Some(account_id), &request).await?;
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
    let request = CreateSetupIntent::new()
        .customer(customer_id)
        .allowed_payment_method_types([SetupIntentAllowedPaymentMethodTypes::Card])
        .usage(CreateSetupIntentUsage::OffSession);
    let made: Created = stripe.change_again(Some(account_id), request.build()).await?;
    Ok(made.client_secret)
}

pub(crate) async fn setup(stripe: &StripeClient, account_id: &str, id: &str) -> Result<StripeSetupIntent, StripeError> {
    let found: SetupIntent = stripe.ask(Some(account_id), &RetrieveSetupIntent::new(word(id)?)).await?;
    Ok(StripeSetupIntent {
        id: found.id,
        status: found.status,
        customer_id: found.customer.map(Link::into_id),
        payment_method_id: found.payment_method.map(Link::into_id),
    })
}
