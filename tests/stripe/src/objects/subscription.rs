//! Subscriptions: what calls make of them.

use serde_json::{Value, json};

use super::{invoice, payment, setup};
use crate::{
    calendar, list,
    params::Params,
    problem::Problem,
    state::{Scope, int, part, set, text},
};

/// What a subscription is made of.
pub(crate) struct Terms {
    pub(crate) customer: String,
    pub(crate) price: Value,
    pub(crate) quantity: i64,
    pub(crate) trial_days: i64,
    pub(crate) metadata: Value,
    pub(crate) saves_card: bool,
}

/// `POST /v1/subscriptions`
pub(crate) fn create(scope: &mut Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&[
        "cancel_at_period_end",
        "currency",
        "customer",
        "items",
        "metadata",
        "payment_behavior",
        "payment_settings",
        "trial_end",
        "trial_period_days",
        "trial_settings",
    ])?;
    let customer = params.required("/customer")?.to_owned();
    scope.named("customer", &customer, "customer")?;
    if params.text("/payment_behavior") != Some("default_incomplete") {
        return Err(Problem::invalid(
            None,
            "This fake only knows subscriptions of payment_behavior default_incomplete",
        ));
    }
    let price = price(scope, params, "/items/0")?;
    let terms = Terms {
        customer,
        price,
        quantity: params.int("/items/0/quantity")?.unwrap_or(1),
        trial_days: params.int("/trial_period_days")?.unwrap_or(0),
        metadata: params.metadata("/metadata")?,
        saves_card: params.text("/payment_settings/save_default_payment_method") == Some("on_subscription"),
    };
    add(scope, terms)
}

/// A subscription whose first payment waits for its customer, if there is one.
pub(crate) fn add(scope: &mut Scope<'_>, terms: Terms) -> Result<Value, Problem> {
    let id = scope.id("sub");
    let (start, has_trial) = (scope.now, terms.trial_days > 0);
    let recurring = part(&terms.price, "/recurring");
    let (interval, count) = (text(&recurring, "/interval").to_owned(), int(&recurring, "/interval_count"));
    let trial_end = has_trial.then_some(start + terms.trial_days * 86_400);
    let end = trial_end.or_else(|| calendar::period_end(start, start, &interval, count)).ok_or_else(bad_interval)?;
    let amount = if has_trial { 0 } else { int(&terms.price, "/unit_amount") * terms.quantity };
    let customer = Value::from(terms.customer);
    let item = json!({
        "id": scope.id("si"), "object": "subscription_item", "billing_thresholds": null, "created": start,
        "current_period_end": end, "current_period_start": start, "discounts": [], "metadata": {}, "plan": plan(&terms.price),
        "price": terms.price, "quantity": terms.quantity, "subscription": id, "tax_rates": [],
    });
    let url = format!("/v1/subscription_items?subscription={id}");
    let save = if terms.saves_card { "on_subscription" } else { "off" };
    let subscription = scope.add(json!({
        "id": id, "object": "subscription", "application": null, "application_fee_percent": null,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor": trial_end.unwrap_or(start), "billing_cycle_anchor_config": null,
        "billing_mode": { "type": "flexible" }, "billing_schedules": [], "billing_thresholds": null, "cancel_at": null,
        "cancel_at_period_end": false, "canceled_at": null,
        "cancellation_details": { "comment": null, "feedback": null, "reason": null },
        "collection_method": "charge_automatically", "created": start, "currency": part(&terms.price, "/currency"),
        "customer": customer, "customer_account": null, "days_until_due": null, "default_payment_method": null,
        "default_source": null, "default_tax_rates": [], "description": null, "discounts": [], "ended_at": null,
        "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
        "items": { "object": "list", "url": url, "has_more": false, "data": [item] }, "latest_invoice": null,
        "livemode": false, "metadata": terms.metadata, "next_pending_invoice_item_invoice": null, "on_behalf_of": null,
        "pause_collection": null,
        "payment_settings": {
            "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": save,
        },
        "pending_invoice_item_interval": null, "pending_setup_intent": null, "pending_update": null, "schedule": null,
        "start_date": start, "status": if has_trial { "trialing" } else if amount == 0 { "active" } else { "incomplete" },
        "test_clock": null, "transfer_data": null, "trial_end": trial_end,
        "trial_settings": { "end_behavior": { "missing_payment_method": "create_invoice" } },
        "trial_start": has_trial.then_some(start),
    }));
    scope.emit("customer.subscription.created", &id);
    let invoice = invoice::issue(scope, &subscription, "subscription_create", amount);
    scope.patch(&id, json!({ "latest_invoice": invoice }));
    if amount == 0 {
        // Nothing is to be paid now, but something will be.
        let pending = setup::add(scope, &customer, "off_session", json!({}));
        scope.patch(&id, json!({ "pending_setup_intent": part(&pending, "/id") }));
    }
    scope.get("subscription", &id)
}

