//! Which handler runs which kind of job, and running it.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    panic::resume_unwind,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{error::BoxDynError, task::Task};
use futures::future::BoxFuture;
use postern_domain::{
    Deps, Error, Result,
    queue::{Claimed, Ending, Job, Lease},
    trace,
};
use tokio_util::task::AbortOnDropHandle;
use tower::Service;

use crate::{follow::Follow, schedule::Schedule};

/// How long a job of an unknown kind waits for a worker that knows it: during an upgrade, old workers see new jobs.
const UNKNOWN_KIND_DELAY: Duration = Duration::from_secs(60);

type Run = Arc<dyn Fn(Deps, Claimed) -> BoxFuture<'static, Ending> + Send + Sync>;

/// Every job, schedule and loop of a worker.
#[derive(Clone, Default)]
pub struct Registry {
    handlers: HashMap<&'static str, Handler>,
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) follows: Vec<Follow>,
}

#[derive(Clone)]
struct Handler {
    run: Run,
    backoff: fn(u16) -> Duration,
}

impl Registry {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs jobs of the kind `J` by `handler`. An error of the handler is a failed attempt; a panic and the end of the
    /// lane's time limit are too.
    #[must_use]
    pub fn job<J, F, Fut>(mut self, handler: F) -> Self
    where
        J: Job,
        F: Fn(Deps, Lease, J) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Ending>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let run: Run = Arc::new(move |deps, claimed| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let job = match serde_json::from_value::<J>(claimed.payload) {
                    Ok(job) => job,
                    Err(error) => return Ending::retry(format!("the payload cannot be read: {error}")),
                };
                handler(deps, claimed.lease, job).await.unwrap_or_else(Ending::from)
            })
        });
        let known = self.handlers.insert(J::KIND, Handler { run, backoff: J::backoff });
        debug_assert!(known.is_none(), "two handlers for jobs of the kind {}", J::KIND);
        self
    }

    /// Enqueues `job` once in every stretch of time of the length `every`, whatever the number of workers. At most a day:
    /// the keys that make it once are kept for somewhat longer.
    ///
    /// # Errors
    /// Internal, when the payload cannot be written as JSON.
    pub fn schedule<J: Job>(mut self, every: Duration, job: &J) -> Result<Self> {
        self.schedules.push(Schedule::new(every, job)?);
        Ok(self)
    }

    /// Runs a loop in every worker; see [`Follow`].
    #[must_use]
    pub fn follow(mut self, follow: Follow) -> Self {
        self.follows.push(follow);
        self
    }

    /// Runs a claimed job to its end.
    pub(crate) async fn run(&self, deps: Deps, claimed: Claimed) -> Ending {
        let Some(handler) = self.handlers.get(claimed.kind.as_str()) else {
            return Ending::retry_after(
                UNKNOWN_KIND_DELAY,
                format!("no handler for jobs of the kind {}", claimed.kind),
            );
        };
        (handler.run)(deps, claimed).await
    }

    /// Counts a run of a job. Kinds that only another version knows are one.
    pub(crate) fn count_run(&self, kind: &str, outcome: &'static str, duration: Duration) {
        let kind = self.handlers.get_key_value(kind).map_or("unknown", |(kind, _)| kind);
        metrics::counter!("postern_jobs_total", "kind" => kind, "outcome" => outcome).increment(1);
        metrics::histogram!("postern_job_duration_seconds", "kind" => kind).record(duration);
    }

    /// `ending` with the back-off of the kind where it wants one.
    pub(crate) fn with_backoff(&self, kind: &str, attempt: u16, ending: Ending) -> Ending {
        let backoff = self.handlers.get(kind).map_or(UNKNOWN_KIND_DELAY, |handler| (handler.backoff)(attempt));
        ending.with_backoff(backoff)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("jobs", &self.handlers.keys()).finish_non_exhaustive()
    }
}

/// The innermost service: runs the handler on a task of its own, so that the jobs of a lane use all cores and one that
/// forgets to yield holds up no other.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    pub(crate) deps: Deps,
    pub(crate) registry: Arc<Registry>,
}

impl Service<Task<Claimed>> for Dispatch {
    type Response = Ending;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<Ending, BoxDynError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Claimed>) -> Self::Future {
        let (deps, registry) = (self.deps.clone(), Arc::clone(&self.registry));
        Box::pin(async move {
            let run = trace::carry_on().run(async move { registry.run(deps, task.args).await });
            // Cut off with this future: by the time limit, by a lost lease, by the end of draining.
            match AbortOnDropHandle::new(tokio::spawn(run)).await {
                Ok(ending) => Ok(ending),
                // For the layer that catches panics.
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Err(error) => Err(Error::internal(error).into()),
            }
        })
    }
}
