//! Erases the payloads of a deleted user's events.

use std::time::Duration;

use postern_domain::{
    Deps, Result,
    events::{self, Left, jobs::EraseUserEvents},
    queue::{Ending, Lease},
};

/// How soon to look again after events that are still on their way to webhooks.
const WAIT: Duration = Duration::from_secs(5);

pub(crate) async fn run(deps: Deps, _: Lease, job: EraseUserEvents) -> Result<Ending> {
    loop {
        match events::erase_step(&deps, &job).await? {
            Left::More => {}
            Left::Waiting => return Ok(Ending::snooze(WAIT)),
            Left::Nothing => return Ok(Ending::done()),
        }
    }
}
