//! Every job, schedule and loop of the worker: the one list.

use std::time::Duration;

use postern_domain::{
    Result,
    emails::{
        WipeExpiredEmailSecrets,
        jobs::{DigestFailedEmails, SweepEmails},
    },
    events::{self, jobs::PruneEvents},
    idempotency::jobs::PruneOutcomes,
    items::jobs::FoldItems,
    payments::jobs::{FetchStripeEvents, PruneStripeEvents},
    queue::jobs::PruneJobs,
    sessions::jobs::PruneSessions,
    signal::Signal,
    webhooks::{self, PruneWebhooks},
};

use crate::{
    Follow, Registry,
    jobs::{
        emails, erase_user_events, fold_items, payments, prune, purge_project, send_to_svix, tell_of_leaked_api_key,
        webhooks as hooks,
    },
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a worker runs.
///
/// # Errors
/// Internal, when the payload of a schedule cannot be written as JSON.
pub fn registry() -> Result<Registry> {
    Ok(Registry::new()
        .job(emails::digest)
        .job(emails::fill_outbox)
        .job(emails::hurry)
        .job(emails::note_report)
        .job(emails::send)
        .job(emails::sweep)
        .job(emails::wipe_expired_secrets)
        .job(erase_user_events::run)
        .job(fold_items::run)
        .job(payments::end_subscription)
        .job(payments::fetch)
        .job(payments::finish)
        .job(payments::prune)
        .job(payments::work)
        .job(prune::events)
        .job(prune::idempotency_outcomes)
        .job(prune::jobs)
        .job(prune::sessions)
        .job(purge_project::run)
        .job(prune::webhooks)
        .job(send_to_svix::run)
        .job(tell_of_leaked_api_key::run)
        .job(hooks::deliver())
        .job(hooks::line())
        .job(hooks::recover)
        .job(hooks::tell_of_disabled)
        .schedule(10 * MINUTE, &PruneEvents {})?
        .schedule(10 * MINUTE, &PruneOutcomes {})?
        .schedule(10 * MINUTE, &FetchStripeEvents {})?
        .schedule(MINUTE, &FoldItems {})?
        .schedule(MINUTE, &PruneJobs {})?
        .schedule(60 * MINUTE, &PruneSessions {})?
        .schedule(60 * MINUTE, &PruneStripeEvents {})?
        .schedule(60 * MINUTE, &PruneWebhooks {})?
        .schedule(60 * MINUTE, &WipeExpiredEmailSecrets {})?
        .schedule(5 * MINUTE, &SweepEmails {})?
        .schedule(DAY, &DigestFailedEmails {})?
        .follow(
            Follow::new("sequence events", |deps| async move { events::sequence(&deps).await })
                .woken_by(|signal| *signal == Signal::EventsWritten),
        )
        .follow(
            Follow::new("fan out webhooks", |deps| async move { webhooks::fan_out(&deps).await })
                .woken_by(|signal| matches!(signal, Signal::LogAdvanced { .. })),
        ))
}