fn bad_interval() -> Problem {
    Problem { param: Some("interval".to_owned()), ..Problem::invalid(None, "Invalid interval or interval_count") }
}

/// The price that an item of a call names or describes.
fn price(scope: &mut Scope<'_>, params: &Params, item: &str) -> Result<Value, Problem> {
    if let Some(id) = params.text(&format!("{item}/price")) {
        return scope.named("price", id, "items[0][price]");
    }
    price_of(scope, params, &format!("{item}/price_data"))
}

/// The recurring price that `price_data` describes.
pub(crate) fn price_of(scope: &mut Scope<'_>, params: &Params, place: &str) -> Result<Value, Problem> {
    let at = |name: &str| format!("{place}/{name}");
    let product = match params.text(&at("product")) {
        Some(id) => text(&scope.named("product", id, "price_data[product]")?, "/id").to_owned(),
        None => text(&add_product(scope, params.required(&at("product_data/name"))?, json!({})), "/id").to_owned(),
    };
    let (unit, currency) = (params.required_int(&at("unit_amount"))?, params.required(&at("currency"))?);
    let interval = params.required(&at("recurring/interval"))?;
    let count = params.int(&at("recurring/interval_count"))?.unwrap_or(1);
    // At most three years.
    let most = match interval {
        "day" => 1095,
        "week" => 156,
        "month" => 36,
        "year" => 3,
        _ => 0,
    };
    if unit < 0 || !(1..=most).contains(&count) {
        return Err(bad_interval());
    }
    let price = json!({
        "id": scope.id("price"), "object": "price", "active": false, "billing_scheme": "per_unit", "created": scope.now,
        "currency": currency, "custom_unit_amount": null, "livemode": false, "lookup_key": null, "metadata": {},
        "nickname": null, "product": product,
        "recurring": {
            "interval": interval, "interval_count": count, "meter": null, "trial_period_days": null,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified", "tiers_mode": null, "transform_quantity": null, "type": "recurring",
        "unit_amount": unit, "unit_amount_decimal": unit.to_string(),
    });
    Ok(scope.add(price))
}

/// A price as items have shown it before there were prices, and still do.
fn plan(price: &Value) -> Value {
    json!({
        "id": part(price, "/id"), "object": "plan", "active": false, "amount": part(price, "/unit_amount"),
        "amount_decimal": part(price, "/unit_amount_decimal"), "billing_scheme": "per_unit", "created": part(price, "/created"),
        "currency": part(price, "/currency"), "interval": part(price, "/recurring/interval"),
        "interval_count": part(price, "/recurring/interval_count"), "livemode": false, "metadata": {}, "meter": null,
        "nickname": null, "product": part(price, "/product"), "tiers_mode": null, "transform_usage": null,
        "trial_period_days": null, "usage_type": "licensed",
    })
}

/// `POST /v1/products`
pub(crate) fn create_product(scope: &mut Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["description", "metadata", "name"])?;
    let metadata = params.metadata("/metadata")?;
    Ok(add_product(scope, params.required("/name")?, metadata))
}

/// A product of this name.
pub(crate) fn add_product(scope: &mut Scope<'_>, name: &str, metadata: Value) -> Value {
    let id = scope.id("prod");
    let product = scope.add(json!({
        "id": id, "object": "product", "active": true, "created": scope.now, "default_price": null, "description": null,
        "images": [], "livemode": false, "marketing_features": [], "metadata": metadata, "name": name,
        "package_dimensions": null, "shippable": null, "statement_descriptor": null, "tax_code": null, "type": "service",
        "unit_label": null, "updated": scope.now, "url": null,
    }));
    scope.emit("product.created", &id);
    product
}

