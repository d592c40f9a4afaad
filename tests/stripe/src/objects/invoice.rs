//! Invoices of subscriptions.

use serde_json::{Value, json};

use super::{PAGES, payment};
use crate::{
    list,
    params::Params,
    problem::Problem,
    state::{Scope, int, part, set, text},
};

/// Makes an invoice for the present period of a subscription and finalizes it: paid already when nothing is to be paid, else
/// open with a payment intent. Answers its id.
pub(crate) fn issue(scope: &mut Scope<'_>, subscription: &Value, reason: &str, amount: i64) -> String {
    let id = draft(scope, subscription, reason, amount);
    scope.emit("invoice.created", &id);
    let mut finalized = json!({
        "auto_advance": true, "effective_at": scope.now, "hosted_invoice_url": format!("{PAGES}/i/{id}"),
        "invoice_pdf": format!("{PAGES}/i/{id}/pdf"), "number": format!("FAKE-{id}"), "status": "open",
        "status_transitions": transitions(scope, &id, "finalized_at"),
    });
    if amount > 0 {
        let description =
            json!(if reason == "subscription_create" { "Subscription creation" } else { "Subscription update" });
        let (customer, currency) = (part(subscription, "/customer"), text(subscription, "/currency"));
        let intent = payment::add(scope, amount, currency, &customer, json!({}), &description);
        let payment = json!({
            "id": scope.id("inpay"), "object": "invoice_payment", "amount_paid": null, "amount_requested": amount,
            "created": scope.now, "currency": currency, "invoice": id, "is_default": true, "livemode": false,
            "payment": { "payment_intent": part(&intent, "/id"), "type": "payment_intent" }, "status": "open",
            "status_transitions": { "canceled_at": null, "paid_at": null },
        });
        set(
            &mut finalized,
            "/confirmation_secret",
            json!({ "client_secret": part(&intent, "/client_secret"), "type": "payment_intent" }),
        );
        set(&mut finalized, "/payments", payments(&id, vec![payment]));
    }
    scope.patch(&id, finalized);
    scope.emit("invoice.finalized", &id);
    if amount == 0 {
        settle(scope, &id, 0);
    }
    id
}

fn payments(invoice_id: &str, data: Vec<Value>) -> Value {
    json!({ "object": "list", "url": format!("/v1/invoice_payments?invoice={invoice_id}"), "has_more": false, "data": data })
}

/// When the invoice came to what, with one more.
fn transitions(scope: &Scope<'_>, id: &str, name: &str) -> Value {
    let mut transitions =
        scope.account.objects.get(id).map(|invoice| part(invoice, "/status_transitions")).unwrap_or_default();
    set(&mut transitions, &format!("/{name}"), scope.now);
    transitions
}

fn draft(scope: &mut Scope<'_>, subscription: &Value, reason: &str, amount: i64) -> String {
    let id = scope.id("in");
    let item = part(subscription, "/items/data/0");
    let product =
        scope.account.objects.get(text(&item, "/price/product")).map(|product| text(product, "/name").to_owned());
    let (quantity, unit) = (int(&item, "/quantity"), int(&item, "/price/unit_amount"));
    let interval = text(&item, "/price/recurring/interval");
    let description = format!("{quantity} × {} (at {unit} / {interval})", product.unwrap_or_default());
    let currency = text(subscription, "/currency");
    let line = json!({
        "id": scope.id("il"), "object": "line_item", "amount": amount, "currency": currency, "description": description,
        "discount_amounts": [], "discountable": true, "discounts": [], "invoice": id, "livemode": false,
        "metadata": part(subscription, "/metadata"),
        "parent": {
            "invoice_item_details": null,
            "subscription_item_details": {
                "invoice_item": null, "proration": false, "proration_details": { "credited_items": null },
                "subscription": part(subscription, "/id"), "subscription_item": part(&item, "/id"),
            },
            "type": "subscription_item_details",
        },
        "period": { "start": part(&item, "/current_period_start"), "end": part(&item, "/current_period_end") },
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": { "price": part(&item, "/price/id"), "product": part(&item, "/price/product") },
            "type": "price_details", "unit_amount_decimal": unit.to_string(),
        },
        "quantity": quantity, "subtotal": amount, "taxes": [],
    });
    let lines =
        json!({ "object": "list", "url": format!("/v1/invoices/{id}/lines"), "has_more": false, "data": [line] });
    scope.add(json!({
        "id": id, "object": "invoice", "account_country": "US", "account_name": null, "account_tax_ids": null,
        "amount_due": amount, "amount_overpaid": 0, "amount_paid": 0, "amount_remaining": amount, "amount_shipping": 0,
        "application": null, "attempt_count": 0, "attempted": false, "auto_advance": false,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null, "provider": null, "status": null },
        "automatically_finalizes_at": null, "billing_reason": reason, "collection_method": "charge_automatically",
        "confirmation_secret": null, "created": scope.now, "currency": currency, "custom_fields": null,
        "customer": part(subscription, "/customer"), "customer_account": null, "customer_address": null, "customer_email": null, "customer_name": null,
        "customer_phone": null, "customer_shipping": null, "customer_tax_exempt": "none", "customer_tax_ids": [],
        "default_payment_method": null, "default_source": null, "default_tax_rates": [], "description": null,
        "discounts": [], "due_date": null, "effective_at": null, "ending_balance": null, "footer": null,
        "from_invoice": null, "hosted_invoice_url": null, "invoice_pdf": null, "issuer": { "type": "self" },
        "last_finalization_error": null, "latest_revision": null, "lines": lines, "livemode": false, "metadata": {},
        "next_payment_attempt": null, "number": null, "on_behalf_of": null,
        "parent": {
            "quote_details": null,
            "subscription_details": { "metadata": part(subscription, "/metadata"), "subscription": part(subscription, "/id") },
            "type": "subscription_details",
        },
        "payment_settings": { "default_mandate": null, "payment_method_options": null, "payment_method_types": null },
        "payments": payments(&id, vec![]), "period_end": scope.now, "period_start": scope.now,
        "post_payment_credit_notes_amount": 0, "pre_payment_credit_notes_amount": 0, "receipt_number": null,
        "rendering": null, "shipping_cost": null, "shipping_details": null, "starting_balance": 0,
        "statement_descriptor": null, "status": "draft",
        "status_transitions": { "finalized_at": null, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null },
        "subtotal": amount, "subtotal_excluding_tax": amount, "test_clock": null, "total": amount,
        "total_discount_amounts": [], "total_excluding_tax": amount, "total_pretax_credit_amounts": [],
        "total_taxes": [], "webhooks_delivered_at": scope.now,
    }));
    id
}

