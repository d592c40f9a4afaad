//! Loops that every worker runs: placing events into the log, following it, flushing what is kept in memory.

use std::{fmt, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use postern_domain::{Deps, Error, Result, signal::Signal};
use tokio_util::sync::CancellationToken;

use crate::pause::Pause;

/// How long work may gather after a signal: a step is a commit.
const GATHER: Duration = Duration::from_millis(5);
/// How long a step may take before it is given up and tried again.
const LONGEST_STEP: Duration = Duration::from_secs(60);
/// How long the last step may take.
const LAST_STEP: Duration = Duration::from_secs(5);

type Step = Arc<dyn Fn(Deps) -> BoxFuture<'static, Result<bool>> + Send + Sync>;

/// A step that is repeated: at once while it says that more is left, else when a signal comes or the time is up. It must
/// be safe to run in several workers at the same time. Errors and panics are logged and waited out.
#[derive(Clone)]
pub struct Follow {
    name: &'static str,
    step: Step,
    every: Duration,
    woken_by: fn(&Signal) -> bool,
    at_end: bool,
}

impl Follow {
    /// Repeats `step` every half second, and at once while it answers `true`.
    #[must_use]
    pub fn new<F, Fut>(name: &'static str, step: F) -> Self
    where
        F: Fn(Deps) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<bool>> + Send + 'static,
    {
        Self {
            name,
            step: Arc::new(move |deps| step(deps).boxed()),
            every: Duration::from_millis(500),
            woken_by: |_| false,
            at_end: false,
        }
    }

    /// Another time between steps.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Sooner when one of these signals comes.
    #[must_use]
    pub fn woken_by(mut self, woken_by: fn(&Signal) -> bool) -> Self {
        self.woken_by = woken_by;
        self
    }

    /// Once more when the worker ends, after the jobs have.
    #[must_use]
    pub fn at_end(mut self) -> Self {
        self.at_end = true;
        self
    }

    /// Runs until `stop`.
    pub(crate) async fn run(&self, deps: Deps, stop: CancellationToken) {
        // Listening begins before the first step, so nothing told after that step is missed.
        let mut signals = deps.db.signals().subscribe();
        let mut pause = Pause::new();
        while !stop.is_cancelled() {
            signals.skip();
            let Some(more) = self.step(&deps).await else {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = pause.wait() => {}
                }
                continue;
            };
            pause.reset();
            if more {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.every) => {}
                () = signals.hears(self.woken_by) => tokio::time::sleep(GATHER).await,
            }
        }
    }

    /// The step at the end, if the loop wants one.
    pub(crate) async fn end(&self, deps: &Deps) {
        if self.at_end && tokio::time::timeout(LAST_STEP, self.step(deps)).await.is_err() {
            tracing::warn!(name = self.name, "the last step of a loop took too long");
        }
    }

    /// One step; `None` when it failed.
    pub(crate) async fn step(&self, deps: &Deps) -> Option<bool> {
        let step = tokio::time::timeout(LONGEST_STEP, (self.step)(deps.clone()));
        let step = async { step.await.map_err(|_| Error::internal("it took too long"))? };
        match AssertUnwindSafe(step).catch_unwind().await {
            Ok(Ok(more)) => Some(more),
            Ok(Err(error)) => {
                tracing::warn!(name = self.name, %error, "a step failed; trying again");
                None
            }
            Err(_) => {
                tracing::error!(name = self.name, "a step panicked; trying again");
                None
            }
        }
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("name", &self.name).field("every", &self.every).finish_non_exhaustive()
    }
}
