//! Our backend for apalis: jobs of one lane, as the pump claims them from the domain's queue. Its stream never yields an
//! error and never ends, because apalis stops a worker for either; the pump waits for a lost database instead.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use postern_domain::{Deps, queue::Claimed, queue::Lane};
use tokio::sync::{
    Semaphore,
    mpsc::{self, Receiver, Sender},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    ack::{AckLayer, Ended},
    dispatch::Registry,
    held::Held,
    pump::Pump,
    settings::Settings,
};

/// What the lanes of a process share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) deps: Deps,
    pub(crate) settings: Arc<Settings>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) held: Arc<Held>,
    pub(crate) ended: Sender<Ended>,
    pub(crate) pumps: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

/// The jobs of one lane.
pub(crate) struct JobBackend {
    claimed: Receiver<Claimed>,
    ack: AckLayer,
}

impl JobBackend {
    /// Begins to claim at once, under a name that no worker had before.
    pub(crate) fn start(shared: &Shared, lane: Lane) -> Self {
        let slots = shared.settings.lane(lane).slots.max(1);
        let (sender, claimed) = mpsc::channel(slots);
        let pump = Pump {
            deps: shared.deps.clone(),
            lane,
            worker: format!("{}-{}", lane.as_str(), Uuid::now_v7().simple()),
            settings: Arc::clone(&shared.settings),
            held: Arc::clone(&shared.held),
            slots: Arc::new(Semaphore::new(slots)),
            claimed: sender,
            shutdown: shared.shutdown.clone(),
        };
        shared.pumps.spawn(pump.run_for_good());
        let ack = AckLayer {
            held: Arc::clone(&shared.held),
            registry: Arc::clone(&shared.registry),
            ended: shared.ended.clone(),
        };
        Self { claimed, ack }
    }
}

impl Backend for JobBackend {
    type Task = Task<Claimed>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Self::Error>>> {
        match self.claimed.poll_recv(cx) {
            Poll::Ready(Some(claimed)) => Poll::Ready(Some(Ok(task(claimed)))),
            // The pump ends only when everything does; the worker is told so by the monitor.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        // Jobs that wait here were given back by then, and endings are the keeper's.
        self.claimed.close();
        Poll::Ready(Ok(()))
    }
}

fn task(claimed: Claimed) -> Task<Claimed> {
    let lease = &claimed.lease;
    let (id, attempt) = (TaskId::from_string(lease.job_id.to_string()), usize::from(lease.attempt));
    let max_attempts = usize::from(lease.max_attempts);
    TaskBuilder::new(claimed).task_id(id).attempt(attempt).max_attempts(max_attempts).build()
}

impl BackendConfig for JobBackend {
    type Args = Claimed;
    type Id = TaskId;
    /// Tasks are decoded by the handler, who knows their type.
    type Kind = Ephemeral;
    type Config = ();
    type Layer = AckLayer;

    fn config(&self) -> &Self::Config {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Self::Layer {
        self.ack.clone()
    }
}
