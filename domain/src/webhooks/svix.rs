//! The other engine: with a Svix server in [`Deps`], events go there, and it knows the endpoints.
//!
//! Each event is dealt with by one engine, once: both follow the log by the same cursor (`CONSUMER`), and whichever passes
//! an event has it. So a switch in either direction goes on where the other engine stopped, without a gap, and replays
//! nothing; the cursor of an engine that is switched off holds up neither the pruning of the log nor the erasing of deleted
//! users, because there is no such cursor. What the other engine has begun it also ends: deliveries that were written before
//! a Svix server was named are made from here, and jobs of this one wait, when it is switched off, for a process that knows
//! the server.
//!
//! From the log to the server there are two steps. `follow` writes a job for each event in the transaction that moves the
//! cursor; the job calls the server ([`send`]), outside any transaction, until it has the event. A crash after the call
//! repeats it, and the server knows the event again by its id.

use super::{
    fan_out::{CONSUMER, envelope},
    jobs::SendToSvix,
    require_admin,
};
use crate::{
    Code, Deps, Error,
    actor::Actor,
    error::{Failure, Result, refuse},
    events::{self, Audience, LoggedEvent},
    ports::svix::{SvixError, SvixMessage, SvixPortal},
    queue::{self, Ending, Enqueue},
};

/// After how many seconds whoever wanted a portal may try again.
const RETRY_AFTER_SECONDS: u64 = 10;

/// Hands the next events to jobs; answers whether more are waiting. What [`super::fan_out`] does in this mode, and as safe
/// to run in several workers.
///
/// An event of the log makes one row at most and one step takes a hundred of them, so that others who write never wait for
/// long.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub(super) async fn follow(deps: &Deps) -> Result<bool> {
    if !events::has_unconsumed(deps, CONSUMER).await? {
        return Ok(false);
    }
    deps.db
        .write(async |tx| {
            let events = events::upcoming(deps, &tx, CONSUMER).await?;
            let Some(last) = events.last() else { return Ok(false) };
            let jobs = events.iter().filter_map(|event| job(event).transpose()).collect::<Result<Vec<_>>>()?;
            queue::enqueue_all(deps, &tx, jobs).await?;
            events::pass(deps, &tx, CONSUMER, last.position).await?;
            Ok(true)
        })
        .await
}

/// The job for an event, if it is one that goes there. Types that endpoints have to ask for do not: an endpoint of Svix
/// without a filter would get them, which the contract rules out (wire/webhooks §2.1).
fn job(event: &LoggedEvent) -> Result<Option<Enqueue>> {
    // Without a payload its user was deleted before anybody was told.
    let (Audience::Wire, Some(payload)) = (event.kind.audience(), &event.payload) else { return Ok(None) };
    let event_type = event.kind.as_str();
    let job = SendToSvix {
        project_id: event.project_id.clone(),
        event_id: event_id(event),
        event_type: event_type.to_owned(),
        envelope: String::from_utf8(envelope(event_type, payload)?).map_err(Error::internal)?,
    };
    // Without a key: the cursor sees to it that it is made once, and so what it holds of a user is soon forgotten when done.
    let enqueue = Enqueue::new(&job)?;
    Ok(Some(enqueue.project(event.project_id.clone()).caused_by(event.cause)))
}

/// What the server knows an event by. The position alone will not do: in a database that was restored from a backup,
/// positions that the server has seen belong to other events, and it would take those for the old ones and drop them.
fn event_id(event: &LoggedEvent) -> String {
    format!("evt_{}_{}", event.position, event.created_at.millis())
}

/// Makes one attempt to hand an event over. A server that is away is waited for, see [`SendToSvix`]; what it refuses for
/// good becomes a dead job, which can be looked at and run again.
///
/// # Errors
/// None so far.
#[crate::boxed]
pub async fn send(deps: &Deps, job: &SendToSvix) -> Result<Ending> {
    let Some(server) = &deps.svix else {
        // Another process may know one: settings are changed process by process.
        return Ok(Ending::retry("this process knows no Svix server"));
    };
    let message = SvixMessage {
        project_id: job.project_id.clone(),
        event_id: job.event_id.clone(),
        event_type: job.event_type.clone(),
        payload: job.envelope.clone(),
    };
    Ok(match server.send(&message).await {
        Ok(()) => Ending::done(),
        // A token that is put right must find everything still there.
        Err(SvixError::Unavailable(reason) | SvixError::Unauthorized(reason)) => Ending::retry(reason),
        Err(SvixError::Refused(reason)) => Ending::give_up(reason),
    })
}

/// What lets the administrators of a project manage its endpoints on the Svix server; `None` when there is no such server.
///
/// # Errors
/// Access; the server is out of reach; internal, when it refuses.
#[crate::boxed]
pub async fn portal(deps: &Deps, actor: &Actor) -> Result<Option<SvixPortal>> {
    require_admin(actor)?;
    let Some(server) = &deps.svix else { return Ok(None) };
    match server.portal(&actor.project_id).await {
        Ok(portal) => Ok(Some(portal)),
        Err(error @ SvixError::Unavailable(_)) => {
            tracing::warn!(%error, "no portal could be opened");
            let failure = Failure::new(Code::Unavailable, "The Svix server is out of reach for the moment. Try again.");
            refuse(failure.retry_after(RETRY_AFTER_SECONDS))
        }
        Err(error @ (SvixError::Unauthorized(_) | SvixError::Refused(_))) => Err(Error::internal(error)),
    }
}

/// Refuses to make, change and try out endpoints while a Svix server has them: nothing new would ever be sent to those here.
///
/// # Errors
/// `CONFLICT` in that mode.
pub fn refuse_if_elsewhere(deps: &Deps) -> Result<()> {
    if deps.svix.is_none() {
        return Ok(());
    }
    refuse(Failure::new(Code::Conflict, "Webhooks of this installation are managed on its Svix server, not here."))
}
