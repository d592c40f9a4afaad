//! Removes what is left of a deleted project.

use std::time::Duration;

use postern_domain::{
    Deps, Result,
    projects::{self, Purged, jobs::PurgeProject},
    queue::{Ending, Lease},
};
use tokio::time::Instant;

/// How long a run goes on before others get its slot.
const MAX_RUN: Duration = Duration::from_secs(30);
/// How soon the next run goes on.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) async fn run(deps: Deps, _: Lease, job: PurgeProject) -> Result<Ending> {
    let started = Instant::now();
    while projects::purge_step(&deps, &job).await? == Purged::More {
        if started.elapsed() >= MAX_RUN {
            return Ok(Ending::snooze(PAUSE));
        }
    }
    Ok(Ending::done())
}
