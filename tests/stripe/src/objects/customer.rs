//! Customers.

use serde_json::{Value, json};

use crate::{
    list,
    params::Params,
    problem::Problem,
    state::{Scope, int, part, set, text},
};

/// `POST /v1/customers`
pub(crate) fn create(scope: &mut Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["description", "email", "metadata", "name"])?;
    let object = json!({
        "id": scope.id("cus"), "object": "customer", "address": null, "balance": 0, "created": scope.now,
        "currency": null, "default_source": null, "delinquent": false, "description": params.or_null("/description"),
        "discount": null, "email": params.or_null("/email"), "invoice_prefix": "FAKE0001",
        "invoice_settings": {
            "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null,
        },
        "livemode": false, "metadata": params.metadata("/metadata")?, "name": params.or_null("/name"),
        "next_invoice_sequence": 1, "phone": null, "preferred_locales": [], "shipping": null, "tax_exempt": "none",
        "test_clock": null,
    });
    let object = scope.add(object);
    scope.emit("customer.created", text(&object, "/id"));
    Ok(object)
}

/// `POST /v1/customers/{id}`
pub(crate) fn update(scope: &mut Scope<'_>, id: &str, params: &Params) -> Result<Value, Problem> {
    params.only(&["description", "email", "invoice_settings", "metadata", "name"])?;
    let before = scope.get("customer", id)?;
    if before.get("deleted").is_some() {
        return Err(Problem::missing("customer", id));
    }
    let mut changes = json!({ "metadata": params.merged_metadata(&part(&before, "/metadata"), "/metadata")? });
    if let Some(method) = params.text("/invoice_settings/default_payment_method") {
        let param = "invoice_settings[default_payment_method]";
        let found = scope.named("payment_method", method, param)?;
        if text(&found, "/customer") != id {
            let message = "The customer does not have a payment method with the ID ".to_owned() + method;
            return Err(Problem {
                param: Some(param.to_owned()),
                ..Problem::invalid(Some("resource_missing"), message)
            });
        }
        let mut settings = part(&before, "/invoice_settings");
        set(&mut settings, "/default_payment_method", method);
        set(&mut changes, "/invoice_settings", settings);
    }
    for name in ["description", "email", "name"] {
        if params.has(&format!("/{name}")) {
            set(&mut changes, &format!("/{name}"), params.or_null(&format!("/{name}")));
        }
    }
    scope.change(id, changes, "customer.updated");
    scope.get("customer", id)
}

/// `GET /v1/customers`
pub(crate) fn list(scope: &Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["created", "email", "limit", "starting_after"])?;
    list::page("/v1/customers", params, living(scope))
}

/// `GET /v1/customers/search`; the newest are not in its index yet.
pub(crate) fn search(scope: &Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["limit", "page", "query"])?;
    let indexed = living(scope).filter(|customer| int(customer, "/created") <= scope.now - scope.search_lag_seconds);
    list::search("/v1/customers/search", params, indexed)
}

fn living<'a>(scope: &'a Scope<'_>) -> impl Iterator<Item = &'a Value> {
    scope.account.objects.of_kind("customer").filter(|customer| customer.get("deleted").is_none())
}

/// `DELETE /v1/customers/{id}`: takes its subscriptions and cards along.
pub(crate) fn delete(scope: &mut Scope<'_>, id: &str) -> Result<Value, Problem> {
    scope.get("customer", id)?;
    let of = |kind: &str| -> Vec<_> {
        let objects = scope.account.objects.of_kind(kind).filter(|object| text(object, "/customer") == id);
        objects.cloned().collect()
    };
    let (subscriptions, cards) = (of("subscription"), of("payment_method"));
    for subscription in subscriptions {
        if !super::subscription::is_over(&subscription) {
            super::subscription::end(scope, text(&subscription, "/id"), scope.now);
        }
    }
    for card in cards {
        scope.change(text(&card, "/id"), json!({ "customer": null }), "payment_method.detached");
    }
    scope.emit("customer.deleted", id);
    scope.patch(id, json!({ "deleted": true }));
    Ok(json!({ "id": id, "object": "customer", "deleted": true }))
}

/// `GET /v1/customers/{id}`; of a deleted one only that.
pub(crate) fn retrieve(scope: &Scope<'_>, id: &str) -> Result<Value, Problem> {
    let customer = scope.get("customer", id)?;
    if customer.get("deleted").is_some() {
        return Ok(json!({ "id": id, "object": "customer", "deleted": true }));
    }
    Ok(customer)
}
