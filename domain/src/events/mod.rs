//! The event log. A change records its events in its own transaction ([`record`]); a sequencer gives committed rows a
//! gap-free position; everybody reads by position alone.
//!
//! The order of writing is not the order of commits: a row written earlier can commit after a reader has passed. Positions
//! are handed out to committed rows only and under one lock, so a reader that has seen position `n` has seen, or will never
//! see, everything up to `n`.
//!
//! Followers in the background keep a stored cursor ([`consume`]); readers of the doors bring theirs ([`read`]).
//!
//! To add a type of event: a line in the table of `kinds.rs`.

use postern_entity::{ProjectId, TeamId, UserId, event};
use sea_orm::ActiveValue::{NotSet, Set};
use serde_json::Value;

use crate::{
    Deps, Result,
    db::{NewRows, Tx},
    signal::Signal,
    trace,
};

mod audit;
mod audit_log;
mod consume;
pub mod jobs;
mod kinds;
mod lag;
mod read;
mod retention;
mod sequencer;

pub(crate) use audit::{FactorChange, audit, by, from, names};
pub use audit_log::{AuditFilter, AuditPage, audit_log};
pub use consume::{consume, has_unconsumed, pass, upcoming};
pub use kinds::{Audience, EventKind, UnknownEventKind};
pub use lag::{LogLag, lag};
pub use read::{EventFilter, EventPage, LoggedEvent, MAX_PAGE, newest, oldest, read};
pub use retention::{Left, RETENTION_DAYS, erase_step, erase_user, prune_step};
pub use sequencer::sequence;

/// The most rows that a transaction on the log changes.
const BATCH: u64 = 100;

/// An event about to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Where it happened.
    pub project_id: ProjectId,
    /// What happened.
    pub kind: EventKind,
    /// The user it is about. Deleting the user erases the payload.
    pub user_id: Option<UserId>,
    /// The team it is about.
    pub team_id: Option<TeamId>,
    /// The server's view right after the change, as the table of types says.
    pub payload: Value,
}

/// Writes an event in the caller's transaction.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn record(deps: &Deps, tx: &Tx, event: NewEvent) -> Result<()> {
    record_all(deps, tx, [event]).await
}

/// Writes several events of one change, in the order that the change means.
///
/// # Errors
/// Those of the database.
pub async fn record_all(deps: &Deps, tx: &Tx, events: impl IntoIterator<Item = NewEvent> + Send) -> Result<()> {
    let mut rows = NewRows::default();
    events.into_iter().for_each(|event| add(deps, &mut rows, event));
    rows.write(tx).await
}

/// Adds an event to the rows of a change, after those that were added before.
pub(crate) fn add(deps: &Deps, rows: &mut NewRows, event: NewEvent) {
    rows.add(event::ActiveModel {
        seq: NotSet,
        position: NotSet,
        project_id: Set(event.project_id),
        kind: Set(event.kind.as_str().to_owned()),
        user_id: Set(event.user_id),
        team_id: Set(event.team_id),
        payload: Set(Some(event.payload)),
        created_at: Set(deps.now()),
        traceparent: Set(trace::current().map(|cause| cause.to_string())),
    });
    rows.raise(Signal::EventsWritten);
}

#[cfg(test)]
mod tests;
