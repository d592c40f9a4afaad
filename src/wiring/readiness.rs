//! Whether the process can do its work, for `/readyz` and for the log.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use postern_domain::Deps;
use postern_outside::redis::{Link, Redis};
use tokio::{sync::watch, time::timeout};

use super::database::{MAX_CLOCK_DIFFERENCE_MILLIS, clock_complaint};

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the process is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Not working yet, and what it waits for.
    Waiting(String),
    Working,
    Stopping,
}

/// Shared by those who know and those who ask. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Readiness {
    phase: watch::Sender<Phase>,
    deps: Arc<OnceLock<Deps>>,
    redis: Option<Redis>,
}

impl Readiness {
    pub(super) fn new(redis: Option<Redis>) -> Self {
        let phase = watch::Sender::new(Phase::Waiting("starting".to_owned()));
        Self { phase, deps: Arc::default(), redis }
    }

    /// Says what the process waits for; logged when it is something new.
    pub(super) fn waiting(&self, why: String) {
        self.phase.send_if_modified(|phase| {
            let waiting = Phase::Waiting(why);
            let changed = *phase != waiting;
            if changed && let Phase::Waiting(why) = &waiting {
                tracing::warn!(why, "waiting");
            }
            *phase = waiting;
            changed
        });
    }

    pub(super) fn working(&self, deps: &Deps) {
        self.deps.get_or_init(|| deps.clone());
        self.phase.send_replace(Phase::Working);
    }

    /// From now on nothing new should be sent here.
    pub(super) fn stopping(&self) {
        self.phase.send_replace(Phase::Stopping);
    }

    /// What operations are handed; none before the process works.
    #[must_use]
    pub fn deps(&self) -> Option<&Deps> {
        self.deps.get()
    }

    /// How it stands with Redis, where there is one.
    #[must_use]
    pub fn redis(&self) -> Option<Link> {
        self.redis.as_ref().map(Redis::link)
    }

    /// What the process is to be told apart by: fine, with remarks, or why it is not ready.
    ///
    /// # Errors
    /// The reason, when it cannot do its work.
    #[postern_domain::boxed]
    pub async fn check(&self) -> Result<String, String> {
        match self.phase.borrow().clone() {
            Phase::Waiting(why) => return Err(format!("waiting: {why}")),
            Phase::Stopping => return Err("stopping".to_owned()),
            Phase::Working => {}
        }
        let Some(deps) = self.deps.get() else { return Err("starting".to_owned()) };
        match timeout(PATIENCE, deps.clock_difference()).await {
            Err(_) => return Err("the database does not answer in time".to_owned()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready");
                return Err("the database does not answer".to_owned());
            }
            Ok(Ok(Some(millis))) if millis.abs() > MAX_CLOCK_DIFFERENCE_MILLIS => return Err(clock_complaint(millis)),
            Ok(Ok(_)) => {}
        }
        Ok(match self.redis() {
            None | Some(Link::Up) => "ok".to_owned(),
            Some(Link::Connecting) => "ok, but Redis is not connected yet: slower until it is".to_owned(),
            Some(Link::Away(_)) => "ok, but Redis is away: slower until it is back".to_owned(),
            Some(Link::Refused(why)) => format!("ok, but Redis refuses us ({why}): slower until it lets us in"),
        })
    }
}
