//! Wake-ups: what just became durable, told to whoever waits for it, in this process and, over a bus, in the others of the
//! installation. A signal may be lost (a process died, Redis is gone), so every listener also looks at the database now and
//! then; a signal only makes it look sooner.

use postern_entity::{ApiKeyId, ProjectId, SessionId, TeamId, UserId};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{
    self, Receiver, Sender,
    error::{RecvError, TryRecvError},
};

/// How many signals a slow listener may fall behind before it is told that it missed some.
const BUFFER: usize = 1024;

/// What happened. Travels between processes of neighbouring versions: a kind that one does not know counts as missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Signal {
    /// Jobs were enqueued or made ready.
    Jobs,
    /// Events were written and wait for their position.
    EventsWritten,
    /// The log reaches up to this position now.
    LogAdvanced {
        /// The newest position.
        position: i64,
    },
    /// Config or keys of a project changed: forget what is cached.
    ProjectChanged {
        /// Which.
        project_id: ProjectId,
    },
    /// A session was revoked.
    SessionRevoked {
        /// Which.
        session_id: SessionId,
    },
    /// All sessions of a user ended, or the user was deleted.
    UserSignedOut {
        /// Who.
        user_id: UserId,
    },
    /// An API key was revoked.
    ApiKeyRevoked {
        /// Which.
        api_key_id: ApiKeyId,
    },
    /// Somebody is in a team no more.
    MemberRemoved {
        /// Which.
        team_id: TeamId,
        /// Who.
        user_id: UserId,
    },
    /// A team was deleted, with its API keys.
    TeamDeleted {
        /// Which.
        team_id: TeamId,
    },
    /// Signals were lost, nobody knows which: what was kept may be outdated, and whoever waits should look.
    #[serde(other)]
    Missed,
}

/// Tells and hears signals. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Everything, from wherever.
    heard: Sender<Signal>,
    /// What happened in this process, for the bus to carry on.
    told: Sender<Signal>,
}

impl Default for Signals {
    fn default() -> Self {
        Self { heard: broadcast::channel(BUFFER).0, told: broadcast::channel(BUFFER).0 }
    }
}

impl Signals {
    /// Tells what happened in this process to everybody who listens right now, here and over the bus.
    pub fn send(&self, signal: Signal) {
        // No listener is no failure: nobody waits, and in the embedded shape there is no bus.
        drop(self.told.send(signal.clone()));
        self.hear(signal);
    }

    /// The same for several.
    pub(crate) fn send_all(&self, raised: Raised) {
        for signal in raised.0 {
            self.send(signal);
        }
    }

    /// Passes on what another process told.
    pub fn hear(&self, signal: Signal) {
        drop(self.heard.send(signal));
    }

    /// Listens from now on.
    #[must_use]
    pub fn subscribe(&self) -> Listener {
        Listener(self.heard.subscribe())
    }

    /// Listens from now on to what happens in this process: for the bus that carries it to the others.
    #[must_use]
    pub fn told_here(&self) -> Listener {
        Listener(self.told.subscribe())
    }
}

/// Signals to be told later, each once, in the order in which they were raised first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Raised(Vec<Signal>);

impl Raised {
    /// One more.
    pub(crate) fn raise(&mut self, signal: Signal) {
        if !self.0.contains(&signal) {
            self.0.push(signal);
        }
    }

    /// All of these.
    pub(crate) fn extend<'a>(&mut self, others: impl IntoIterator<Item = &'a Self>) {
        others.into_iter().flat_map(|raised| &raised.0).for_each(|signal| self.raise(signal.clone()));
    }
}

/// Hears signals. One that falls too far behind hears [`Signal::Missed`] in the place of those it missed.
#[derive(Debug)]
pub struct Listener(Receiver<Signal>);

impl Listener {
    /// The next signal, when it comes. Safe to drop while it waits. Waits for ever when the process ends.
    #[crate::boxed]
    pub async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Ok(signal) => signal,
            Err(RecvError::Lagged(_)) => Signal::Missed,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// The next signal, if one is there.
    pub fn try_next(&mut self) -> Option<Signal> {
        match self.0.try_recv() {
            Ok(signal) => Some(signal),
            Err(TryRecvError::Lagged(_)) => Some(Signal::Missed),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }

    /// Waits for a signal that `wanted` names, or that some were missed.
    pub async fn hears(&mut self, wanted: impl Fn(&Signal) -> bool) {
        loop {
            let signal = self.next().await;
            if signal == Signal::Missed || wanted(&signal) {
                return;
            }
        }
    }

    /// Passes over what was told up to now.
    pub fn skip(&mut self) {
        self.0 = self.0.resubscribe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_happens_here_goes_on_the_bus_and_what_comes_from_it_does_not_go_back() {
        let signals = Signals::default();
        let (mut here, mut bus) = (signals.subscribe(), signals.told_here());
        signals.send(Signal::Jobs);
        signals.hear(Signal::EventsWritten);
        assert_eq!((here.next().await, here.next().await), (Signal::Jobs, Signal::EventsWritten));
        assert_eq!((bus.next().await, bus.try_next()), (Signal::Jobs, None));
    }

    #[tokio::test]
    async fn a_listener_that_falls_behind_is_told_so() {
        let signals = Signals::default();
        let mut listener = signals.subscribe();
        for _ in 0..=BUFFER {
            signals.send(Signal::Jobs);
        }
        assert_eq!(listener.try_next(), Some(Signal::Missed));
        listener.skip();
        assert_eq!(listener.try_next(), None);
    }

    #[test]
    fn a_kind_of_a_newer_version_counts_as_missed() {
        for signal in [Signal::Jobs, Signal::LogAdvanced { position: 3 }, Signal::Missed] {
            let text = serde_json::to_string(&signal).unwrap();
            assert_eq!(serde_json::from_str::<Signal>(&text).unwrap(), signal);
        }
        assert_eq!(serde_json::from_str::<Signal>(r#"{"kind": "moon_rose"}"#).unwrap(), Signal::Missed);
    }
}
