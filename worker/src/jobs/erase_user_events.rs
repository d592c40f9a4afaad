//! Erases the payloads of a deleted user's events, and of the webhook messages that were made of them.

use std::time::Duration;

use postern_domain::{
    Deps, Result,
    events::{self, Left, jobs::EraseUserEvents},
    queue::{Ending, Lease},
    webhooks,
};

/// How soon to look again after events that are still on their way to webhooks.
const WAIT: Duration = Duration::from_secs(5);
/// How soon after messages that still wait for their endpoints: that may take a day.
const LONG_WAIT: Duration = Duration::from_secs(15 * 60);

pub(crate) async fn run(deps: Deps, _: Lease, job: EraseUserEvents) -> Result<Ending> {
    loop {
        match events::erase_step(&deps, &job).await? {
            Left::More => {}
            Left::Waiting => return Ok(Ending::snooze(WAIT)),
            Left::Nothing => break,
        }
    }
    loop {
        match webhooks::erase_user_step(&deps, &job).await? {
            Left::More => {}
            Left::Waiting => return Ok(Ending::snooze(LONG_WAIT)),
            Left::Nothing => return Ok(Ending::done()),
        }
    }
}
