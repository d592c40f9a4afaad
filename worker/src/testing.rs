//! Running jobs on demand in tests of other crates.

use std::time::Duration;

use postern_domain::{
    Deps, Result,
    queue::{self, Lane, MAX_BATCH},
};

use crate::Registry;

/// Takes every loop's steps and runs every due job, one after the other on this task, until nothing is left to do now.
/// Answers how many runs of jobs there were. Jobs that wait for their time stay: move the clock and call again.
///
/// # Errors
/// Those of the database. Failures of jobs are written down as in a real worker.
pub async fn run_due_jobs(deps: &Deps, registry: &Registry) -> Result<usize> {
    let mut runs = 0;
    loop {
        for follow in &registry.follows {
            while follow.step(deps).await == Some(true) {}
        }
        let mut claimed = Vec::new();
        for lane in Lane::ALL {
            claimed.extend(
                queue::claim(deps, *lane, "test", MAX_BATCH, Duration::from_secs(60), queue::Suspects::Any).await?,
            );
        }
        if claimed.is_empty() {
            return Ok(runs);
        }
        for job in claimed {
            runs += 1;
            let (lease, kind) = (job.lease.clone(), job.kind.clone());
            let ending = registry.run(deps.clone(), job).await;
            let ending = registry.with_backoff(&kind, lease.attempt, ending);
            queue::end_all(deps, &[(lease, ending)]).await?;
        }
    }
}
