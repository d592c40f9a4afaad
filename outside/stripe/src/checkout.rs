//! Checkout Sessions: pages of Stripe's own.

use postern_domain::ports::stripe::{Metadata, NewCheckout, StripeCheckout, StripeError};
use serde::Deserialize;

use crate::{
    StripeClient,
    read::{HasId, List},
    spelling,
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
    let made: Session = stripe.change(Some(account_id), spelling::create_checkout_session(new), key).await?;
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
    let request = spelling::list_checkout_session(customer_id, PAGES_LOOKED_AT);
    let open: List<Session> = stripe.ask(Some(account_id), request).await?;
    let sells_it = |session: &Session| {
        session.metadata.as_ref().and_then(|metadata| metadata.get("productId")).is_some_and(|id| id == product_id)
    };
    let mut closed = 0;
    for session in open.data.iter().filter(|session| sells_it(session)) {
        let request = spelling::expire_checkout_session(&session.id)?;
        let ended: Result<HasId, _> = stripe.change_again(Some(account_id), request).await;
        match ended {
            Ok(_) => closed += 1,
            // It was paid or has ended meanwhile.
            Err(StripeError::Refused { .. } | StripeError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(closed)
}
