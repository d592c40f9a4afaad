//! What still lives: users behind access tokens, asked about with every request, and sessions, asked about by GraphQL and
//! by live connections.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::future::Cache;
use postern_entity::{session, user};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};

use super::{store, tokens::access_token_expired};
use crate::{
    Actor, Deps, ProjectId, SessionId, UserId,
    db::Tx,
    error::{Result, refuse},
    signal::{Listener, Signal, Signals},
};

/// How many users are remembered.
const MAX_CACHED_USERS: u64 = 20_000;
/// How long, at most (design §6). What ends in this process is forgotten at once.
const LIFETIME: Duration = Duration::from_secs(5);

/// Users that were found lately, with their projects.
#[derive(Clone)]
pub(super) struct LiveUsers {
    found: Cache<UserId, ProjectId>,
    signals: Arc<Mutex<Listener>>,
    /// How many endings were heard of.
    endings: Arc<AtomicU64>,
}

impl LiveUsers {
    pub(super) fn new(signals: &Signals) -> Self {
        Self {
            found: Cache::builder().max_capacity(MAX_CACHED_USERS).time_to_live(LIFETIME).build(),
            signals: Arc::new(Mutex::new(signals.subscribe())),
            endings: Arc::default(),
        }
    }

    /// Forgets everybody who ended up to now.
    async fn catch_up(&self) {
        let mut ended = Vec::new();
        let mut missed_some = false;
        {
            let mut signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(signal) = signals.try_next() {
                match signal {
                    Signal::UserSignedOut { user_id } => ended.push(user_id),
                    Signal::Missed => missed_some = true,
                    _ => {}
                }
            }
            // Before forgetting, so that whoever remembers somebody meanwhile notices (see `exists`).
            if missed_some || !ended.is_empty() {
                self.endings.fetch_add(1, Ordering::SeqCst);
            }
        }
        if missed_some {
            self.found.invalidate_all();
        }
        for user_id in ended {
            self.found.invalidate(&user_id).await;
        }
    }

    async fn exists(&self, deps: &Deps, project_id: &ProjectId, user_id: UserId) -> Result<bool> {
        self.catch_up().await;
        if let Some(owner) = self.found.get(&user_id).await {
            return Ok(owner == *project_id);
        }
        let (endings, asked_at) = (self.endings.load(Ordering::SeqCst), Instant::now());
        let rows = user::Entity::find_by_id(user_id).filter(user::Column::ProjectId.eq(project_id.clone()));
        if rows.count(deps.db.read()).await? == 0 {
            return Ok(false);
        }
        self.found.insert(user_id, project_id.clone()).await;
        self.catch_up().await;
        if self.endings.load(Ordering::SeqCst) != endings || asked_at.elapsed() >= LIFETIME {
            // Somebody ended since the question was asked; perhaps this user, and perhaps before it was remembered. Or this
            // process stood still since, and what it was told is old.
            self.found.invalidate(&user_id).await;
        }
        Ok(true)
    }
}

/// Whether the project has this user; known for at most five seconds after it was deleted by another process.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn user_exists(deps: &Deps, project_id: &ProjectId, user_id: UserId) -> Result<bool> {
    deps.sessions.users.exists(deps, project_id, user_id).await
}

/// Whether the session lives: not revoked, not expired, its user still there. Asked of the database each time.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn is_alive(deps: &Deps, project_id: &ProjectId, session_id: SessionId) -> Result<bool> {
    // A session goes with its user.
    let life = deps.sessions.lives.get(deps.db.read(), session_id).await?;
    Ok(life.is_some_and(|(owner, expires_at)| owner == *project_id && deps.now() < expires_at))
}

/// Which of these sessions live, of whatever project: one statement for the many that live connections hang on.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn alive_among(deps: &Deps, session_ids: &[SessionId]) -> Result<HashSet<SessionId>> {
    let rows = session::Entity::find()
        .select_only()
        .column(session::Column::Id)
        .filter(session::Column::Id.is_in(session_ids.iter().copied()))
        .filter(session::Column::ExpiresAt.gt(deps.now()));
    Ok(rows.into_tuple::<SessionId>().all(deps.db.read()).await?.into_iter().collect())
}

/// Whether the session of a user who is held lives, as the transaction sees it, and is the user's own.
pub(crate) async fn is_own_and_alive_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    session_id: SessionId,
) -> Result<bool> {
    let row = store::find(&**tx, project_id, session_id).await?;
    Ok(row.is_some_and(|row| !row.is_impersonation && deps.now() < row.expires_at))
}

/// The session of the caller's access token lives, where what it does lasts longer than the token. For REST, which otherwise
/// takes a token until it expires.
///
/// # Errors
/// `ACCESS_TOKEN_EXPIRED`.
pub(crate) async fn require_live(deps: &Deps, actor: &Actor) -> Result<()> {
    match &actor.user {
        Some(user) if !is_alive(deps, &actor.project_id, user.session_id).await? => refuse(access_token_expired(None)),
        _ => Ok(()),
    }
}
