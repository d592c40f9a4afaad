//! Trying an endpoint out: a test message, and a look at what came of it. wire/webhooks §3.3, except that the message goes to
//! the named endpoint alone.

use std::time::Duration;

use postern_entity::WebhookEndpointId;

use super::{Attempt, AttemptFilter, AttemptsOf, PageRequest, attempts, require_admin, send_test};
use crate::{
    Deps,
    actor::Actor,
    error::{Error, Result},
};

/// How often the outcome is looked for, and how long before each look: four seconds in all.
const LOOKS: u32 = 40;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Sends a `stack.test` message to this one endpoint and waits a little for its attempt. `Err` within says why it did not
/// arrive: no such endpoint, it is disabled, its answer, or none so far.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn try_out(deps: &Deps, actor: &Actor, id: WebhookEndpointId) -> Result<std::result::Result<(), String>> {
    require_admin(actor)?;
    let sent = match send_test(deps, actor, id).await {
        Ok(sent) => sent,
        Err(Error::Refused(failure)) => return Ok(Err(failure.message.into_owned())),
        Err(error) => return Err(error),
    };
    let of = AttemptsOf::Delivery(sent.message_id, id);
    let newest = PageRequest { limit: 1, after: None };
    for _ in 0..LOOKS {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let found = attempts(deps, actor, of, &AttemptFilter::default(), newest).await?;
        if let Some(attempt) = found.items.first() {
            return Ok(told(attempt));
        }
    }
    Ok(Err("The message is on its way, but has not arrived yet.".to_owned()))
}

fn told(attempt: &Attempt) -> std::result::Result<(), String> {
    match (attempt.succeeded, &attempt.error) {
        (true, _) => Ok(()),
        (false, Some(error)) => Err(format!("The message did not arrive: {error}.")),
        (false, None) => Err(format!("The endpoint answered with status {}.", attempt.response_status)),
    }
}