/// `POST /v1/subscriptions/{id}`
pub(crate) fn update(scope: &mut Scope<'_>, id: &str, params: &Params) -> Result<Value, Problem> {
    params.only(&[
        "cancel_at_period_end",
        "items",
        "metadata",
        "payment_behavior",
        "payment_settings",
        "proration_behavior",
        "trial_end",
    ])?;
    let before = scope.get("subscription", id)?;
    if is_over(&before) {
        return Err(Problem::invalid(
            None,
            "A canceled subscription can only update its cancellation_details and metadata.",
        ));
    }
    let mut changes = json!({ "metadata": params.merged_metadata(&part(&before, "/metadata"), "/metadata")? });
    if let Some(ends) = params.flag("/cancel_at_period_end")? {
        set(&mut changes, "/cancel_at_period_end", ends);
        set(
            &mut changes,
            "/cancel_at",
            if ends { part(&before, "/items/data/0/current_period_end") } else { Value::Null },
        );
        set(&mut changes, "/canceled_at", if ends { scope.now.into() } else { Value::Null });
    }
    if params.text("/payment_settings/save_default_payment_method").is_some() {
        set(&mut changes, "/payment_settings", part(&before, "/payment_settings"));
        set(
            &mut changes,
            "/payment_settings/save_default_payment_method",
            params.or_null("/payment_settings/save_default_payment_method"),
        );
    }
    let (mut is_billed, mut begins) = (false, false);
    if params.has("/items") {
        let mut item = part(&before, "/items/data/0");
        if params.required("/items/0/id")? != text(&item, "/id") {
            return Err(Problem::missing_param("subscription_item", params.required("/items/0/id")?, "items[0][id]"));
        }
        if let Some(quantity) = params.int("/items/0/quantity")? {
            set(&mut item, "/quantity", quantity);
        }
        if params.has("/items/0/price_data") || params.has("/items/0/price") {
            let price = price(scope, params, "/items/0")?;
            let same = |place: &str| part(&price, place) == part(&item, &format!("/price{place}"));
            // Another interval begins a period of its own at once; else the next invoice tells the difference, unless one is wanted
            // now. (It is over all of the new price here: the fake does not divide by days.)
            begins = !same("/recurring/interval") || !same("/recurring/interval_count");
            let is_invoiced = params.text("/proration_behavior") == Some("always_invoice");
            is_billed = begins || (is_invoiced && !same("/unit_amount"));
            set(&mut item, "/plan", plan(&price));
            set(&mut item, "/price", price);
        }
        if begins {
            let (interval, count) =
                (text(&item, "/price/recurring/interval").to_owned(), int(&item, "/price/recurring/interval_count"));
            let end = calendar::period_end(scope.now, scope.now, &interval, count).ok_or_else(bad_interval)?;
            set(&mut item, "/current_period_start", scope.now);
            set(&mut item, "/current_period_end", end);
            set(&mut changes, "/billing_cycle_anchor", scope.now);
        }
        set(&mut changes, "/items", part(&before, "/items"));
        set(&mut changes, "/items/data", json!([item]));
    }
    let pays_at_once = params.text("/payment_behavior") == Some("error_if_incomplete");
    let method = paying_method(scope, &before);
    if is_billed && pays_at_once && method.is_none() {
        let message = "This customer has no attached payment source or default payment method.";
        return Err(Problem::invalid(Some("resource_missing"), message));
    }
    if is_billed && pays_at_once && scope.account.declines_cards {
        return Err(declined(scope, &before));
    }
    scope.change(id, changes, "customer.subscription.updated");
    if is_billed {
        let invoice = bill(scope, id, "subscription_update", method.filter(|_| pays_at_once))?;
        if text(&scope.get("invoice", &invoice)?, "/status") == "open" {
            // Until its customer has confirmed.
            scope.change(id, json!({ "status": "past_due" }), "customer.subscription.updated");
        }
    }
    scope.get("subscription", id)
}

