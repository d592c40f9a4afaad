//! Connected accounts, and what their owners open.

use serde_json::{Value, json};

use super::{PAGES, methods};
use crate::{
    list,
    params::Params,
    problem::Problem,
    state::{Account, Cause, PLATFORM, State, unknown_account},
};

/// `POST /v1/accounts`
pub(crate) fn create(state: &mut State, params: &Params, cause: Cause) -> Result<Value, Problem> {
    params.only(&["business_type", "capabilities", "controller", "country", "email", "metadata", "type"])?;
    let requested = |name: &str| params.text(&format!("/capabilities/{name}/requested")) == Some("true");
    let capabilities: serde_json::Map<_, _> = ["card_payments", "transfers"]
        .into_iter()
        .filter(|name| requested(name))
        .map(|name| (name.to_owned(), "inactive".into()))
        .collect();
    let object = json!({
        "id": state.ids.next("acct"), "object": "account", "business_profile": null, "business_type": null,
        "capabilities": capabilities, "charges_enabled": false,
        "controller": {
            "fees": { "payer": "account" }, "is_controller": true, "losses": { "payments": "stripe" },
            "requirement_collection": "stripe",
            "stripe_dashboard": { "type": params.text("/controller/stripe_dashboard/type").unwrap_or("full") },
            "type": "application",
        },
        "country": params.text("/country").unwrap_or("US"), "created": state.clock.now(), "default_currency": "usd",
        "details_submitted": false, "email": params.or_null("/email"),
        "metadata": params.metadata("/metadata")?, "payouts_enabled": false,
        "requirements": requirements(&["external_account", "tos_acceptance.date"]),
        "settings": settings(),
        "tos_acceptance": { "date": null, "ip": null, "user_agent": null }, "type": "none",
    });
    add(state, object.clone(), cause);
    Ok(object)
}

fn add(state: &mut State, object: Value, cause: Cause) {
    let id = crate::state::text(&object, "/id").to_owned();
    state.accounts.insert(id.clone(), Account { object, ..Account::default() });
    if let Ok(mut scope) = state.scope(&id, cause) {
        methods::add_default(&mut scope);
    }
}

fn settings() -> Value {
    json!({
        "bacs_debit_payments": { "display_name": null, "service_user_number": null },
        "branding": { "icon": null, "logo": null, "primary_color": null, "secondary_color": null },
        "card_issuing": { "tos_acceptance": { "date": null, "ip": null } },
        "card_payments": {
            "decline_on": { "avs_failure": false, "cvc_failure": false }, "statement_descriptor_prefix": null,
            "statement_descriptor_prefix_kana": null, "statement_descriptor_prefix_kanji": null,
        },
        "dashboard": { "display_name": null, "timezone": "Etc/UTC" },
        "payments": {
            "statement_descriptor": null, "statement_descriptor_kana": null, "statement_descriptor_kanji": null,
        },
        "sepa_debit_payments": {},
    })
}

fn requirements(due: &[&str]) -> Value {
    json!({
        "alternatives": [], "current_deadline": null, "currently_due": due, "disabled_reason": null, "errors": [],
        "eventually_due": due, "past_due": [], "pending_verification": [],
    })
}

/// Its owner has told everything.
pub(crate) fn enable(state: &mut State, account_id: &str) -> Result<Value, Problem> {
    let mut scope = state.scope(account_id, Cause::default())?;
    if let Some(account) = scope.account.object.as_object_mut() {
        for name in ["charges_enabled", "details_submitted", "payouts_enabled"] {
            account.insert(name.to_owned(), true.into());
        }
        account.insert("capabilities".to_owned(), json!({ "card_payments": "active", "transfers": "active" }));
        account.insert("requirements".to_owned(), requirements(&[]));
    }
    let object = scope.account.object.clone();
    scope.tell("account.updated", &object, Some(json!({ "charges_enabled": false })));
    Ok(object)
}

/// `GET /v1/accounts/{id}`
pub(crate) fn retrieve(state: &State, id: &str) -> Result<Value, Problem> {
    state.accounts.get(id).map(|account| account.object.clone()).ok_or_else(|| unknown_account(id))
}

/// `GET /v1/accounts`
pub(crate) fn list(state: &State, params: &Params) -> Result<Value, Problem> {
    params.only(&["created", "limit", "starting_after"])?;
    let mut connected: Vec<_> =
        state.accounts.iter().filter(|(id, _)| *id != PLATFORM).map(|(_, account)| &account.object).collect();
    connected.reverse();
    list::page("/v1/accounts", params, connected.into_iter())
}

/// `POST /v1/account_links`
pub(crate) fn link(state: &mut State, params: &Params) -> Result<Value, Problem> {
    params.only(&["account", "collection_options", "refresh_url", "return_url", "type"])?;
    let account_id = params.required("/account")?;
    retrieve(state, account_id)?;
    for name in ["/type", "/refresh_url", "/return_url"] {
        params.required(name)?;
    }
    let now = state.clock.now();
    let token = state.ids.next("link");
    Ok(json!({
        "object": "account_link", "created": now, "expires_at": now + 300,
        "url": format!("{PAGES}/setup/e/{account_id}/{token}"),
    }))
}

/// `POST /v1/account_sessions`
pub(crate) fn session(state: &mut State, params: &Params) -> Result<Value, Problem> {
    params.only(&["account", "components"])?;
    let account_id = params.required("/account")?;
    retrieve(state, account_id)?;
    if !params.has("/components") {
        params.required("/components")?;
    }
    Ok(json!({
        "object": "account_session", "account": account_id, "client_secret": state.ids.next("accs_secret_"),
        "components": params.0.get("components"), "expires_at": state.clock.now() + 1800, "livemode": false,
    }))
}
