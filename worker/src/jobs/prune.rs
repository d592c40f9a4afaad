//! Removes what is kept no longer. A run ends when nothing is left or its time is up; the next one goes on.

use std::time::Duration;

use postern_domain::{
    Deps, Result, events,
    events::jobs::PruneEvents,
    queue::{self, Ending, Lease, jobs::PruneJobs},
    sessions::{self, jobs::PruneSessions},
};
use tokio::time::Instant;

/// How long a run goes on.
const MAX_RUN: Duration = Duration::from_secs(30);

pub(crate) async fn events(deps: Deps, _: Lease, _: PruneEvents) -> Result<Ending> {
    let started = Instant::now();
    while events::prune_step(&deps).await? && started.elapsed() < MAX_RUN {}
    Ok(Ending::done())
}

pub(crate) async fn jobs(deps: Deps, _: Lease, _: PruneJobs) -> Result<Ending> {
    let started = Instant::now();
    while queue::prune_step(&deps).await? && started.elapsed() < MAX_RUN {}
    Ok(Ending::done())
}

pub(crate) async fn sessions(deps: Deps, _: Lease, _: PruneSessions) -> Result<Ending> {
    let started = Instant::now();
    while sessions::prune_step(&deps).await? && started.elapsed() < MAX_RUN {}
    Ok(Ending::done())
}
