//! Customers.

use postern_domain::ports::stripe::{Metadata, StripeCustomer, StripeError};
use serde::Deserialize;

use crate::{
    StripeClient,
    read::{HasId, Link, List},
    spelling,
};

/// How many pages of the newest customers are looked through: ten of a hundred.
const PAGES_TO_LOOK_THROUGH: usize = 10;

#[derive(Deserialize)]
struct Customer {
    id: String,
    #[serde(default)]
    deleted: bool,
    metadata: Option<Metadata>,
    invoice_settings: Option<InvoiceSettings>,
}

#[derive(Deserialize)]
struct InvoiceSettings {
    default_payment_method: Option<Link>,
}

impl From<Customer> for StripeCustomer {
    fn from(customer: Customer) -> Self {
        let settings = customer.invoice_settings;
        Self {
            id: customer.id,
            metadata: customer.metadata.unwrap_or_default(),
            default_payment_method: settings.and_then(|settings| settings.default_payment_method).map(Link::into_id),
        }
    }
}

pub(crate) async fn retrieve(stripe: &StripeClient, account_id: &str, id: &str) -> Result<StripeCustomer, StripeError> {
    let found: Customer = stripe.ask(Some(account_id), spelling::retrieve_customer(id)?).await?;
    if found.deleted {
        return Err(StripeError::NotFound(format!("the customer {id} was deleted")));
    }
    Ok(found.into())
}

/// By search, then in the newest thousand.
pub(crate) async fn find(
    stripe: &StripeClient,
    account_id: &str,
    customer_id: &str,
    customer_type: &str,
) -> Result<Option<StripeCustomer>, StripeError> {
    let is_it = |customer: &Customer| {
        let says = |name: &str| customer.metadata.as_ref().and_then(|metadata| metadata.get(name)).map(String::as_str);
        !customer.deleted && says("customerId") == Some(customer_id) && says("customerType") == Some(customer_type)
    };
    let query = format!(
        "metadata['customerId']:'{}' AND metadata['customerType']:'{}'",
        escaped(customer_id),
        escaped(customer_type)
    );
    let searched: Result<List<Customer>, _> = stripe.ask(Some(account_id), spelling::search_customer(&query)).await;
    let searched = match searched {
        Ok(found) => found.data,
        // Accounts of some countries have no search.
        Err(StripeError::Refused { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    if let Some(found) = searched.into_iter().find(is_it) {
        return Ok(Some(found.into()));
    }
    let mut after = None;
    for _ in 0..PAGES_TO_LOOK_THROUGH {
        let page: List<Customer> = stripe.ask(Some(account_id), spelling::list_customer(after.as_deref())).await?;
        let last = page.data.last().map(|customer| customer.id.clone());
        if let Some(found) = page.data.into_iter().find(is_it) {
            return Ok(Some(found.into()));
        }
        match last {
            Some(last) if page.has_more => after = Some(last),
            _ => break,
        }
    }
    Ok(None)
}

/// Text within the quotes of a search.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

pub(crate) async fn create(
    stripe: &StripeClient,
    account_id: &str,
    metadata: &Metadata,
    key: &str,
) -> Result<StripeCustomer, StripeError> {
    let made: Customer = stripe.change(Some(account_id), spelling::create_customer(metadata), key).await?;
    Ok(made.into())
}

pub(crate) async fn set_default_card(
    stripe: &StripeClient,
    account_id: &str,
    customer_id: &str,
    payment_method_id: &str,
    metadata: &Metadata,
) -> Result<(), StripeError> {
    let request = spelling::update_customer(customer_id, payment_method_id, metadata)?;
    let _: HasId = stripe.change_again(Some(account_id), request).await?;
    Ok(())
}
