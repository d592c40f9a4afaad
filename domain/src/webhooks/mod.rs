//! Outgoing webhooks: events of the log, signed and delivered to endpoints that project owners registered.
//!
//! What is promised:
//! - Every event of the log becomes at most one message, every message at most one delivery per endpoint, whatever crashes
//!   and races. The bytes of a message are made once; those bytes are signed and sent, at every attempt.
//! - A delivery is tried until the endpoint answers 2xx or the schedule ends. A crash may repeat an attempt under the same
//!   message id, and loses none.
//! - An endpoint is read anew at each attempt; one that is disabled or deleted gets nothing from then on.
//! - Secrets and the values of sensitive headers are sealed and shown by nothing but [`secret`].
//!
//! How it flows: [`fan_out`] follows the log and writes messages, deliveries and their jobs; the job [`DeliverWebhook`]
//! makes one attempt after the other ([`deliver`]); its result is written in the transaction that ends or postpones the
//! job. Managing endpoints, sending again and reading is for administrators of the project.
//!
//! Pure rules: `rules.rs` (input), `signing.rs`, `schedule.rs` (waits, disabling), `matching.rs` (who gets what).

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

mod attempt;
mod deliver;
mod endpoint;
mod fan_out;
mod headers;
pub mod jobs;
mod matching;
mod message;
mod recover;
mod resend;
mod result;
mod rules;
mod schedule;
mod secret;
mod signing;
mod store;
mod wire_id;

pub use attempt::{Attempt, AttemptsOf, NEWEST_ATTEMPTS, attempts, attempts_of};
pub use deliver::{Deliverer, deliver};
pub use endpoint::{
    Endpoint, EndpointChange, NewEndpoint, count_endpoints, create, delete, endpoint, endpoints, endpoints_by_ids,
    update,
};
pub use fan_out::fan_out;
pub use jobs::{DeliverWebhook, RecoverWebhookEndpoint};
pub use message::{Delivery, Message, MessageFilter, count_messages, deliveries_of, message, messages};
pub use postern_entity::{webhook_attempt::AttemptTrigger, webhook_delivery::DeliveryState};
pub use recover::{MAX_RECOVERY_SECONDS, Recovery, RecoveryPlace, recover, recover_step};
pub use resend::{SentAgain, resend, send_test};
pub use rules::{MAX_ENDPOINTS, MAX_URL_CHARS};
pub use secret::{DEFAULT_GRACE_SECONDS, MAX_GRACE_SECONDS, MAX_OLD_SECRETS, rotate_secret, secret};
pub use signing::{Secret, Signed, is_signed, signature_headers};
pub use wire_id::{wire_attempt_id, wire_endpoint_id, wire_message_id};

use crate::{
    Timestamp,
    actor::{Actor, Level},
    codes::Code,
    error::{Failure, Result, refuse},
    rotation::Rotation,
};

/// Seals again under the newest server secret what is not: secrets and headers of endpoints.
pub(crate) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    secret::reseal(rotation).await?;
    headers::reseal(rotation).await
}

/// The most rows of one page.
pub const MAX_PAGE: u64 = 250;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many rows, at most [`MAX_PAGE`].
    pub limit: u64,
    /// After which row of an earlier page; `None` for the first page.
    pub after: Option<Place>,
}

/// Where a row stands in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its time.
    pub at: Timestamp,
    /// Its id, for rows of the same time.
    pub id: Uuid,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The rows, in the order of the list.
    pub items: Vec<T>,
    /// Whether more follow.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// From one row more than was asked for, if there is one.
    fn of<R>(mut rows: Vec<R>, limit: u64, item: impl Fn(R) -> T) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        Self { items: rows.into_iter().map(item).collect(), has_more }
    }
}

/// Webhooks are the owner's business: they carry the server's view of every user, and their secrets prove who sends.
fn require_admin(actor: &Actor) -> Result<()> {
    if actor.level == Level::Admin {
        return Ok(());
    }
    let failure = Failure::new(Code::InsufficientAccessType, "Webhooks are managed with the project's admin key.");
    refuse(failure.with(json!({
        "actual_access_type": actor.level.as_str(),
        "allowed_access_types": [Level::Admin.as_str()],
    })))
}

fn no_such_endpoint<T>() -> Result<T> {
    refuse(Failure::not_found("There is no such webhook endpoint."))
}

#[cfg(test)]
mod tests;
