//! Checkout Sessions: pages of Stripe's own.

use serde_json::{Value, json};

use super::{
    PAGES, invoice, payment,
    subscription::{self, Terms},
};
use crate::{
    list,
    params::Params,
    problem::Problem,
    state::{Scope, int, part, set, text},
};

/// `POST /v1/checkout/sessions`
pub(crate) fn create(scope: &mut Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&[
        "cancel_url",
        "customer",
        "line_items",
        "metadata",
        "mode",
        "payment_intent_data",
        "subscription_data",
        "success_url",
    ])?;
    let mode = params.required("/mode")?.to_owned();
    let customer = params.required("/customer")?.to_owned();
    scope.named("customer", &customer, "customer")?;
    let (mine, other) = match mode.as_str() {
        "payment" => ("payment_intent_data", "subscription_data"),
        "subscription" => ("subscription_data", "payment_intent_data"),
        _ => {
            return Err(Problem::invalid(
                None,
                format!("Invalid mode: must be one of payment or subscription: {mode}"),
            ));
        }
    };
    if params.has(&format!("/{other}")) {
        return Err(Problem::invalid(None, format!("You can not pass `{other}` in `{mode}` mode.")));
    }
    let price = "/line_items/0/price_data";
    let (unit, currency) = (
        params.required_int(&format!("{price}/unit_amount"))?,
        params.required(&format!("{price}/currency"))?.to_owned(),
    );
    let quantity = params.required_int("/line_items/0/quantity")?;
    params.required("/success_url")?;
    let recurring = if mode == "subscription" { Some(subscription::price_of(scope, params, price)?) } else { None };
    if recurring.is_none() {
        params.required(&format!("{price}/product_data/name"))?;
    }
    let trial_days = params.int("/subscription_data/trial_period_days")?.unwrap_or(0);
    let total = if trial_days > 0 { 0 } else { unit * quantity };
    let id = scope.id("cs_test");
    let object = json!({
        "id": id, "object": "checkout.session", "adaptive_pricing": null, "after_expiration": null,
        "allow_promotion_codes": null, "amount_subtotal": total, "amount_total": total,
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
        "billing_address_collection": null, "cancel_url": params.or_null("/cancel_url"), "client_reference_id": null,
        "client_secret": null, "collected_information": null, "consent": null, "consent_collection": null,
        "created": scope.now, "currency": currency, "currency_conversion": null, "custom_fields": [],
        "custom_text": { "after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null },
        "customer": customer, "customer_account": null, "customer_creation": null, "customer_details": null, "customer_email": null, "discounts": [],
        "expires_at": scope.now + 86_400, "invoice": null, "invoice_creation": null, "livemode": false, "locale": null,
        "metadata": params.metadata("/metadata")?, "mode": mode, "origin_context": null, "payment_intent": null,
        "payment_link": null, "payment_method_collection": "always", "payment_method_configuration_details": null,
        "payment_method_options": {}, "payment_method_types": ["card"], "payment_status": "unpaid", "permissions": null,
        "phone_number_collection": { "enabled": false }, "recovered_from": null, "saved_payment_method_options": null,
        "setup_intent": null, "shipping_address_collection": null, "shipping_cost": null, "shipping_options": [],
        "status": "open", "submit_type": null, "subscription": null, "success_url": params.or_null("/success_url"),
        "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 }, "ui_mode": "hosted",
        "url": format!("{PAGES}/c/pay/{id}"), "wallet_options": null,
    });
    let object = scope.add(object);
    // Not on the wire: what is made when the page is paid.
    scope.add(json!({
        "id": order_id(&id), "object": "order", "metadata": params.metadata(&format!("/{mine}/metadata"))?,
        "price": recurring, "quantity": quantity, "trial_days": trial_days,
    }));
    Ok(object)
}

fn order_id(session_id: &str) -> String {
    format!("order_{session_id}")
}

/// Its customer has paid on the page.
pub(crate) fn complete(scope: &mut Scope<'_>, id: &str) -> Result<Value, Problem> {
    let session = scope.get("checkout.session", id)?;
    if text(&session, "/status") != "open" || int(&session, "/expires_at") <= scope.now {
        return Err(Problem::invalid(None, format!("The Checkout Session {id} is not open.")));
    }
    let order = scope.get("order", &order_id(id))?;
    let customer = part(&session, "/customer");
    let mut changes = json!({ "status": "complete", "payment_status": "paid", "url": null });
    if text(&session, "/mode") == "payment" {
        let (amount, currency) = (int(&session, "/amount_total"), text(&session, "/currency"));
        let intent = payment::add(scope, amount, currency, &customer, part(&order, "/metadata"), &Value::Null);
        let card = payment::add_card(scope, &Value::Null, &payment::Card::default());
        payment::succeed(scope, &intent, text(&card, "/id"));
        set(&mut changes, "/payment_intent", part(&intent, "/id"));
    } else {
        let terms = Terms {
            customer: text(&session, "/customer").to_owned(),
            price: part(&order, "/price"),
            quantity: int(&order, "/quantity"),
            trial_days: int(&order, "/trial_days"),
            metadata: part(&order, "/metadata"),
            saves_card: true,
        };
        let made = subscription::add(scope, terms)?;
        let (made_id, first) = (text(&made, "/id"), text(&made, "/latest_invoice"));
        let card = subscription::card(scope, &made);
        if int(&session, "/amount_total") > 0 {
            invoice::pay(scope, first, &card)?;
            scope.change(made_id, json!({ "status": "active" }), "customer.subscription.updated");
        } else {
            scope.change(made_id, json!({ "pending_setup_intent": null }), "customer.subscription.updated");
            set(&mut changes, "/payment_status", "no_payment_required");
        }
        set(&mut changes, "/subscription", part(&made, "/id"));
        set(&mut changes, "/invoice", part(&made, "/latest_invoice"));
    }
    scope.patch(id, changes);
    scope.emit("checkout.session.completed", id);
    scope.get("checkout.session", id)
}

/// `POST /v1/checkout/sessions/{id}/expire`
pub(crate) fn expire(scope: &mut Scope<'_>, id: &str, params: &Params) -> Result<Value, Problem> {
    params.only(&[])?;
    let session = scope.get("checkout.session", id)?;
    let status = text(&session, "/status");
    if status != "open" {
        let message = format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of {status}."
        );
        return Err(Problem::invalid(None, message));
    }
    scope.patch(id, json!({ "status": "expired", "url": null }));
    scope.emit("checkout.session.expired", id);
    scope.get("checkout.session", id)
}

/// `GET /v1/checkout/sessions`
pub(crate) fn list(scope: &Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["created", "customer", "limit", "payment_intent", "starting_after", "status", "subscription"])?;
    let fits = |session: &&Value| {
        let is = |name: &str| params.text(name).is_none_or(|wanted| text(session, name) == wanted);
        is("/customer") && is("/status")
    };
    let sessions = scope.account.objects.of_kind("checkout.session");
    list::page("/v1/checkout/sessions", params, sessions.filter(fits))
}
