//! Outgoing webhooks: events of the log, signed and delivered to endpoints that project owners registered.
//!
//! What is promised:
//! - Every event of the log becomes at most one message, every message at most one delivery per endpoint, whatever crashes
//!   and races. The bytes of a message are made once; those bytes are signed and sent, at every attempt.
//! - A delivery is tried until the endpoint answers 2xx or the schedule ends. A crash may repeat an attempt under the same
//!   message id, and loses none.
//! - Endpoints take turns, and a project takes no more than its share of a worker (`share.rs`), whatever they answer and
//!   however much waits for them. An endpoint that is not there costs one attempt now and then.
//! - An endpoint that wants order gets one message after the other, in the order of the log; one that names a rate gets no
//!   more than that.
//! - Settings of an endpoint apply to what waits for it already, within three seconds; one that is disabled or deleted gets
//!   nothing any more.
//! - Secrets and the values of sensitive headers are sealed and shown by nothing but [`secret`].
//!
//! How it flows: [`fan_out`] follows the log, writes messages and deliveries and wakes the lines of their endpoints; a line
//! ([`deliver_line`]) makes the attempts and writes what they came to. Attempts by hand are jobs of their own ([`deliver`]).
//! Managing endpoints, sending again and reading is for administrators of the project,
//! or for whoever shows an application token of theirs ([`portal`]).
//!
//! With a Svix server in `Deps`, events go there instead: [`svix`].
//!
//! Pure rules: `rules.rs` (input), `signing.rs`, `schedule.rs` (waits, disabling), `breaker.rs`, `matching.rs` (who gets
//! what), `shape.rs` (payloads by selection), `judge.rs` (what an attempt means).

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

mod attempt;
mod backlog;
mod breaker;
mod catalogue;
pub(crate) mod configured;
mod dead_letters;
mod deliver;
mod disable;
mod endpoint;
mod examples;
mod fan_out;
mod headers;
pub mod jobs;
mod judge;
mod line;
mod matching;
mod message;
mod notice;
mod portal;
mod post;
mod prune;
mod recover;
mod resend;
mod result;
mod rules;
mod schedule;
mod secret;
mod shape;
mod share;
mod signing;
mod store;
pub mod svix;
mod target;
mod try_out;
mod wire_id;

pub use attempt::{
    Attempt, AttemptFilter, AttemptOutcome, AttemptsOf, NEWEST_ATTEMPTS, attempt, attempts, attempts_of,
    expunge_response,
};
pub use backlog::{Backlog, MAX_COUNTED, backlog};
pub use catalogue::{EventType, event_type, event_types};
pub use dead_letters::{MAX_STATISTICS_SECONDS, Statistics, dead_letters, statistics, statistics_of};
pub use deliver::{Deliverer, deliver};
pub use disable::{Reason, tell_of_disabled_endpoint};
pub use endpoint::{
    Endpoint, EndpointChange, NewEndpoint, count_endpoints, create, delete, endpoint, endpoints, endpoints_by_ids,
    update,
};
pub use fan_out::fan_out;
pub use jobs::{
    DeliverLine, DeliverWebhook, PruneWebhooks, RecoverWebhookEndpoint, SendToSvix, TellOfDisabledEndpoint,
};
pub use line::{Lines, deliver_line, take_over_clock};
pub use message::{
    Delivery, Message, MessageFilter, Sent, SentFilter, count_messages, deliveries_of, message, messages,
    messages_by_ids, sent_to,
};
pub use portal::{portal, portal_actor};
pub use postern_entity::{webhook_attempt::AttemptTrigger, webhook_delivery::DeliveryState};
pub use prune::{KEPT_DAYS, erase_user_step, prune_step};
pub use recover::{
    MAX_RECOVERY_SECONDS, Recovery, RecoveryPlace, Stretch, Which, recover, recover_step, redrive, redrive_all, replay,
};
pub use resend::{SentAgain, resend, send_example, send_test};
pub use rules::{MAX_ENDPOINTS, MAX_URL_CHARS};
pub use secret::{DEFAULT_GRACE_SECONDS, MAX_GRACE_SECONDS, MAX_OLD_SECRETS, rotate_secret, secret};
pub use signing::{Scheme, Secret, Signed, is_signed, signature_headers};
pub use try_out::try_out;
pub use wire_id::{attempt_id_of, endpoint_id_of, message_id_of, wire_attempt_id, wire_endpoint_id, wire_message_id};

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
