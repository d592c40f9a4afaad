//! What Stripe posts (wire: payments §9): one endpoint for all projects. The event is kept and answered; what follows from it
//! is a job.

use postern_domain::payments::stripe::events;
use schemars::JsonSchema;
use serde::Serialize;

use crate::rest::{
    call::Call,
    reply::{Answer, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = About::new("Payments", "Takes events of Stripe, signed with one of the installation's secrets", &[]);
    Routes::new().post("/integrations/stripe/webhooks", receive, about)
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StripeEventReceipt")]
struct Received {
    received: bool,
}

async fn receive(call: Call) -> Answer<Received> {
    // A header that is no text is there, and fits nothing.
    let signatures = call.headers.get("stripe-signature").map(|value| value.to_str().unwrap_or_default());
    events::receive(&call.deps, signatures, &call.bytes).await?;
    Ok(Reply::ok(Received { received: true }))
}
