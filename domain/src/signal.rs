//! Wake-ups: what just became durable, told to whoever waits for it. A signal may be lost (a process died, Redis is gone),
//! so every listener also looks at the database now and then; a signal only makes it look sooner.

use tokio::sync::broadcast;

use postern_entity::{ProjectId, SessionId, UserId};

/// How many signals a slow listener may fall behind before it is told that it missed some.
const BUFFER: usize = 1024;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// Sends and receives signals within this process.
#[derive(Clone, Debug)]
pub struct Signals(broadcast::Sender<Signal>);

impl Default for Signals {
    fn default() -> Self {
        Self(broadcast::channel(BUFFER).0)
    }
}

impl Signals {
    /// Tells everybody who listens right now.
    pub fn send(&self, signal: Signal) {
        // No listener is no failure: nobody waits.
        drop(self.0.send(signal));
    }

    /// Listens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Signal> {
        self.0.subscribe()
    }
}
