//! Live connections and the sessions they hang on. A socket or stream outlives its access token, but not its session, user,
//! key or ownership of the project: those are looked at again when this process hears that one of them changed, and every few seconds anyway.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use postern_domain::{
    Actor, ApiKeyId, Deps, ProjectId, SessionId, TeamId, UserId,
    running_time::within,
    sessions,
    signal::{Listener, Signal},
};
use tokio_util::sync::CancellationToken;

use super::caller::Caller;

/// How often every connection is looked at. Ended sessions must be noticed within 10 s without any signal.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a look may take: a connection to the database may be dead without a word, and nobody else looks.
const LOOK_FOR: Duration = Duration::from_secs(10);
/// How many sessions one question to the domain names.
const BATCH: usize = 500;

/// The live connections of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Live(Arc<Connections>);

struct Connections {
    deps: Deps,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next_id: u64,
    watched: HashMap<u64, Watched>,
}

#[derive(Clone)]
struct Watched {
    caller: Caller,
    actor: Actor,
    /// Callers of one key are looked at together.
    key: [u8; 32],
    lost: CancellationToken,
}

impl Live {
    /// Begins to look after connections; ends when the last clone is dropped.
    pub(crate) fn new(deps: Deps) -> Self {
        let signals = deps.db.signals().subscribe();
        let connections = Arc::new(Connections { deps, open: Mutex::default() });
        tokio::spawn(look_after(Arc::downgrade(&connections), signals));
        Self(connections)
    }

    /// Resolves when the session, user, key or ownership of `caller` is gone. A caller without any is never gone.
    pub(crate) async fn gone(&self, caller: &Caller) {
        let Some(actor) = caller.actor() else { return std::future::pending().await };
        let lost = CancellationToken::new();
        let watched =
            Watched { caller: caller.clone(), actor: actor.clone(), key: caller.key_fingerprint(), lost: lost.clone() };
        let _entry = Entry::new(&self.0, watched);
        lost.cancelled().await;
    }
}

/// A connection's place in the list, until it is dropped.
struct Entry<'a> {
    connections: &'a Connections,
    id: u64,
}

impl<'a> Entry<'a> {
    fn new(connections: &'a Connections, watched: Watched) -> Self {
        let mut open = connections.lock();
        let id = open.next_id;
        open.next_id += 1;
        open.watched.insert(id, watched);
        Self { connections, id }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.connections.lock().watched.remove(&self.id);
    }
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chosen(&self, concerns: impl Fn(&Watched) -> bool) -> Vec<Watched> {
        self.lock().watched.values().filter(|watched| concerns(watched)).cloned().collect()
    }

    /// Looks at these connections, and ends those whose session, user, key or ownership is gone.
    async fn look_at(&self, watched: Vec<Watched>) -> postern_domain::Result<()> {
        let mut by_session: HashMap<SessionId, Vec<&Watched>> = HashMap::new();
        for one in &watched {
            for session_id in one.caller.sessions() {
                by_session.entry(session_id).or_default().push(one);
            }
        }
        let session_ids: Vec<_> = by_session.keys().copied().collect();
        for batch in session_ids.chunks(BATCH) {
            let alive: HashSet<_> = sessions::alive_among(&self.deps, batch).await?;
            let dead = batch.iter().filter(|id| !alive.contains(id)).filter_map(|id| by_session.get(id));
            dead.flatten().for_each(|one| one.lost.cancel());
        }
        let mut by_key: HashMap<_, Vec<&Watched>> = HashMap::new();
        for one in watched.iter().filter(|one| !one.lost.is_cancelled()) {
            by_key.entry(one.key).or_default().push(one);
        }
        // One that cannot be judged now costs the others nothing.
        let mut outcome = Ok(());
        for sharing in by_key.values() {
            let Some(one) = sharing.first() else { continue };
            match one.caller.key_is_good(&self.deps).await {
                Ok(true) => {}
                Ok(false) => sharing.iter().for_each(|one| one.lost.cancel()),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }
}

/// Whom a signal concerns.
enum Concerned {
    Nobody,
    Session(SessionId),
    User(UserId),
    Team(TeamId),
    ApiKey(ApiKeyId),
    Project(ProjectId),
    Everybody,
}

impl Concerned {
    fn by(signal: Signal) -> Self {
        match signal {
            Signal::SessionRevoked { session_id } => Self::Session(session_id),
            Signal::UserSignedOut { user_id } | Signal::MemberRemoved { user_id, .. } => Self::User(user_id),
            Signal::TeamDeleted { team_id } => Self::Team(team_id),
            Signal::ApiKeyRevoked { api_key_id } => Self::ApiKey(api_key_id),
            Signal::ProjectChanged { project_id } => Self::Project(project_id),
            Signal::Jobs | Signal::EventsWritten | Signal::LogAdvanced { .. } => Self::Nobody,
            // Any of those that were missed could have concerned anybody.
            Signal::Missed => Self::Everybody,
        }
    }

    fn includes(&self, Watched { caller, actor, .. }: &Watched) -> bool {
        match self {
            Self::Nobody => false,
            Self::Session(session_id) => caller.sessions().any(|session| session == *session_id),
            Self::User(user_id) => actor.is_user(*user_id) || caller.owner().is_some_and(|owner| owner.id == *user_id),
            // It may be the one that owns the project of the others.
            Self::Team(team_id) => actor.team_id() == Some(*team_id) || caller.owner().is_some(),
            Self::ApiKey(api_key_id) => actor.key.is_some_and(|key| key.id == *api_key_id),
            Self::Project(project_id) => actor.project_id == *project_id,
            Self::Everybody => true,
        }
    }
}

async fn look_after(connections: Weak<Connections>, mut signals: Listener) {
    let mut everybody = tokio::time::interval(LOOK_EVERY);
    everybody.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let concerned = tokio::select! {
            _ = everybody.tick() => Concerned::Everybody,
            signal = signals.next() => Concerned::by(signal),
        };
        let Some(connections) = connections.upgrade() else { return };
        let watched = match concerned {
            Concerned::Nobody => continue,
            concerned => connections.chosen(|watched| concerned.includes(watched)),
        };
        // The database may be away: connections stay, and are looked at again in a moment.
        match within(LOOK_FOR, connections.look_at(watched)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(%error, "live connections could not be looked at"),
            None => tracing::warn!("looking at live connections took too long and was cut off"),
        }
    }
}
