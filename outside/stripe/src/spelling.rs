//! How each call is spelled: method, path and parameters as docs.stripe.com/api has them, under the names that async-stripe gives
//! its requests. The tests compare every one with what async-stripe itself makes of the same values.

use std::collections::BTreeMap;

use postern_domain::ports::stripe::{
    BillingUnit, CheckoutOf, Metadata, NewCheckout, NewPaymentIntent, NewSubscription, RecurringPrice, StripeError,
    SubscriptionChange,
};
use postern_entity::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use stripe_client_core::{RequestBuilder, StripeMethod};

use crate::call::word;

#[cfg(test)]
mod tests;

/// The parameters of a call that has none. Not an empty map, nor a struct without braces: those would be spelled `=`.
#[derive(Serialize)]
struct Nothing {}

/// Asks for some objects.
fn list(path: &str, params: Value) -> RequestBuilder {
    RequestBuilder::new(StripeMethod::Get, path).query(&given(params))
}

/// Asks for one object, as it is.
fn retrieve(path: &str, id: &str) -> Result<RequestBuilder, StripeError> {
    Ok(RequestBuilder::new(StripeMethod::Get, format!("{path}/{}", word(id)?)).query(&Nothing {}))
}

/// Asks for one object with others in it.
fn expanded(path: &str, id: &str, expand: &[&str]) -> Result<RequestBuilder, StripeError> {
    Ok(list(&format!("{path}/{}", word(id)?), json!({ "expand": expand })))
}

/// Makes an object.
fn create(path: &str, params: Value) -> RequestBuilder {
    RequestBuilder::new(StripeMethod::Post, path).form(&given(params))
}

/// Changes an object.
fn update(path: &str, id: &str, params: Value) -> Result<RequestBuilder, StripeError> {
    Ok(create(&format!("{path}/{}", word(id)?), params))
}

