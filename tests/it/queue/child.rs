//! What a child process does: runs a worker until SIGTERM.

use std::{path::PathBuf, time::Duration};

use postern_domain::{
    Deps, Result,
    queue::{self, Ending, Lease, LeaseLost},
};
use postern_worker::{Registry, Worker};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::support::{DATABASE_URL, Deed, GATE, Probe, deps_at, leave_trace, until_exists, worker_settings};

/// Not a test of its own: the entry of child processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker() {
    let (Ok(url), Some(gate)) = (std::env::var(DATABASE_URL), std::env::var_os(GATE)) else { return };
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    tokio::spawn({
        let shutdown = shutdown.clone();
        async move {
            terminate.recv().await;
            shutdown.cancel();
        }
    });
    let worker = Worker::with_registry(deps_at(&url).await, worker_settings(), registry(Some(gate.into())));
    worker.run(shutdown).await.unwrap();
}

/// What probes do; `gate` in children only.
pub(super) fn registry(gate: Option<PathBuf>) -> Registry {
    Registry::new().job(move |deps, lease, probe| run(deps, lease, probe, gate.clone()))
}

async fn run(deps: Deps, lease: Lease, probe: Probe, gate: Option<PathBuf>) -> Result<Ending> {
    let job = lease.job_id;
    match (probe.deed, gate) {
        (Deed::Work, _) | (Deed::Stubborn, None) => tokio::time::sleep(Duration::from_millis(2)).await,
        (Deed::Kill, _) => std::process::abort(),
        (Deed::Gated, gate) => {
            deps.db.write(async |tx| leave_trace(&tx, job, "begun").await).await?;
            until_exists(&gate.unwrap_or_default()).await;
        }
        (Deed::Stubborn, Some(gate)) => {
            deps.db.write(async |tx| leave_trace(&tx, job, "begun").await).await?;
            // On a task of its own, so that it survives the handler, which is stopped when the lease is lost.
            let stubborn = tokio::spawn(async move {
                until_exists(&gate).await;
                let late = async |tx| {
                    leave_trace(&tx, job, "done").await?;
                    queue::finish_in(&deps, &tx, &lease).await
                };
                let refused = deps.db.write(late).await.is_err_and(|error| LeaseLost::is(&error));
                let what = if refused { "refused" } else { "not refused" };
                deps.db.write(async |tx| leave_trace(&tx, job, what).await).await
            });
            stubborn.await.map_err(postern_domain::Error::internal)??;
            return Ok(Ending::committed());
        }
    }
    Ok(Ending::done().with(move |tx| Box::pin(leave_trace(tx, job, "done"))))
}
