//! Writes down what became of items by the passing of time. A run ends when nothing is due or its time is up; the next one
//! goes on.

use std::time::Duration;

use postern_domain::{
    Deps, Result,
    items::{self, jobs::FoldItems},
    queue::{Ending, Lease},
};
use tokio::time::Instant;

/// How long a run goes on.
const MAX_RUN: Duration = Duration::from_secs(30);

pub(crate) async fn run(deps: Deps, _: Lease, _: FoldItems) -> Result<Ending> {
    let started = Instant::now();
    while items::fold_step(&deps).await? && started.elapsed() < MAX_RUN {}
    Ok(Ending::done())
}
