//! Writes down how jobs ended, and keeps the leases of the others alive: two tasks for the process. Many endings share a
//! commit, which may wait for rows that somebody else holds; renewing skips such rows and must not wait, or leases run out.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use postern_domain::{
    Deps,
    queue::{self, Lease, MAX_BATCH},
};
use tokio::{
    sync::mpsc::Receiver,
    time::{MissedTickBehavior, interval},
};

use crate::{
    ack::Ended,
    held::Held,
    pause::{Pause, with_patience},
};

/// How long endings may gather before they are written down together.
const GATHER: Duration = Duration::from_millis(2);

/// Renews leases.
pub(crate) struct Renewer {
    pub(crate) deps: Deps,
    /// The shortest lease there is.
    pub(crate) lease: Duration,
    pub(crate) held: Arc<Held>,
}

impl Renewer {
    /// Runs until it is aborted; a panic costs one round.
    pub(crate) async fn run_for_good(self) {
        // A lease is renewed at the first tick after a third of it has passed: before half of it has.
        let mut ticks = interval((self.lease / 6).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if AssertUnwindSafe(self.renew()).catch_unwind().await.is_err() {
                tracing::error!("renewing leases panicked; going on");
            }
        }
    }

    async fn renew(&self) {
        for (lasts, leases) in self.held.due() {
            for leases in leases.chunks(MAX_BATCH) {
                match with_patience(queue::renew(&self.deps, leases, lasts)).await {
                    Ok(renewal) => {
                        self.held.renewed(&renewal.renewed);
                        self.held.lose(&renewal.lost);
                    }
                    Err(error) => tracing::warn!(%error, "leases could not be renewed; trying again"),
                }
            }
        }
    }
}

/// Writes down how jobs ended.
pub(crate) struct Keeper {
    pub(crate) deps: Deps,
    pub(crate) held: Arc<Held>,
    pub(crate) ended: Receiver<Ended>,
}

impl Keeper {
    /// Runs like [`Self::run`]; a panic costs the batch at hand, whose jobs run again, but does not end it.
    pub(crate) async fn run_for_good(mut self) {
        while AssertUnwindSafe(self.run()).catch_unwind().await.is_err() {
            tracing::error!("writing down the ends of jobs panicked; going on");
        }
    }

    /// Runs until nobody can send endings any more and all of them are written down.
    async fn run(&mut self) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while self.ended.recv_many(&mut batch, MAX_BATCH).await > 0 {
            if batch.len() < MAX_BATCH {
                tokio::time::sleep(GATHER).await;
                while batch.len() < MAX_BATCH
                    && let Ok(ended) = self.ended.try_recv()
                {
                    batch.push(ended);
                }
            }
            self.write_down(std::mem::take(&mut batch)).await;
        }
    }

    /// Writes down a batch; one by one when the batch fails because of one of its effects.
    async fn write_down(&self, batch: Vec<Ended>) {
        if self.try_write_down(&batch).await.is_ok() {
            return;
        }
        for ended in batch {
            let Err(reason) = self.try_write_down(std::slice::from_ref(&ended)).await else { continue };
            let (lease, ending) = ended;
            tracing::error!(job.id = %lease.job_id, reason, "the result of a job could not be stored");
            let retry = ending.without_effect_because(&reason);
            if let Err(reason) = self.try_write_down(&[(lease.clone(), retry)]).await {
                // The lease runs out and the job is claimed again.
                tracing::error!(job.id = %lease.job_id, reason, "the end of a job could not be written down");
                self.held.forget([&lease]);
            }
        }
    }

    /// Waits for a lost database; any other failure is answered.
    async fn try_write_down(&self, batch: &[Ended]) -> Result<(), String> {
        let mut pause = Pause::new();
        loop {
            match with_patience(queue::end_all(&self.deps, batch)).await {
                Ok(lost) => {
                    tracing::debug!(jobs = batch.len(), "the ends of jobs were written down");
                    for job_id in &lost {
                        tracing::warn!(job.id = %job_id, "the end of a job does not count: its lease was lost");
                    }
                    self.held.forget(batch.iter().map(|(lease, _)| lease));
                    return Ok(());
                }
                Err(error) if with_patience(self.deps.db.ping()).await.is_ok() => return Err(error.to_string()),
                Err(error) => {
                    tracing::warn!(%error, "the ends of jobs cannot be written down; trying again");
                    pause.wait().await;
                }
            }
        }
    }
}

/// Gives jobs back for others to run. A failure is survived: their leases run out.
pub(crate) async fn give_back(deps: &Deps, leases: &[Lease], started: bool) {
    if leases.is_empty() {
        return;
    }
    match with_patience(queue::release(deps, leases, started)).await {
        Ok(()) => tracing::info!(jobs = leases.len(), started, "jobs were given back"),
        Err(error) => tracing::warn!(jobs = leases.len(), %error, "jobs could not be given back; their leases run out"),
    }
}
