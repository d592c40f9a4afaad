//! Which call does what.

use serde_json::Value;

use crate::{
    expand, list,
    objects::{account, checkout, customer, invoice, methods, payment, refund, setup, subscription},
    params::Params,
    problem::Problem,
    server::Call,
    state::{Scope, State},
};

/// Does what a call asks for.
///
/// # Errors
/// What Stripe would answer.
pub(crate) fn answer(state: &mut State, call: &Call) -> Result<Value, Problem> {
    let segments: Vec<_> = call.path.strip_prefix("/v1/").unwrap_or_default().split('/').collect();
    let params = &call.params;
    match (call.method.as_str(), segments.as_slice()) {
        ("POST", ["accounts"]) => account::create(state, params, call.cause()),
        ("GET", ["accounts"]) => account::list(state, params),
        ("GET", ["accounts", id]) => account::retrieve(state, id),
        ("POST", ["account_links"]) => account::link(state, params),
        ("POST", ["account_sessions"]) => account::session(state, params),
        (method, segments) => {
            let mut scope = state.scope(call.account(), call.cause())?;
            let found = match method {
                "GET" => get(&scope, segments, params)?,
                "POST" => post(&mut scope, segments, params)?,
                "DELETE" => delete(&mut scope, segments)?,
                _ => None,
            };
            let unknown = || {
                let message = format!("Unrecognized request URL ({method}: {}).", call.path);
                Problem::new(404, "invalid_request_error", None, message)
            };
            expand::show(&scope.account.objects, &found.ok_or_else(unknown)?, &params.expands())
        }
    }
}

fn get(scope: &Scope<'_>, segments: &[&str], params: &Params) -> Result<Option<Value>, Problem> {
    let found = match segments {
        ["account"] => Ok(scope.account.object.clone()),
        ["customers"] => customer::list(scope, params),
        ["customers", "search"] => customer::search(scope, params),
        ["customers", id] => customer::retrieve(scope, id),
        ["customers", id, "payment_methods"] => {
            setup::cards(scope, &format!("/v1/customers/{id}/payment_methods"), id, params)
        }
        ["payment_methods"] => setup::cards(scope, "/v1/payment_methods", params.required("/customer")?, params),
        ["payment_intents"] => payment::list(scope, params),
        ["refunds"] => refund::list(scope, params),
        ["subscriptions"] => subscription::list(scope, params),
        ["invoices"] => invoice::list(scope, params),
        ["payment_method_configurations"] => methods::list(scope, params),
        ["checkout", "sessions"] => checkout::list(scope, params),
        ["checkout", "sessions", id] => scope.get("checkout.session", id),
        ["events"] => events(scope, params),
        ["events", id] => event(scope, id),
        [plural, id] => match singular(plural) {
            Some(kind) => scope.get(kind, id),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    found.map(Some)
}

/// Kinds that need nothing but their id to be shown.
fn singular(plural: &str) -> Option<&'static str> {
    Some(match plural {
        "charges" => "charge",
        "disputes" => "dispute",
        "invoices" => "invoice",
        "payment_intents" => "payment_intent",
        "payment_method_configurations" => "payment_method_configuration",
        "payment_methods" => "payment_method",
        "prices" => "price",
        "products" => "product",
        "refunds" => "refund",
        "setup_intents" => "setup_intent",
        "subscriptions" => "subscription",
        _ => return None,
    })
}

fn post(scope: &mut Scope<'_>, segments: &[&str], params: &Params) -> Result<Option<Value>, Problem> {
    let done = match segments {
        ["customers"] => customer::create(scope, params),
        ["customers", id] => customer::update(scope, id, params),
        ["products"] => subscription::create_product(scope, params),
        ["payment_intents"] => payment::create(scope, params),
        ["payment_intents", id, "cancel"] => payment::cancel(scope, id, params),
        ["refunds"] => refund::create(scope, params),
        ["setup_intents"] => setup::create(scope, params),
        ["subscriptions"] => subscription::create(scope, params),
        ["subscriptions", id] => subscription::update(scope, id, params),
        ["payment_method_configurations", id] => methods::update(scope, id, params),
        ["checkout", "sessions"] => checkout::create(scope, params),
        ["checkout", "sessions", id, "expire"] => checkout::expire(scope, id, params),
        _ => return Ok(None),
    };
    done.map(Some)
}

fn delete(scope: &mut Scope<'_>, segments: &[&str]) -> Result<Option<Value>, Problem> {
    match segments {
        ["customers", id] => customer::delete(scope, id).map(Some),
        ["subscriptions", id] => subscription::cancel(scope, id).map(Some),
        _ => Ok(None),
    }
}

/// Events as an account's own list shows them: which account they are of, only posts to a platform say.
fn events(scope: &Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["created", "limit", "starting_after", "type"])?;
    let wanted = params.text("/type");
    let fits = |event: &&Value| wanted.is_none_or(|wanted| event.get("type").is_some_and(|is| *is == wanted));
    let mut page = list::page("/v1/events", params, scope.account.events.iter().rev().filter(fits))?;
    page.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten().for_each(anonymous);
    Ok(page)
}

fn event(scope: &Scope<'_>, id: &str) -> Result<Value, Problem> {
    let mut events = scope.account.events.iter();
    let event = events.find(|event| event.get("id").is_some_and(|known| *known == id));
    let mut event = event.cloned().ok_or_else(|| Problem::missing("event", id))?;
    anonymous(&mut event);
    Ok(event)
}

fn anonymous(event: &mut Value) {
    if let Some(event) = event.as_object_mut() {
        event.remove("account");
    }
}
