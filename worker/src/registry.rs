//! Every job, schedule and loop of the worker: the one list.

use std::time::Duration;

use postern_domain::{
    Result,
    emails::WipeExpiredEmailSecrets,
    events::{self, jobs::PruneEvents},
    queue::jobs::PruneJobs,
    signal::Signal,
};

use crate::{
    Follow, Registry,
    jobs::{erase_user_events, prune, send_email, wipe_expired_email_secrets},
};

const MINUTE: Duration = Duration::from_secs(60);

/// What a worker runs.
///
/// # Errors
/// Internal, when the payload of a schedule cannot be written as JSON.
pub fn registry() -> Result<Registry> {
    Ok(Registry::new()
        .job(erase_user_events::run)
        .job(prune::events)
        .job(prune::jobs)
        .job(send_email::run)
        .job(wipe_expired_email_secrets::run)
        .schedule(10 * MINUTE, &PruneEvents {})?
        .schedule(MINUTE, &PruneJobs {})?
        .schedule(60 * MINUTE, &WipeExpiredEmailSecrets {})?
        .follow(
            Follow::new("sequence events", |deps| async move { events::sequence(&deps).await })
                .woken_by(|signal| *signal == Signal::EventsWritten),
        ))
}
