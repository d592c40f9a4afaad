//! The end of a project's log, read once for all who follow it. A follower that has read everything waits for the tail to
//! grow; one that fell behind what the tail keeps reads the database until it has caught up.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use postern_domain::{
    Deps, ProjectId,
    events::{self, EventFilter, LoggedEvent, MAX_PAGE},
    running_time::within,
    signal::{Listener, Signal},
};
use tokio::{sync::watch, time::sleep};

/// How many events a tail keeps for followers that are a little behind.
const KEPT: usize = 256;
/// How long that may take before it is begun anew: a connection to the database may be dead without a word.
const READ_FOR: Duration = Duration::from_secs(10);
/// How often the log is looked at when no signal comes: signals can be lost.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The tails of all projects that somebody follows. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tails(Arc<Shared>);

struct Shared {
    deps: Deps,
    tails: Mutex<HashMap<ProjectId, Weak<Tail>>>,
}

/// The end of one project's log.
pub(crate) struct Tail {
    project_id: ProjectId,
    recent: Mutex<Recent>,
    /// Up to where the log has been read.
    end: watch::Sender<i64>,
}

/// All events of the project after `start` up to `end`.
struct Recent {
    start: i64,
    end: i64,
    events: VecDeque<Arc<LoggedEvent>>,
}

impl Tails {
    /// No tails yet.
    pub(crate) fn new(deps: Deps) -> Self {
        Self(Arc::new(Shared { deps, tails: Mutex::default() }))
    }

    /// The tail of a project, which grows as long as somebody holds it.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn of(&self, project_id: &ProjectId) -> postern_domain::Result<Arc<Tail>> {
        if let Some(tail) = self.known(project_id) {
            return Ok(tail);
        }
        let signals = self.0.deps.db.signals().subscribe();
        let end = events::newest(&self.0.deps).await?;
        let mut tails = self.0.tails.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been faster.
        if let Some(tail) = tails.get(project_id).and_then(Weak::upgrade) {
            return Ok(tail);
        }
        let tail = Arc::new(Tail {
            project_id: project_id.clone(),
            recent: Mutex::new(Recent { start: end, end, events: VecDeque::new() }),
            end: watch::Sender::new(end),
        });
        tails.retain(|_, tail| tail.strong_count() > 0);
        tails.insert(project_id.clone(), Arc::downgrade(&tail));
        tokio::spawn(grow(Arc::downgrade(&tail), self.0.deps.clone(), signals));
        Ok(tail)
    }

    fn known(&self, project_id: &ProjectId) -> Option<Arc<Tail>> {
        self.0.tails.lock().unwrap_or_else(PoisonError::into_inner).get(project_id).and_then(Weak::upgrade)
    }
}

impl Tail {
    /// The events after `position`, and up to where they reach; none when the tail does not go back so far.
    pub(crate) fn after(&self, position: i64) -> Option<(Vec<Arc<LoggedEvent>>, i64)> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if position < recent.start {
            return None;
        }
        let first = recent.events.partition_point(|event| event.position <= position);
        Some((recent.events.iter().skip(first).cloned().collect(), recent.end.max(position)))
    }

    /// Waits until the log has been read beyond `position`.
    pub(crate) async fn grown_beyond(&self, position: i64) {
        // The sender is ours: it cannot be gone while we are here.
        drop(self.end.subscribe().wait_for(|end| *end > position).await);
    }

    async fn read_on(&self, deps: &Deps) -> postern_domain::Result<()> {
        loop {
            let end = *self.end.borrow();
            let page = events::read(deps, &self.project_id, Some(end), &EventFilter::default(), MAX_PAGE).await?;
            self.append(page.events, page.position);
            if !page.has_more {
                return Ok(());
            }
        }
    }

    fn append(&self, events: Vec<LoggedEvent>, end: i64) {
        {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.events.extend(events.into_iter().map(Arc::new));
            recent.end = end;
            while recent.events.len() > KEPT {
                if let Some(dropped) = recent.events.pop_front() {
                    recent.start = dropped.position;
                }
            }
        }
        self.end.send_if_modified(|known| std::mem::replace(known, end) != end);
    }

    /// Begins anew at the end of the log: followers read what lies between from the database.
    fn begin_anew(&self, end: i64) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = Recent { start: end, end, events: VecDeque::new() };
        drop(recent);
        self.end.send_replace(end);
    }
}

async fn grow(tail: Weak<Tail>, deps: Deps, mut signals: Listener) {
    loop {
        let Some(known) = tail.upgrade().map(|tail| *tail.end.borrow()) else { return };
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = signals.hears(|signal| matches!(signal, Signal::LogAdvanced { position } if *position > known)) => {}
        }
        let Some(tail) = tail.upgrade() else { return };
        let error = match within(READ_FOR, tail.read_on(&deps)).await {
            Some(Ok(())) => continue,
            Some(Err(error)) => error,
            None => {
                tracing::warn!("reading the end of the event log took too long and was cut off");
                continue;
            }
        };
        if error.failure().is_none() {
            tracing::warn!(%error, "the end of the event log could not be read");
        } else if let Ok(end) = events::newest(&deps).await {
            // Pruned behind our back, or the log was reset.
            tail.begin_anew(end);
        }
    }
}
