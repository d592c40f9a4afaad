//! Removes what is kept no longer. A run ends when nothing is left or its time is up; the next one goes on.

use std::time::Duration;

use postern_domain::{
    Deps, Result, events,
    events::jobs::PruneEvents,
    idempotency::{self, jobs::PruneOutcomes},
    queue::{self, Ending, Lease, jobs::PruneJobs},
    sessions::{self, jobs::PruneSessions},
    webhooks::{self, PruneWebhooks},
};
use tokio::time::Instant;

/// How long a run goes on.
const MAX_RUN: Duration = Duration::from_secs(30);
/// How soon one that has not come to the end goes on.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) async fn events(deps: Deps, _: Lease, _: PruneEvents) -> Result<Ending> {
    repeat(|| events::prune_step(&deps)).await
}

pub(crate) async fn idempotency_outcomes(deps: Deps, _: Lease, _: PruneOutcomes) -> Result<Ending> {
    repeat(|| idempotency::prune_step(&deps)).await
}

pub(crate) async fn jobs(deps: Deps, _: Lease, _: PruneJobs) -> Result<Ending> {
    repeat(|| queue::prune_step(&deps)).await
}

pub(crate) async fn sessions(deps: Deps, _: Lease, _: PruneSessions) -> Result<Ending> {
    repeat(|| sessions::prune_step(&deps)).await
}

pub(crate) async fn webhooks(deps: Deps, _: Lease, _: PruneWebhooks) -> Result<Ending> {
    let started = Instant::now();
    let mut place = webhooks::prune_step(&deps, None).await?;
    while place.is_some() && started.elapsed() < MAX_RUN {
        place = webhooks::prune_step(&deps, place).await?;
    }
    // Many come in an hour: it goes on soon.
    Ok(if place.is_some() { Ending::snooze(PAUSE) } else { Ending::done() })
}

/// Runs `step` while it says that more may have to go.
async fn repeat<Step: Future<Output = Result<bool>>>(step: impl Fn() -> Step) -> Result<Ending> {
    let started = Instant::now();
    while step().await? && started.elapsed() < MAX_RUN {}
    Ok(Ending::done())
}
