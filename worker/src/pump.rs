//! Claims due jobs of one lane, never more than there are free slots, and hands them to the lane's worker. Woken by
//! signals, by the time the next job is due, and by a slow poll; a lost database is waited for.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use postern_domain::{
    Deps, Result,
    queue::{self, Claimed, Lane, MAX_BATCH},
    signal::Signal,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc::Sender};
use tokio_util::sync::CancellationToken;

use crate::{
    held::Held,
    pause::{Pause, with_patience},
    settings::Settings,
};

/// How long jobs may gather after a signal before they are claimed together: a claim is a commit.
const GATHER: Duration = Duration::from_millis(5);
/// The pause before claiming goes on after a panic.
const AFTER_PANIC: Duration = Duration::from_secs(1);
/// The pause when a job is due but somebody else has its row locked.
const CONTENDED_PAUSE: Duration = Duration::from_millis(25);

pub(crate) struct Pump {
    pub(crate) deps: Deps,
    pub(crate) lane: Lane,
    /// Fresh for every start of a worker.
    pub(crate) worker: String,
    pub(crate) settings: Arc<Settings>,
    pub(crate) held: Arc<Held>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) claimed: Sender<Claimed>,
    pub(crate) shutdown: CancellationToken,
}

/// What a look at the queue came to.
enum Look {
    /// As many as asked for: there may be more.
    Full,
    /// Fewer.
    Some,
    /// None, though one was due, or may have been.
    Contended,
    /// None is due before this long.
    Nothing(Duration),
}

impl Pump {
    /// Runs until `shutdown`, or until nobody takes the jobs any more; a panic does not end it.
    pub(crate) async fn run_for_good(self) {
        while AssertUnwindSafe(self.run()).catch_unwind().await.is_err() {
            tracing::error!(lane = self.lane.as_str(), "claiming jobs panicked; going on");
            tokio::time::sleep(AFTER_PANIC).await;
        }
    }

    pub(crate) async fn run(&self) {
        let shutdown = self.shutdown.clone();
        // Listening begins before the first look, so a job committed after that look is never missed.
        let mut signals = self.deps.db.signals().subscribe();
        let mut suspect_ended = self.held.suspect_ended();
        let mut pause = Pause::new();
        while !shutdown.is_cancelled() {
            let Some(permits) = self.free_slots().await else { return };
            // What was told before this look is covered by it.
            signals.skip();
            suspect_ended.mark_unchanged();
            let wait = match with_patience(self.look(permits)).await {
                Ok(look) => {
                    pause.reset();
                    match look {
                        Look::Full => Duration::ZERO,
                        Look::Some => continue,
                        Look::Contended => CONTENDED_PAUSE,
                        Look::Nothing(wait) => wait,
                    }
                }
                Err(error) => {
                    tracing::warn!(lane = self.lane.as_str(), %error, "jobs cannot be claimed; trying again");
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = pause.wait() => {}
                    }
                    continue;
                }
            };
            if wait.is_zero() {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
                // Its sender is held by us, and cannot be gone.
                _ = suspect_ended.changed() => {}
                () = signals.hears(|signal| *signal == Signal::Jobs) => tokio::time::sleep(GATHER).await,
            }
        }
    }

    /// Waits for a free slot and takes it with all others that are free. `None` at the end.
    async fn free_slots(&self) -> Option<OwnedSemaphorePermit> {
        let first = tokio::select! {
            () = self.shutdown.cancelled() => return None,
            () = self.claimed.closed() => return None,
            permit = Arc::clone(&self.slots).acquire_owned() => permit.ok()?,
        };
        let more = self.slots.available_permits().min(MAX_BATCH - 1);
        let mut permits = first;
        if let Ok(more) = u32::try_from(more)
            && let Ok(more) = Arc::clone(&self.slots).try_acquire_many_owned(more)
        {
            permits.merge(more);
        }
        Some(permits)
    }

    /// Claims what is due into `permits`; those left over are free again.
    async fn look(&self, mut permits: OwnedSemaphorePermit) -> Result<Look> {
        if self.held.is_late() {
            // Among what is due would be what this process runs itself.
            return Ok(Look::Contended);
        }
        let suspects = self.held.suspects();
        match queue::next_due(&self.deps, self.lane, suspects).await? {
            Some(wait) if wait.is_zero() => {}
            Some(wait) => return Ok(Look::Nothing(wait.min(self.settings.poll))),
            None => return Ok(Look::Nothing(self.settings.poll)),
        }
        let slots = permits.num_permits();
        let (deps, lane, worker) = (&self.deps, self.lane, self.worker.as_str());
        let lease = self.settings.lane(lane).lease;
        let claimed = queue::claim(deps, lane, worker, slots, lease, suspects).await?;
        tracing::debug!(lane = lane.as_str(), jobs = claimed.len(), "jobs were claimed");
        let look = match claimed.len() {
            0 => Look::Contended,
            count if count == slots => Look::Full,
            _ => Look::Some,
        };
        for job in claimed {
            if let Some(permit) = permits.split(1) {
                self.held.claimed(job.lease.clone(), lease, permit);
            }
            // When nobody takes it any more, it stays held as not started and is given back at the end.
            if self.claimed.send(job).await.is_err() {
                break;
            }
        }
        Ok(look)
    }
}
