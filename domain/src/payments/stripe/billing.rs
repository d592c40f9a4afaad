//! Invoices, cards, and setting cards up (wire: payments §7), for users and teams.

use postern_entity::ProjectId;
use secrecy::SecretString;

use super::{Connected, connected, customer, require_connected, told};
use crate::{
    Actor, Deps, Failure,
    api_keys::require_no_key,
    error::{Result, refuse},
    items::{Customer, CustomerType, require_access, require_exists},
    ports::stripe::{StripeCard, StripeError, StripeInvoice, StripePage},
};

/// How a customer pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Billing {
    /// Stripe knows the customer.
    pub has_customer: bool,
    /// The card that pays.
    pub default_card: Option<StripeCard>,
}

/// The set-up of a card in a browser.
#[derive(Clone, Debug)]
pub struct CardSetup {
    /// For Stripe's own scripts.
    pub client_secret: SecretString,
    /// Within this account.
    pub account_id: String,
}

async fn require(deps: &Deps, actor: &Actor, customer: &Customer) -> Result<()> {
    if customer.kind() == CustomerType::Custom {
        return refuse(Failure::bad_request("Only users and teams have invoices and cards here."));
    }
    require_access(deps, actor, customer).await?;
    require_exists(deps, &actor.project_id, customer).await
}

/// The account, and what Stripe calls the customer; none where either is not there.
async fn at_stripe(deps: &Deps, project_id: &ProjectId, customer: &Customer) -> Result<Option<(Connected, String)>> {
    let Some(connected) = connected(deps, project_id).await? else { return Ok(None) };
    let stripe_id = customer::find(deps, project_id, customer).await?;
    Ok(stripe_id.map(|stripe_id| (connected, stripe_id)))
}

/// Invoices of a customer, newest first: at most `limit` (and a hundred) after the one with the id `after`.
///
/// # Errors
/// Those of [`require_access`]; `USER_NOT_FOUND`, `TEAM_NOT_FOUND`; `BAD_REQUEST` for a place in the list that is none; `UNAVAILABLE`.
#[crate::boxed]
pub async fn invoices(
    deps: &Deps,
    actor: &Actor,
    customer: &Customer,
    after: Option<&str>,
    limit: u8,
) -> Result<StripePage<StripeInvoice>> {
    require(deps, actor, customer).await?;
    let Some((connected, stripe_id)) = at_stripe(deps, &actor.project_id, customer).await? else {
        return Ok(StripePage { items: Vec::new(), has_more: false });
    };
    let is_id =
        |text: &str| text.starts_with("in_") && text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if after.is_some_and(|after| !is_id(after)) {
        return refuse(Failure::bad_request("The cursor is not one of this list."));
    }
    match connected.api.invoices(&connected.account_id, &stripe_id, after, limit.clamp(1, 100)).await {
        Err(StripeError::NotFound(_)) => refuse(Failure::bad_request("The cursor is not one of this list.")),
        other => other.map_err(told),
    }
}

/// How a customer pays.
///
/// # Errors
/// Those of [`invoices`].
#[crate::boxed]
pub async fn billing(deps: &Deps, actor: &Actor, customer: &Customer) -> Result<Billing> {
    require(deps, actor, customer).await?;
    let Some((connected, _)) = at_stripe(deps, &actor.project_id, customer).await? else {
        return Ok(Billing { has_customer: false, default_card: None });
    };
    let default_card = default_card(deps, &connected, &actor.project_id, customer).await?;
    Ok(Billing { has_customer: true, default_card })
}

/// The card that pays for the customer: the one that was chosen, else the newest.
pub(in crate::payments) async fn default_card(
    deps: &Deps,
    connected: &Connected,
    project_id: &ProjectId,
    customer: &Customer,
) -> Result<Option<StripeCard>> {
    let Some(stripe_id) = customer::find(deps, project_id, customer).await? else { return Ok(None) };
    let chosen = match connected.api.customer(&connected.account_id, &stripe_id).await {
        Ok(found) => found.default_payment_method,
        Err(StripeError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(told(error)),
    };
    let mut cards = connected.api.cards(&connected.account_id, &stripe_id).await.map_err(told)?;
    if let Some(index) = cards.iter().position(|card| Some(&card.id) == chosen.as_ref()) {
        return Ok(Some(cards.swap_remove(index)));
    }
    Ok(cards.into_iter().next())
}

/// Begins the set-up of a card, for people who are signed in.
///
/// # Errors
/// Those of [`invoices`]; `FORBIDDEN` for API keys; `BAD_REQUEST` when payments are not set up.
#[crate::boxed]
pub async fn set_up_card(deps: &Deps, actor: &Actor, customer: &Customer) -> Result<CardSetup> {
    require_no_key(actor)?;
    require(deps, actor, customer).await?;
    let connected = require_connected(deps, &actor.project_id).await?;
    let stripe_id = customer::get_or_make(deps, &connected, &actor.project_id, customer).await?;
    let client_secret = connected.api.create_setup_intent(&connected.account_id, &stripe_id).await.map_err(told)?;
    Ok(CardSetup { client_secret, account_id: connected.account_id })
}

/// Makes the card that was set up the one that pays.
///
/// # Errors
/// Those of [`set_up_card`]; `BAD_REQUEST` when the set-up has not succeeded; `FORBIDDEN` when it is another customer's.
#[crate::boxed]
pub async fn use_card(
    deps: &Deps,
    actor: &Actor,
    customer: &Customer,
    setup_intent_id: &str,
) -> Result<Option<StripeCard>> {
    require_no_key(actor)?;
    require(deps, actor, customer).await?;
    let connected = require_connected(deps, &actor.project_id).await?;
    let (api, account_id) = (&connected.api, &connected.account_id);
    let stripe_id = customer::get_or_make(deps, &connected, &actor.project_id, customer).await?;
    let is_id = setup_intent_id.len() <= 255
        && setup_intent_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_id {
        return refuse(Failure::bad_request("There is no such set-up of a card."));
    }
    let setup = match api.setup_intent(account_id, setup_intent_id).await {
        Err(StripeError::NotFound(_)) => return refuse(Failure::bad_request("There is no such set-up of a card.")),
        other => other.map_err(told)?,
    };
    if setup.customer_id.as_ref() != Some(&stripe_id) {
        return refuse(Failure::forbidden("The set-up is another customer's."));
    }
    let Some(card_id) = setup.payment_method_id.filter(|_| setup.status == "succeeded") else {
        return refuse(Failure::bad_request("The set-up of the card has not succeeded."));
    };
    let mut metadata = customer::metadata(customer);
    for key in ["defaultPaymentMethodId", "default_payment_method_id"] {
        metadata.insert(key.to_owned(), card_id.clone());
    }
    metadata.insert("hasPaymentMethod".to_owned(), "true".to_owned());
    api.set_default_card(account_id, &stripe_id, &card_id, &metadata).await.map_err(told)?;
    default_card(deps, &connected, &actor.project_id, customer).await
}
