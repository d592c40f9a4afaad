//! Which sorts of payment an account offers.

use serde_json::{Map, Value, json};

use crate::{
    list,
    params::Params,
    problem::Problem,
    state::{Scope, text},
};

/// Sorts, whether they can be used, and whether they are on at first.
const SORTS: [(&str, bool, bool); 8] = [
    ("alipay", false, false),
    ("apple_pay", true, true),
    ("card", true, true),
    ("google_pay", true, true),
    ("klarna", false, false),
    ("link", true, false),
    ("sepa_debit", false, false),
    ("us_bank_account", true, false),
];

/// Fields that are no sort of payment.
const OTHERS: [&str; 8] = ["active", "application", "expand", "id", "is_default", "livemode", "name", "parent"];

/// The configuration that an account has from its beginning.
pub(crate) fn add_default(scope: &mut Scope<'_>) {
    let mut object = Map::new();
    for (name, is_available, is_on) in SORTS {
        object.insert(name.to_owned(), sort(is_available, is_on));
    }
    let id = scope.id("pmc");
    let rest = json!({
        "active": true, "application": null, "id": id, "is_default": true, "livemode": false, "name": "Default",
        "object": "payment_method_configuration", "parent": null,
    });
    object.extend(rest.as_object().cloned().unwrap_or_default());
    scope.add(Value::Object(object));
}

fn sort(is_available: bool, is_on: bool) -> Value {
    let word = if is_on { "on" } else { "off" };
    json!({
        "available": is_available,
        "display_preference": { "overridable": null, "preference": word, "value": word },
    })
}

/// `GET /v1/payment_method_configurations`
pub(crate) fn list(scope: &Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["application", "limit", "starting_after"])?;
    let all = scope.account.objects.of_kind("payment_method_configuration");
    list::page("/v1/payment_method_configurations", params, all)
}

/// `POST /v1/payment_method_configurations/{id}`
pub(crate) fn update(scope: &mut Scope<'_>, id: &str, params: &Params) -> Result<Value, Problem> {
    let before = scope.get("payment_method_configuration", id)?;
    let mut changes = Map::new();
    for name in params.0.as_object().into_iter().flat_map(Map::keys).filter(|name| !OTHERS.contains(&name.as_str())) {
        let place = format!("/{name}/display_preference/preference");
        let known = before.get(name).filter(|known| known.is_object());
        let (Some(known), Some(word @ ("on" | "off"))) = (known, params.text(&place)) else {
            params.only(&OTHERS)?;
            continue;
        };
        let is_available = known.get("available").and_then(Value::as_bool).unwrap_or(false);
        changes.insert(name.clone(), sort(is_available, word == "on"));
    }
    scope.patch(text(&before, "/id"), Value::Object(changes));
    scope.get("payment_method_configuration", id)
}