/// The card does not pay, so nothing is as it was asked for but the payment intent that failed.
fn declined(scope: &mut Scope<'_>, subscription: &Value) -> Problem {
    let (customer, currency) = (part(subscription, "/customer"), text(subscription, "/currency"));
    let intent = payment::add(scope, 100, currency, &customer, json!({}), &Value::Null);
    payment::fail(scope, &intent, "Your card was declined.");
    Problem::declined(scope.get("payment_intent", text(&intent, "/id")).unwrap_or_default())
}

/// Issues an invoice for the present period; paid at once by a card, if one is given.
pub(crate) fn bill(scope: &mut Scope<'_>, id: &str, reason: &str, method: Option<String>) -> Result<String, Problem> {
    let subscription = scope.get("subscription", id)?;
    let item = part(&subscription, "/items/data/0");
    let amount = int(&item, "/price/unit_amount") * int(&item, "/quantity");
    let invoice = invoice::issue(scope, &subscription, reason, amount);
    scope.patch(id, json!({ "latest_invoice": invoice }));
    if let (Some(method), true) = (method, amount > 0) {
        invoice::pay(scope, &invoice, &method)?;
    }
    Ok(invoice)
}

/// The card by which a subscription is paid: its own, or the customer's.
pub(crate) fn paying_method(scope: &Scope<'_>, subscription: &Value) -> Option<String> {
    let own = text(subscription, "/default_payment_method");
    let customer = scope.account.objects.get(text(subscription, "/customer"));
    let customers = customer.map(|customer| text(customer, "/invoice_settings/default_payment_method"));
    [own, customers.unwrap_or_default()].into_iter().find(|id| !id.is_empty()).map(str::to_owned)
}

/// A card for what is to be paid now: the one that is there, or one that the customer types in and keeps.
pub(crate) fn card(scope: &mut Scope<'_>, subscription: &Value) -> String {
    if let Some(method) = paying_method(scope, subscription) {
        return method;
    }
    let method = payment::add_card(scope, &part(subscription, "/customer"), &payment::Card::default());
    let method = text(&method, "/id").to_owned();
    if text(subscription, "/payment_settings/save_default_payment_method") == "on_subscription" {
        scope.patch(text(subscription, "/id"), json!({ "default_payment_method": method }));
    }
    method
}

/// It will never come back.
pub(crate) fn is_over(subscription: &Value) -> bool {
    matches!(text(subscription, "/status"), "canceled" | "incomplete_expired")
}

/// `DELETE /v1/subscriptions/{id}`
pub(crate) fn cancel(scope: &mut Scope<'_>, id: &str) -> Result<Value, Problem> {
    if is_over(&scope.get("subscription", id)?) {
        return Err(Problem::missing("subscription", id));
    }
    end(scope, id, scope.now);
    scope.get("subscription", id)
}

/// Ends it as of then.
pub(crate) fn end(scope: &mut Scope<'_>, id: &str, at: i64) {
    let Ok(before) = scope.get("subscription", id) else { return };
    let canceled_at = before.get("canceled_at").filter(|at| !at.is_null()).cloned().unwrap_or_else(|| at.into());
    if text(&before, "/status") == "incomplete" {
        invoice::void(scope, text(&before, "/latest_invoice"));
    }
    scope.patch(id, json!({ "status": "canceled", "canceled_at": canceled_at, "ended_at": at }));
    scope.emit("customer.subscription.deleted", id);
}

/// `GET /v1/subscriptions`
pub(crate) fn list(scope: &Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["created", "customer", "limit", "price", "starting_after", "status"])?;
    let (customer, status) = (params.text("/customer"), params.text("/status"));
    let subscriptions = scope.account.objects.of_kind("subscription").filter(|subscription| {
        let fits = match status {
            None => !is_over(subscription),
            Some("all") => true,
            Some("ended") => is_over(subscription),
            Some(status) => text(subscription, "/status") == status,
        };
        fits && customer.is_none_or(|id| text(subscription, "/customer") == id)
    });
    list::page("/v1/subscriptions", params, subscriptions)
}