/// Parameters without those that are null, at any depth: Stripe takes away what is there when one is spelled with nothing.
fn given(params: Value) -> Value {
    match params {
        Value::Object(params) => {
            let params = params.into_iter().filter(|(_, value)| !value.is_null());
            params.map(|(name, value)| (name, given(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(given).collect(),
        value => value,
    }
}

pub(crate) fn create_account(metadata: &Metadata) -> RequestBuilder {
    let requested = json!({ "requested": true });
    let params = json!({
        "country": "US",
        "controller": { "stripe_dashboard": { "type": "none" } },
        "capabilities": { "card_payments": requested, "transfers": requested },
        "metadata": metadata,
    });
    create("/accounts", params)
}

pub(crate) fn retrieve_account(id: &str) -> Result<RequestBuilder, StripeError> {
    retrieve("/accounts", id)
}

pub(crate) fn list_account() -> RequestBuilder {
    list("/accounts", json!({ "limit": 1 }))
}

pub(crate) fn create_account_link(account_id: &str, return_url: &str, refresh_url: &str) -> RequestBuilder {
    let params = json!({
        "account": account_id,
        "type": "account_onboarding",
        "return_url": return_url,
        "refresh_url": refresh_url,
    });
    create("/account_links", params)
}

/// For the components that an account's owner needs who has no dashboard of Stripe's: to tell what is asked, to see payments,
/// and to be paid out.
pub(crate) fn create_account_session(account_id: &str) -> RequestBuilder {
    let enabled = json!({ "enabled": true });
    let components = json!({
        "account_management": enabled,
        "account_onboarding": enabled,
        "balances": enabled,
        "notification_banner": enabled,
        "payments": enabled,
        "payouts": enabled,
    });
    create("/account_sessions", json!({ "account": account_id, "components": components }))
}

pub(crate) fn retrieve_customer(id: &str) -> Result<RequestBuilder, StripeError> {
    retrieve("/customers", id)
}

pub(crate) fn search_customer(query: &str) -> RequestBuilder {
    list("/customers/search", json!({ "query": query }))
}

pub(crate) fn list_customer(after: Option<&str>) -> RequestBuilder {
    list("/customers", json!({ "limit": 100, "starting_after": after }))
}

pub(crate) fn create_customer(metadata: &Metadata) -> RequestBuilder {
    create("/customers", json!({ "metadata": metadata }))
}

pub(crate) fn update_customer(
    id: &str,
    payment_method_id: &str,
    metadata: &Metadata,
) -> Result<RequestBuilder, StripeError> {
    let settings = json!({ "default_payment_method": payment_method_id });
    update("/customers", id, json!({ "invoice_settings": settings, "metadata": metadata }))
}

pub(crate) fn list_payment_methods_customer(customer_id: &str) -> Result<RequestBuilder, StripeError> {
    let path = format!("/customers/{}/payment_methods", word(customer_id)?);
    Ok(list(&path, json!({ "type": "card", "limit": 100 })))
}

pub(crate) fn create_setup_intent(customer_id: &str) -> RequestBuilder {
    let params = json!({ "customer": customer_id, "allowed_payment_method_types": ["card"], "usage": "off_session" });
    create("/setup_intents", params)
}

pub(crate) fn retrieve_setup_intent(id: &str) -> Result<RequestBuilder, StripeError> {
    retrieve("/setup_intents", id)
}

pub(crate) fn create_payment_intent(new: &NewPaymentIntent) -> RequestBuilder {
    let params = json!({
        "amount": new.amount,
        "currency": new.currency,
        "customer": new.customer_id,
        "automatic_payment_methods": { "enabled": true },
        "metadata": new.metadata,
    });
    create("/payment_intents", params)
}

pub(crate) fn retrieve_payment_intent(id: &str) -> Result<RequestBuilder, StripeError> {
    expanded("/payment_intents", id, &["latest_charge"])
}

pub(crate) fn create_refund(payment_intent_id: &str, amount: i64, metadata: &Metadata) -> RequestBuilder {
    create("/refunds", json!({ "payment_intent": payment_intent_id, "amount": amount, "metadata": metadata }))
}

pub(crate) fn create_product(name: &str) -> RequestBuilder {
    create("/products", json!({ "name": name }))
}

/// What comes back holds the secrets that its customer confirms with.
pub(crate) fn create_subscription(new: &NewSubscription, product_id: &str) -> Result<RequestBuilder, StripeError> {
    let params = json!({
        "customer": new.customer_id,
        "items": [{ "price_data": price(&new.price, product_id), "quantity": pieces(new.quantity)? }],
        "payment_behavior": "default_incomplete",
        "payment_settings": { "save_default_payment_method": "on_subscription" },
        "trial_period_days": trial(new.trial_days),
        "metadata": new.metadata,
        "expand": ["latest_invoice.confirmation_secret", "pending_setup_intent"],
    });
    Ok(create("/subscriptions", params))
}

/// What it costs more from now on is paid now: else nothing would be charged before the next period, and nothing at all if the
/// subscription was ended first.
pub(crate) fn update_subscription(
    id: &str,
    change: &SubscriptionChange,
    product_id: &str,
) -> Result<RequestBuilder, StripeError> {
    let item = json!({
        "id": change.item_id,
        "price_data": price(&change.price, product_id),
        "quantity": pieces(change.quantity)?,
    });
    let params = json!({
        "items": [item],
        "payment_behavior": "error_if_incomplete",
        "proration_behavior": "always_invoice",
        "metadata": change.metadata,
    });
    update("/subscriptions", id, params)
}

/// Other pieces of the same, without paying back.
pub(crate) fn reduce_subscription(id: &str, item_id: &str, quantity: i64) -> Result<RequestBuilder, StripeError> {
    let item = json!({ "id": item_id, "quantity": pieces(quantity)? });
    update("/subscriptions", id, json!({ "items": [item], "proration_behavior": "none" }))
}

/// Its last period is the one it is in.
pub(crate) fn end_subscription(id: &str) -> Result<RequestBuilder, StripeError> {
    update("/subscriptions", id, json!({ "cancel_at_period_end": true }))
}

pub(crate) fn cancel_subscription(id: &str) -> Result<RequestBuilder, StripeError> {
    let path = format!("/subscriptions/{}", word(id)?);
    Ok(RequestBuilder::new(StripeMethod::Delete, path).form(&Nothing {}))
}

pub(crate) fn retrieve_subscription(id: &str) -> Result<RequestBuilder, StripeError> {
    retrieve("/subscriptions", id)
}

pub(crate) fn list_subscription(customer_id: &str, after: Option<&str>) -> RequestBuilder {
    let params = json!({ "customer": customer_id, "status": "all", "limit": 100, "starting_after": after });
    list("/subscriptions", params)
}

fn price(price: &RecurringPrice, product_id: &str) -> Value {
    json!({
        "currency": price.currency,
        "product": product_id,
        "recurring": recurring(price),
        "unit_amount": price.unit_amount,
    })
}

fn recurring(price: &RecurringPrice) -> Value {
    let interval = match price.interval {
        BillingUnit::Day => "day",
        BillingUnit::Week => "week",
        BillingUnit::Month => "month",
        BillingUnit::Year => "year",
    };
    json!({ "interval": interval, "interval_count": price.interval_count })
}

fn pieces(quantity: i64) -> Result<u64, StripeError> {
    u64::try_from(quantity).map_err(|_| StripeError::Refused {
        code: "parameter_invalid_integer".to_owned(),
        message: format!("a quantity of {quantity}"),
    })
}

fn trial(days: u32) -> Option<u32> {
    Some(days).filter(|days| *days > 0)
}

pub(crate) fn retrieve_invoice(id: &str) -> Result<RequestBuilder, StripeError> {
    expanded("/invoices", id, &["payments"])
}

pub(crate) fn list_invoice(customer_id: &str, after: Option<&str>, limit: u8) -> RequestBuilder {
    let params = json!({
        "customer": customer_id,
        "limit": limit.clamp(1, 100),
        "starting_after": after,
        "expand": ["data.payments"],
    });
    list("/invoices", params)
}

pub(crate) fn create_checkout_session(new: &NewCheckout) -> RequestBuilder {
    let (mode, price, payment, subscription) = match &new.of {
        CheckoutOf::OneTime { product_name, unit_amount, currency } => {
            let price = json!({
                "currency": currency,
                "product_data": { "name": product_name },
                "unit_amount": unit_amount,
            });
            ("payment", price, json!({ "metadata": new.metadata }), Value::Null)
        }
        CheckoutOf::Subscription { price, trial_days } => {
            let subscription = json!({ "metadata": new.metadata, "trial_period_days": trial(*trial_days) });
            let price = json!({
                "currency": price.currency,
                "product_data": { "name": price.product_name },
                "recurring": recurring(price),
                "unit_amount": price.unit_amount,
            });
            ("subscription", price, Value::Null, subscription)
        }
    };
    let params = json!({
        "mode": mode,
        "customer": new.customer_id,
        "success_url": new.success_url,
        "cancel_url": new.cancel_url,
        "line_items": [{ "price_data": price, "quantity": u64::try_from(new.quantity).ok() }],
        "payment_intent_data": payment,
        "subscription_data": subscription,
        "metadata": new.metadata,
    });
    create("/checkout/sessions", params)
}

pub(crate) fn list_checkout_session(customer_id: &str, limit: i64) -> RequestBuilder {
    list("/checkout/sessions", json!({ "customer": customer_id, "status": "open", "limit": limit }))
}

pub(crate) fn expire_checkout_session(id: &str) -> Result<RequestBuilder, StripeError> {
    let path = format!("/checkout/sessions/{}/expire", word(id)?);
    Ok(RequestBuilder::new(StripeMethod::Post, path).form(&Nothing {}))
}

pub(crate) fn list_payment_method_configuration() -> RequestBuilder {
    list("/payment_method_configurations", json!({ "limit": 100 }))
}

/// async-stripe has a type for each sort; ours are whatever the account has.
pub(crate) fn update_payment_method_configuration(
    id: &str,
    updates: &BTreeMap<String, bool>,
) -> Result<RequestBuilder, StripeError> {
    let preference =
        |is_on: &bool| json!({ "display_preference": { "preference": if *is_on { "on" } else { "off" } } });
    let sorts = updates.iter().map(|(sort, is_on)| Ok((word(sort)?, preference(is_on))));
    update("/payment_method_configurations", id, sorts.collect::<Result<Value, StripeError>>()?)
}

pub(crate) fn list_event(since: Timestamp, until: Option<Timestamp>, after: Option<&str>) -> RequestBuilder {
    let created = json!({ "gte": since.seconds(), "lt": until.map(Timestamp::seconds) });
    list("/events", json!({ "created": created, "limit": 100, "starting_after": after }))
}