/// Pays an open invoice by this card.
pub(crate) fn pay(scope: &mut Scope<'_>, id: &str, method: &str) -> Result<(), Problem> {
    let invoice = open(scope, id)?;
    let intent = scope.get("payment_intent", text(&invoice, "/payments/data/0/payment/payment_intent"))?;
    payment::succeed(scope, &intent, method);
    let amount = int(&invoice, "/amount_due");
    let mut payment = part(&invoice, "/payments/data/0");
    set(&mut payment, "/amount_paid", amount);
    set(&mut payment, "/status", "paid");
    set(&mut payment, "/status_transitions/paid_at", scope.now);
    scope.patch(id, json!({ "payments": payments(id, vec![payment]), "confirmation_secret": null }));
    settle(scope, id, amount);
    Ok(())
}

fn settle(scope: &mut Scope<'_>, id: &str, amount: i64) {
    let invoice = scope.account.objects.get(id).cloned().unwrap_or_default();
    let changes = json!({
        "amount_paid": amount, "amount_remaining": 0, "attempted": true,
        "attempt_count": int(&invoice, "/attempt_count") + i64::from(amount > 0), "next_payment_attempt": null,
        "status": "paid", "status_transitions": transitions(scope, id, "paid_at"),
    });
    scope.change(id, changes, "invoice.updated");
    scope.emit("invoice.paid", id);
    scope.emit("invoice.payment_succeeded", id);
}

/// An open invoice was to be paid and was not, for this reason.
pub(crate) fn fail(scope: &mut Scope<'_>, id: &str, reason: &str) -> Result<(), Problem> {
    let invoice = open(scope, id)?;
    let intent = scope.get("payment_intent", text(&invoice, "/payments/data/0/payment/payment_intent"))?;
    payment::fail(scope, &intent, reason);
    let changes = json!({
        "attempted": true, "attempt_count": int(&invoice, "/attempt_count") + 1,
        "next_payment_attempt": scope.now + 3 * 86_400,
    });
    scope.change(id, changes, "invoice.updated");
    scope.emit("invoice.payment_failed", id);
    Ok(())
}

/// Nobody tries any more to have an open invoice paid.
pub(crate) fn give_up(scope: &mut Scope<'_>, id: &str) -> Result<(), Problem> {
    open(scope, id)?;
    let changes = json!({
        "next_payment_attempt": null, "status": "uncollectible",
        "status_transitions": transitions(scope, id, "marked_uncollectible_at"),
    });
    scope.change(id, changes, "invoice.updated");
    scope.emit("invoice.marked_uncollectible", id);
    scope.emit("invoice.payment_failed", id);
    Ok(())
}

/// What an ended subscription left open is not asked for any more.
pub(crate) fn void(scope: &mut Scope<'_>, id: &str) {
    if open(scope, id).is_ok() {
        let transitions = transitions(scope, id, "voided_at");
        scope.patch(id, json!({ "status": "void", "status_transitions": transitions, "next_payment_attempt": null }));
        scope.emit("invoice.voided", id);
    }
}

fn open(scope: &Scope<'_>, id: &str) -> Result<Value, Problem> {
    let invoice = scope.get("invoice", id)?;
    if text(&invoice, "/status") != "open" {
        return Err(Problem::invalid(Some("invoice_not_editable"), format!("Invoice {id} is not open.")));
    }
    Ok(invoice)
}

/// `GET /v1/invoices`
pub(crate) fn list(scope: &Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["created", "customer", "limit", "starting_after", "status", "subscription"])?;
    let fits =
        |place: &str, param: &str, invoice: &Value| params.text(param).is_none_or(|id| text(invoice, place) == id);
    let invoices = scope.account.objects.of_kind("invoice").filter(|invoice| {
        fits("/customer", "/customer", invoice)
            && fits("/status", "/status", invoice)
            && fits("/parent/subscription_details/subscription", "/subscription", invoice)
    });
    list::page("/v1/invoices", params, invoices)
}
