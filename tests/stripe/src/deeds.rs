//! What happens without a call: customers pay in browsers, months pass, banks take money back.

use serde_json::{Value, json};

use crate::{
    calendar,
    objects::{invoice, payment, refund, subscription},
    problem::Problem,
    state::{Scope, int, part, set, text},
};

pub(crate) fn pay_intent(scope: &mut Scope<'_>, id: &str) -> Result<Value, Problem> {
    let intent = payment::payable(scope, id)?;
    let card = payment::add_card(scope, &Value::Null, &payment::Card::default());
    payment::succeed(scope, &intent, text(&card, "/id"));
    scope.get("payment_intent", id)
}

pub(crate) fn fail_intent(scope: &mut Scope<'_>, id: &str, reason: &str) -> Result<Value, Problem> {
    let intent = payment::payable(scope, id)?;
    payment::fail(scope, &intent, reason);
    scope.get("payment_intent", id)
}

/// Pays what the latest invoice asks for, or sets up a card when it asks for nothing.
pub(crate) fn pay_subscription(scope: &mut Scope<'_>, id: &str) -> Result<Value, Problem> {
    let subscription = running(scope, id)?;
    let card = subscription::card(scope, &subscription);
    let pending = text(&subscription, "/pending_setup_intent");
    if pending.is_empty() {
        invoice::pay(scope, text(&subscription, "/latest_invoice"), &card)?;
        scope.change(id, json!({ "status": "active" }), "customer.subscription.updated");
    } else {
        scope.patch(pending, json!({ "status": "succeeded", "payment_method": card }));
        scope.emit("setup_intent.succeeded", pending);
        scope.change(id, json!({ "pending_setup_intent": null }), "customer.subscription.updated");
    }
    scope.get("subscription", id)
}

pub(crate) fn renew(scope: &mut Scope<'_>, id: &str) -> Result<Value, Problem> {
    next_period(scope, id)?;
    let subscription = scope.get("subscription", id)?;
    let card = subscription::card(scope, &subscription);
    subscription::bill(scope, id, "subscription_cycle", Some(card))?;
    scope.get("subscription", id)
}

/// The first time a new period's invoice stays open; the same one when it is tried again.
pub(crate) fn fail_renewal(scope: &mut Scope<'_>, id: &str) -> Result<Value, Problem> {
    let before = running(scope, id)?;
    let invoice = if text(&before, "/status") == "past_due" {
        text(&before, "/latest_invoice").to_owned()
    } else {
        next_period(scope, id)?;
        subscription::bill(scope, id, "subscription_cycle", None)?
    };
    invoice::fail(scope, &invoice, "Your card was declined.")?;
    scope.change(id, json!({ "status": "past_due" }), "customer.subscription.updated");
    scope.get("subscription", id)
}

pub(crate) fn give_up(scope: &mut Scope<'_>, id: &str) -> Result<Value, Problem> {
    let subscription = running(scope, id)?;
    invoice::give_up(scope, text(&subscription, "/latest_invoice"))?;
    scope.change(id, json!({ "status": "unpaid" }), "customer.subscription.updated");
    scope.get("subscription", id)
}

pub(crate) fn reach_period_end(scope: &mut Scope<'_>, id: &str) -> Result<Value, Problem> {
    let subscription = running(scope, id)?;
    if part(&subscription, "/cancel_at_period_end") != true {
        return Err(Problem::invalid(None, format!("{id} goes on after its period: renew it")));
    }
    subscription::end(scope, id, int(&subscription, "/items/data/0/current_period_end"));
    scope.get("subscription", id)
}

pub(crate) fn dispute(scope: &mut Scope<'_>, intent_id: &str) -> Result<Value, Problem> {
    refund::dispute(scope, intent_id)
}

fn running(scope: &Scope<'_>, id: &str) -> Result<Value, Problem> {
    let subscription = scope.get("subscription", id)?;
    if subscription::is_over(&subscription) {
        return Err(Problem::invalid(None, format!("{id} is over")));
    }
    Ok(subscription)
}

/// Moves a subscription into the period after the present one.
fn next_period(scope: &mut Scope<'_>, id: &str) -> Result<(), Problem> {
    let before = running(scope, id)?;
    if part(&before, "/cancel_at_period_end") == true || text(&before, "/status") == "incomplete" {
        return Err(Problem::invalid(None, format!("{id} does not go on after its period")));
    }
    let mut item = part(&before, "/items/data/0");
    let start = int(&item, "/current_period_end");
    let recurring = part(&item, "/price/recurring");
    let (interval, count) = (text(&recurring, "/interval"), int(&recurring, "/interval_count"));
    let end = calendar::period_end(int(&before, "/billing_cycle_anchor"), start, interval, count)
        .ok_or_else(|| Problem::invalid(None, "no such interval"))?;
    set(&mut item, "/current_period_start", start);
    set(&mut item, "/current_period_end", end);
    let mut items = part(&before, "/items");
    set(&mut items, "/data", json!([item]));
    scope.change(id, json!({ "items": items, "status": "active" }), "customer.subscription.updated");
    Ok(())
}
