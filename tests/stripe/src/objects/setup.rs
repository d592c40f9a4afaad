//! Set-ups of cards.

use serde_json::{Value, json};

use super::payment::{Card, add_card};
use crate::{
    list,
    params::Params,
    problem::Problem,
    state::{Scope, part, text},
};

/// `POST /v1/setup_intents`
pub(crate) fn create(scope: &mut Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["allowed_payment_method_types", "automatic_payment_methods", "customer", "metadata", "usage"])?;
    let customer = params.or_null("/customer");
    if let Some(id) = customer.as_str() {
        scope.named("customer", id, "customer")?;
    }
    let metadata = params.metadata("/metadata")?;
    Ok(add(scope, &customer, params.text("/usage").unwrap_or("off_session"), metadata))
}

/// A set-up that waits for a card.
pub(crate) fn add(scope: &mut Scope<'_>, customer: &Value, usage: &str, metadata: Value) -> Value {
    let id = scope.id("seti");
    let object = json!({
        "id": id, "object": "setup_intent", "allowed_payment_method_types": null, "application": null, "automatic_payment_methods": null,
        "cancellation_reason": null, "client_secret": scope.id(&format!("{id}_secret")), "created": scope.now,
        "customer": customer, "description": null, "excluded_payment_method_types": null, "flow_directions": null,
        "last_setup_error": null, "latest_attempt": null, "livemode": false, "mandate": null, "metadata": metadata,
        "next_action": null, "on_behalf_of": null, "payment_method": null, "payment_method_configuration_details": null,
        "payment_method_options": {}, "payment_method_types": ["card"], "single_use_mandate": null,
        "status": "requires_payment_method", "usage": usage,
    });
    let object = scope.add(object);
    scope.emit("setup_intent.created", &id);
    object
}

/// Its customer has typed a card in.
pub(crate) fn confirm(scope: &mut Scope<'_>, id: &str, card: &Card) -> Result<Value, Problem> {
    let intent = scope.get("setup_intent", id)?;
    if text(&intent, "/status") == "succeeded" {
        let message = "This SetupIntent has already succeeded.";
        return Err(Problem::invalid(Some("setup_intent_unexpected_state"), message));
    }
    let method = add_card(scope, &part(&intent, "/customer"), card);
    scope.patch(id, json!({ "status": "succeeded", "payment_method": method.get("id") }));
    scope.emit("setup_intent.succeeded", id);
    scope.get("setup_intent", id)
}

/// `GET /v1/customers/{id}/payment_methods` and `GET /v1/payment_methods`
pub(crate) fn cards(scope: &Scope<'_>, url: &str, customer: &str, params: &Params) -> Result<Value, Problem> {
    params.only(&["customer", "limit", "starting_after", "type"])?;
    scope.named("customer", customer, "customer")?;
    let kind = params.text("/type");
    let cards = scope.account.objects.of_kind("payment_method").filter(|method| {
        text(method, "/customer") == customer && kind.is_none_or(|kind| text(method, "/type") == kind)
    });
    list::page(url, params, cards)
}
