//! Payment intents, their charges, and cards.

use serde_json::{Value, json};

use super::PAGES;
use crate::{
    list,
    params::Params,
    problem::Problem,
    state::{Scope, int, part, text},
};

/// Less than this is not worth a charge (0.50 of most currencies).
const SMALLEST_AMOUNT: i64 = 50;

/// `POST /v1/payment_intents`
pub(crate) fn create(scope: &mut Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["amount", "automatic_payment_methods", "currency", "customer", "description", "metadata"])?;
    let amount = params.required_int("/amount")?;
    let currency = params.required("/currency")?.to_owned();
    let customer = params.or_null("/customer");
    if let Some(id) = customer.as_str() {
        scope.named("customer", id, "customer")?;
    }
    if amount < SMALLEST_AMOUNT {
        let message = format!("Amount must be at least $0.50 {currency}");
        let problem = Problem::invalid(Some("amount_too_small"), message);
        return Err(Problem { param: Some("amount".to_owned()), ..problem });
    }
    let metadata = params.metadata("/metadata")?;
    Ok(add(scope, amount, &currency, &customer, metadata, &params.or_null("/description")))
}

/// A payment intent that waits for a card.
pub(crate) fn add(
    scope: &mut Scope<'_>,
    amount: i64,
    currency: &str,
    customer: &Value,
    metadata: Value,
    description: &Value,
) -> Value {
    let id = scope.id("pi");
    let object = json!({
        "id": id, "object": "payment_intent", "allowed_payment_method_types": null, "amount": amount, "amount_capturable": 0,
        "amount_details": { "tip": {} }, "amount_received": 0, "application": null, "application_fee_amount": null,
        "automatic_payment_methods": { "allow_redirects": "always", "enabled": true }, "canceled_at": null,
        "cancellation_reason": null, "capture_method": "automatic_async", "client_secret": scope.id(&format!("{id}_secret")),
        "confirmation_method": "automatic", "created": scope.now, "currency": currency, "customer": customer, "customer_account": null,
        "description": description, "excluded_payment_method_types": null, "last_payment_error": null,
        "latest_charge": null, "livemode": false, "metadata": metadata, "next_action": null, "on_behalf_of": null,
        "payment_method": null, "payment_method_configuration_details": null, "payment_method_options": {},
        "payment_method_types": ["card"], "processing": null, "receipt_email": null, "review": null,
        "setup_future_usage": null, "shipping": null, "source": null, "statement_descriptor": null,
        "statement_descriptor_suffix": null, "status": "requires_payment_method", "transfer_data": null,
        "transfer_group": null,
    });
    let object = scope.add(object);
    scope.emit("payment_intent.created", &id);
    object
}

/// `GET /v1/payment_intents`
pub(crate) fn list(scope: &Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["created", "customer", "limit", "starting_after"])?;
    let customer = params.text("/customer");
    let of = scope.account.objects.of_kind("payment_intent");
    list::page(
        "/v1/payment_intents",
        params,
        of.filter(|intent| customer.is_none_or(|id| text(intent, "/customer") == id)),
    )
}

/// `POST /v1/payment_intents/{id}/cancel`
pub(crate) fn cancel(scope: &mut Scope<'_>, id: &str, params: &Params) -> Result<Value, Problem> {
    params.only(&["cancellation_reason"])?;
    let intent = payable(scope, id)?;
    let changes = json!({ "status": "canceled", "canceled_at": scope.now });
    scope.patch(text(&intent, "/id"), changes);
    scope.emit("payment_intent.canceled", id);
    scope.get("payment_intent", id)
}

/// The payment intent, if it may still be paid.
pub(crate) fn payable(scope: &Scope<'_>, id: &str) -> Result<Value, Problem> {
    let intent = scope.get("payment_intent", id)?;
    let status = text(&intent, "/status");
    if matches!(status, "succeeded" | "canceled") {
        let message = format!("This PaymentIntent's status is {status}, so this cannot be done with it.");
        return Err(Problem::invalid(Some("payment_intent_unexpected_state"), message));
    }
    Ok(intent)
}

/// The card of the customer pays it.
pub(crate) fn succeed(scope: &mut Scope<'_>, intent: &Value, method: &str) {
    let id = text(intent, "/id").to_owned();
    let charge = charge(scope, intent, method, None);
    scope.emit("charge.succeeded", &charge);
    let changes = json!({
        "status": "succeeded", "amount_received": int(intent, "/amount"), "latest_charge": charge,
        "payment_method": method, "last_payment_error": null,
    });
    scope.patch(&id, changes);
    scope.emit("payment_intent.succeeded", &id);
}

