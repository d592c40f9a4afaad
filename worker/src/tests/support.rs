//! A worker on a bench with a running clock, and jobs that do as they are told.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use postern_domain::{
    Deps, JobId, Result, Timestamp,
    queue::{self, Ending, Enqueue, Job, JobState, Lease, Scope},
    testing::{TestBench, on_each_database},
    time::SystemClock,
};
use serde::{Deserialize, Serialize};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{LaneSettings, Registry, Settings, Worker};

/// How long a condition may take to come true.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// A job that is told apart by its name. Two attempts, no back-off to speak of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Probe {
    pub(super) name: String,
}

impl Job for Probe {
    const KIND: &'static str = "probe";
    const MAX_ATTEMPTS: u16 = 2;

    fn backoff(_: u16) -> Duration {
        Duration::from_millis(10)
    }
}

pub(super) fn probe(name: &str) -> Enqueue {
    Enqueue::new(&Probe { name: name.to_owned() }).unwrap()
}

/// Counts what happened, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<HashMap<String, usize>>>);

impl Tally {
    pub(super) fn add(&self, name: &str) {
        *self.0.lock().unwrap().entry(name.to_owned()).or_default() += 1;
    }

    pub(super) fn of(&self, name: &str) -> usize {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    pub(super) fn total(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }

    pub(super) async fn wait_for(&self, name: &str, count: usize) {
        until(&format!("{count} × {name}"), async || self.of(name) >= count).await;
    }
}

/// Counts when it is dropped: shows that a handler was cut off.
pub(super) struct CountDrop(pub(super) Tally, pub(super) &'static str);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

/// Polls until `condition` holds.
pub(super) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "did not come true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Impatient settings; the poll is so slow that only signals and due times wake the worker.
pub(super) fn settings() -> Settings {
    let lane = LaneSettings { slots: 4, timeout: Duration::from_secs(10), lease: Duration::from_secs(10) };
    Settings {
        general: lane,
        mail: lane,
        webhooks: lane,
        payments: lane,
        poll: Duration::from_secs(3600),
        drain: Duration::from_secs(10),
    }
}

/// Runs `test` on each database, the clock running.
pub(super) async fn on_each<Fut: Future<Output = ()>>(test: impl Fn(Deps) -> Fut) {
    on_each_database(|TestBench { mut deps, .. }| {
        deps.clock = Arc::new(SystemClock);
        test(deps)
    })
    .await;
}

/// A running worker.
pub(super) struct Running {
    shutdown: CancellationToken,
    worker: JoinHandle<Result<()>>,
}

impl Running {
    pub(super) fn start(deps: &Deps, settings: Settings, registry: Registry) -> Self {
        let shutdown = CancellationToken::new();
        let worker = Worker::with_registry(deps.clone(), settings, registry);
        Self { worker: tokio::spawn(worker.run(shutdown.clone())), shutdown }
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(DEADLINE, self.worker).await.expect("ends in time").unwrap().unwrap();
    }
}

/// A registry whose one handler is `handler`, told the name of the probe.
pub(super) fn probes<F, Fut>(handler: F) -> Registry
where
    F: Fn(Deps, Lease, String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Ending>> + Send + 'static,
{
    Registry::new().job(move |deps, lease, job: Probe| handler(deps, lease, job.name))
}

pub(super) async fn put(deps: &Deps, job: Enqueue) -> JobId {
    deps.db.write(async |tx| queue::enqueue(deps, &tx, job.clone()).await).await.unwrap().unwrap()
}

pub(super) async fn state(deps: &Deps, id: JobId) -> JobState {
    queue::find(deps, &Scope::Installation, id).await.unwrap().unwrap().state
}

/// Until when the lease on a running job is valid.
pub(super) async fn lease_end(deps: &Deps, id: JobId) -> Timestamp {
    queue::find(deps, &Scope::Installation, id).await.unwrap().unwrap().due_at
}

pub(super) async fn wait_for_state(deps: &Deps, id: JobId, wanted: JobState) {
    until(&format!("{wanted:?}"), async || state(deps, id).await == wanted).await;
}
