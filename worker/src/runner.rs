//! Starting everything and ending it in the right order.

use std::{sync::Arc, time::Duration};

use apalis::{
    layers::WorkerBuilderExt,
    prelude::{Monitor, WorkerBuilder},
};
use postern_domain::{
    Deps, Error, Result,
    queue::{self, Lane},
    webhooks,
};
use tokio::sync::mpsc;
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    Registry, Settings,
    backend::{JobBackend, Shared},
    dispatch::Dispatch,
    keeper::{Keeper, Renewer, give_back},
    schedule,
};

/// How many endings may wait to be written down before jobs keep their slots.
const ENDED_BUFFER: usize = 1000;
/// How long the last endings may take to be written down.
const FLUSH: Duration = Duration::from_secs(5);

/// A worker process, or the worker within one.
#[derive(Debug)]
#[must_use = "does nothing until it runs"]
pub struct Worker {
    deps: Deps,
    settings: Settings,
    registry: Registry,
}

impl Worker {
    /// A worker that runs everything of [`crate::registry()`].
    ///
    /// # Errors
    /// Those of [`crate::registry()`].
    pub fn new(deps: Deps, settings: Settings) -> Result<Self> {
        Ok(Self::with_registry(deps, settings, crate::registry()?))
    }

    /// A worker that runs what `registry` lists.
    pub fn with_registry(deps: Deps, settings: Settings, registry: Registry) -> Self {
        Self { deps, settings, registry }
    }

    /// Works until `shutdown`, then drains: nothing more is claimed, jobs that were not begun are given back, running ones
    /// have [`Settings::drain`] to finish and are given back after that.
    ///
    /// # Errors
    /// Internal, when the workers ended by themselves.
    #[postern_domain::boxed]
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let Self { deps, settings, registry } = self;
        queue::take_over_clock(&deps).await?;
        webhooks::take_over_clock(&deps).await?;
        let (ended, endings) = mpsc::channel(ENDED_BUFFER);
        let shared = Shared {
            deps: deps.clone(),
            settings: Arc::new(settings),
            registry: Arc::new(registry),
            held: Arc::default(),
            ended,
            pumps: TaskTracker::new(),
            // Its own token: when this future is dropped, the pumps end too.
            shutdown: shutdown.child_token(),
        };
        let _stop_pumps = shared.shutdown.clone().drop_guard();
        let (held, registry) = (Arc::clone(&shared.held), Arc::clone(&shared.registry));
        let lease = shared.settings.shortest_lease();
        let renewer = Renewer { deps: deps.clone(), lease, held: Arc::clone(&held) };
        let renewer = AbortOnDropHandle::new(tokio::spawn(renewer.run_for_good()));
        let keeper = Keeper { deps: deps.clone(), held: Arc::clone(&held), ended: endings };
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper.run_for_good()));
        let loops = start_loops(&shared);

        let outcome = run_lanes(shared).await;

        if tokio::time::timeout(FLUSH, keeper).await.is_err() {
            tracing::warn!("the ends of some jobs could not be written down in time; they will run again");
        }
        drop(renewer);
        give_back(&deps, &held.take_all(), true).await;
        for loop_ in loops {
            loop_.await.map_err(Error::internal)?;
        }
        for follow in &registry.follows {
            follow.end(&deps).await;
        }
        outcome
    }
}

fn start_loops(shared: &Shared) -> Vec<AbortOnDropHandle<()>> {
    let stop = &shared.shutdown;
    let schedules = schedule::run(shared.deps.clone(), shared.registry.schedules.clone(), stop.clone());
    let mut loops = vec![AbortOnDropHandle::new(tokio::spawn(schedules))];
    for follow in shared.registry.follows.clone() {
        let (deps, stop) = (shared.deps.clone(), stop.clone());
        loops.push(AbortOnDropHandle::new(tokio::spawn(async move { follow.run(deps, stop).await })));
    }
    loops
}

/// Runs the lanes until they have drained.
async fn run_lanes(shared: Shared) -> Result<()> {
    let (pumps, stop, drain) = (shared.pumps.clone(), shared.shutdown.clone(), shared.settings.drain);
    let (deps, held) = (shared.deps.clone(), Arc::clone(&shared.held));
    let mut monitor = Monitor::new()
        .should_restart(|worker, error| {
            tracing::error!(worker = worker.name(), %error, "a lane's worker ended and is started again");
            true
        })
        // Not `shutdown_timeout`: its time starts to run now, not at the shutdown.
        .with_terminator(async move { tokio::time::sleep(drain).await });
    for lane in Lane::ALL {
        monitor = register(monitor, shared.clone(), *lane);
    }
    drop(shared);
    let give_back_unstarted = async {
        stop.cancelled().await;
        pumps.close();
        pumps.wait().await;
        give_back(&deps, &held.take_unstarted(), false).await;
    };
    let signal = async {
        stop.cancelled().await;
        Ok(())
    };
    let lanes = async {
        let outcome = monitor.run_with_signal(signal).await;
        // However the lanes ended, everything else ends with them.
        stop.cancel();
        outcome
    };
    let (outcome, ()) = tokio::join!(lanes, give_back_unstarted);
    outcome.map_err(Error::internal)
}

fn register(monitor: Monitor, shared: Shared, lane: Lane) -> Monitor {
    let settings = shared.settings.lane(lane);
    monitor.register(move |restarts| {
        WorkerBuilder::new(format!("{}-{restarts}", lane.as_str()))
            .backend(JobBackend::start(&shared, lane))
            .concurrency(settings.slots.max(1))
            .timeout(settings.timeout)
            .catch_panic()
            .build(Dispatch { deps: shared.deps.clone(), registry: Arc::clone(&shared.registry) })
    })
}
