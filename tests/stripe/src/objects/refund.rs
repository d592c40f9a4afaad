//! Refunds and disputes.

use serde_json::{Value, json};

use crate::{
    list,
    params::Params,
    problem::Problem,
    state::{Scope, int, part, text},
};

/// `POST /v1/refunds`
pub(crate) fn create(scope: &mut Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["amount", "charge", "metadata", "payment_intent", "reason"])?;
    let charge = match params.text("/charge") {
        Some(id) => scope.named("charge", id, "charge")?,
        None => charge_of(scope, params.required("/payment_intent")?)?,
    };
    let id = text(&charge, "/id").to_owned();
    let (paid, before) = (int(&charge, "/amount_captured"), int(&charge, "/amount_refunded"));
    if paid == before {
        let message = format!("Charge {id} has already been refunded.");
        return Err(Problem::invalid(Some("charge_already_refunded"), message));
    }
    let amount = params.int("/amount")?.unwrap_or(paid - before);
    let refuse = |message: String| Problem { param: Some("amount".to_owned()), ..Problem::invalid(None, message) };
    if amount < 1 {
        return Err(refuse("Invalid positive integer".to_owned()));
    }
    if amount > paid - before {
        return Err(refuse(format!(
            "Refund amount ({amount}) is greater than unrefunded amount on charge ({})",
            paid - before
        )));
    }
    let refund = json!({
        "id": scope.id("re"), "object": "refund", "amount": amount, "balance_transaction": null, "charge": id,
        "created": scope.now, "currency": part(&charge, "/currency"),
        "destination_details": { "card": { "type": "refund" }, "type": "card" },
        "metadata": params.metadata("/metadata")?, "payment_intent": part(&charge, "/payment_intent"),
        "reason": params.or_null("/reason"), "receipt_number": null, "source_transfer_reversal": null,
        "status": "succeeded", "transfer_reversal": null,
    });
    let refund = scope.add(refund);
    scope.emit("refund.created", text(&refund, "/id"));
    let changes = json!({ "amount_refunded": before + amount, "refunded": before + amount == paid });
    scope.change(&id, changes, "charge.refunded");
    Ok(refund)
}

/// The charge by which a payment intent was paid.
fn charge_of(scope: &Scope<'_>, intent_id: &str) -> Result<Value, Problem> {
    let intent = scope.named("payment_intent", intent_id, "payment_intent")?;
    let charge = scope.get("charge", text(&intent, "/latest_charge")).ok();
    charge.filter(|_| text(&intent, "/status") == "succeeded").ok_or_else(|| {
        let message = format!("This PaymentIntent ({intent_id}) does not have a successful charge to refund.");
        Problem::invalid(Some("payment_intent_unexpected_state"), message)
    })
}

/// `GET /v1/refunds`
pub(crate) fn list(scope: &Scope<'_>, params: &Params) -> Result<Value, Problem> {
    params.only(&["charge", "created", "limit", "payment_intent", "starting_after"])?;
    let fits = |refund: &Value, name: &str| {
        params.text(&format!("/{name}")).is_none_or(|id| refund.get(name).and_then(Value::as_str) == Some(id))
    };
    let refunds = scope.account.objects.of_kind("refund");
    list::page("/v1/refunds", params, refunds.filter(|refund| fits(refund, "charge") && fits(refund, "payment_intent")))
}

/// The customer's bank takes the money back.
pub(crate) fn dispute(scope: &mut Scope<'_>, intent_id: &str) -> Result<Value, Problem> {
    let charge = charge_of(scope, intent_id)?;
    let dispute = json!({
        "id": scope.id("dp"), "object": "dispute", "amount": part(&charge, "/amount"), "balance_transactions": [],
        "charge": part(&charge, "/id"), "created": scope.now, "currency": part(&charge, "/currency"),
        "evidence_details": { "due_by": scope.now + 604_800, "has_evidence": false, "past_due": false, "submission_count": 0 },
        "is_charge_refundable": false, "livemode": false, "metadata": {}, "payment_intent": intent_id,
        "payment_method_details": {
            "card": { "brand": "visa", "case_type": "chargeback", "network_reason_code": "10.4" }, "type": "card",
        },
        "reason": "fraudulent", "status": "needs_response",
    });
    let dispute = scope.add(dispute);
    scope.patch(text(&charge, "/id"), json!({ "disputed": true }));
    scope.emit("charge.dispute.created", text(&dispute, "/id"));
    Ok(dispute)
}
