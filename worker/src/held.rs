//! The leases this process holds: what the keeper renews, and what is given back at the end.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use postern_domain::{
    JobId,
    queue::{Lease, LeaseId, Suspects},
};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Leases by job.
#[derive(Debug, Default)]
pub(crate) struct Held {
    entries: Mutex<HashMap<JobId, Entry>>,
    suspect_ended: watch::Sender<()>,
}

#[derive(Debug)]
struct Entry {
    lease: Lease,
    /// How long it lasts unless renewed.
    lasts: Duration,
    renewed_at: Instant,
    /// Cancelled when the lease is lost: the handler stops.
    lost: CancellationToken,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Claimed, waits to be started; the permit is its slot.
    Claimed(OwnedSemaphorePermit),
    /// Started at least.
    Started,
}

/// What a job needs while it runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// The slot; free again when dropped.
    pub(crate) permit: OwnedSemaphorePermit,
    /// Cancelled when the lease is lost.
    pub(crate) lost: CancellationToken,
}

impl Held {
    fn entries(&self) -> MutexGuard<'_, HashMap<JobId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a claimed job. Who stood still for longer than its lease may claim what it still runs: that run has lost it.
    pub(crate) fn claimed(&self, lease: Lease, lasts: Duration, permit: OwnedSemaphorePermit) {
        let entry = Entry {
            lasts,
            renewed_at: Instant::now(),
            lost: CancellationToken::new(),
            state: State::Claimed(permit),
            lease: lease.clone(),
        };
        if let Some(before) = self.entries().insert(lease.job_id, entry) {
            self.stop(&before);
        }
    }

    /// Stops the handler of a lease that is held no more.
    fn stop(&self, entry: &Entry) {
        entry.lost.cancel();
        self.tell(&entry.lease);
    }

    /// Tells that a lease has ended, if it was that of a suspect.
    fn tell(&self, lease: &Lease) {
        if lease.is_suspect() {
            self.suspect_ended.send_replace(());
        }
    }

    /// Notes that the job begins. `None` when it was given back or lost before, or when its time is up already, because this
    /// process stood still: then whoever claims it next runs it.
    pub(crate) fn start(&self, lease: &Lease) -> Option<Running> {
        if lease.is_over() {
            self.forget([lease]);
            return None;
        }
        let mut entries = self.entries();
        let entry = entries.get_mut(&lease.job_id).filter(|entry| entry.lease == *lease)?;
        match std::mem::replace(&mut entry.state, State::Started) {
            State::Claimed(permit) => Some(Running { permit, lost: entry.lost.clone() }),
            State::Started => None,
        }
    }

    /// Whether the time of one of them is up, as far as this process knows: it stood still, or the database was away. What of
    /// them is still to be had is found when they are renewed.
    pub(crate) fn is_late(&self) -> bool {
        self.entries().values().any(|entry| entry.lease.is_over())
    }

    /// Which suspects may be claimed beside these.
    pub(crate) fn suspects(&self) -> Suspects {
        Suspects::beside(self.entries().values().map(|entry| &entry.lease))
    }

    /// Changes when a suspect has ended, and another one may be claimed.
    pub(crate) fn suspect_ended(&self) -> watch::Receiver<()> {
        self.suspect_ended.subscribe()
    }

    /// Forgets leases that have ended.
    pub(crate) fn forget<'a>(&self, leases: impl IntoIterator<Item = &'a Lease>) {
        let mut entries = self.entries();
        for lease in leases {
            if entries.get(&lease.job_id).is_some_and(|entry| entry.lease == *lease) {
                entries.remove(&lease.job_id);
                self.tell(lease);
            }
        }
    }

    /// Forgets leases that somebody else has taken over, and stops their handlers.
    pub(crate) fn lose(&self, ids: &[LeaseId]) {
        let mut entries = self.entries();
        for id in ids {
            if entries.get(&id.job_id).is_some_and(|entry| entry.lease.id() == *id)
                && let Some(entry) = entries.remove(&id.job_id)
            {
                self.stop(&entry);
            }
        }
    }

    /// Leases of which a third has passed since they were last renewed, by how long they last.
    pub(crate) fn due(&self) -> BTreeMap<Duration, Vec<Lease>> {
        let mut due: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for entry in self.entries().values().filter(|entry| entry.renewed_at.elapsed() >= entry.lasts / 3) {
            due.entry(entry.lasts).or_default().push(entry.lease.clone());
        }
        due
    }

    /// Notes that leases were renewed.
    pub(crate) fn renewed(&self, ids: &[LeaseId]) {
        let mut entries = self.entries();
        for id in ids {
            if let Some(entry) = entries.get_mut(&id.job_id).filter(|entry| entry.lease.id() == *id) {
                entry.renewed_at = Instant::now();
            }
        }
    }

    /// Takes out what was claimed and not started, so that it can be given back.
    pub(crate) fn take_unstarted(&self) -> Vec<Lease> {
        let mut entries = self.entries();
        let unstarted = entries.extract_if(|_, entry| matches!(entry.state, State::Claimed(_)));
        unstarted.map(|(_, entry)| entry.lease).collect()
    }

    /// Takes out everything.
    pub(crate) fn take_all(&self) -> Vec<Lease> {
        self.entries().drain().map(|(_, entry)| entry.lease).collect()
    }
}