/// The card of the customer does not pay it, for this reason.
pub(crate) fn fail(scope: &mut Scope<'_>, intent: &Value, reason: &str) {
    let id = text(intent, "/id").to_owned();
    let method = add_card(scope, &Value::Null, &Card::default());
    let charge = charge(scope, intent, text(&method, "/id"), Some(reason));
    scope.emit("charge.failed", &charge);
    let error = json!({
        "charge": charge, "code": "card_declined", "decline_code": "generic_decline",
        "doc_url": "https://stripe.com/docs/error-codes/card-declined", "message": reason, "payment_method": method,
        "type": "card_error",
    });
    let changes = json!({ "status": "requires_payment_method", "latest_charge": charge, "last_payment_error": error });
    scope.patch(&id, changes);
    scope.emit("payment_intent.payment_failed", &id);
}

fn charge(scope: &mut Scope<'_>, intent: &Value, method: &str, failure: Option<&str>) -> String {
    let id = scope.id("ch");
    let amount = int(intent, "/amount");
    let is_paid = failure.is_none();
    let card = scope.account.objects.get(method).map(|method| part(method, "/card")).unwrap_or_default();
    let outcome = json!({
        "network_status": if is_paid { "approved_by_network" } else { "declined_by_network" }, "reason": null,
        "seller_message": failure.unwrap_or("Payment complete."), "type": if is_paid { "authorized" } else { "issuer_declined" },
    });
    scope.add(json!({
        "id": id, "object": "charge", "amount": amount, "amount_captured": if is_paid { amount } else { 0 },
        "amount_refunded": 0, "application": null, "application_fee": null, "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": { "address": super::no_address(), "email": null, "name": null, "phone": null, "tax_id": null },
        "calculated_statement_descriptor": null, "captured": is_paid, "created": scope.now,
        "currency": part(intent, "/currency"), "customer": part(intent, "/customer"), "description": part(intent, "/description"),
        "disputed": false, "failure_balance_transaction": null,
        "failure_code": failure.map(|_| "card_declined"), "failure_message": failure, "fraud_details": {},
        "livemode": false, "metadata": part(intent, "/metadata"), "on_behalf_of": null, "outcome": outcome, "paid": is_paid,
        "payment_intent": part(intent, "/id"), "payment_method": method,
        "payment_method_details": { "card": card, "type": "card" }, "receipt_email": null, "receipt_number": null,
        "receipt_url": is_paid.then(|| format!("{PAGES}/receipts/{id}")), "refunded": false, "review": null,
        "shipping": null, "source_transfer": null, "statement_descriptor": null, "statement_descriptor_suffix": null,
        "status": if is_paid { "succeeded" } else { "failed" }, "transfer_data": null, "transfer_group": null,
    }));
    id
}

/// A card that somebody types into a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// `visa`, ….
    pub brand: String,
    /// Last four digits.
    pub last4: String,
    /// 1 to 12.
    pub exp_month: i64,
    /// Four digits.
    pub exp_year: i64,
}

impl Default for Card {
    /// The card of Stripe's own examples.
    fn default() -> Self {
        Self { brand: "visa".to_owned(), last4: "4242".to_owned(), exp_month: 8, exp_year: 2030 }
    }
}

/// Adds a card, of this customer if it is one.
pub(crate) fn add_card(scope: &mut Scope<'_>, customer: &Value, card: &Card) -> Value {
    let id = scope.id("pm");
    let object = scope.add(json!({
        "id": id, "object": "payment_method", "allow_redisplay": "unspecified",
        "billing_details": { "address": super::no_address(), "email": null, "name": null, "phone": null, "tax_id": null },
        "card": {
            "brand": card.brand, "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
            "country": "US", "display_brand": card.brand, "exp_month": card.exp_month, "exp_year": card.exp_year,
            "fingerprint": "FakeFingerprint0", "funding": "credit", "generated_from": null, "last4": card.last4,
            "networks": { "available": [card.brand], "preferred": null }, "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true }, "wallet": null,
        },
        "created": scope.now, "customer": customer, "customer_account": null, "livemode": false, "metadata": {}, "type": "card",
    }));
    if customer.is_string() {
        scope.emit("payment_method.attached", &id);
    }
    object
}
