//! When a session was last used and a user last active: noted in memory with every access token that is minted, written
//! within ten seconds. The only data that a crash may lose (design §4.2).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use postern_entity::{session, user};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Value, sea_query::LockType,
};

use crate::{
    Deps, SessionId, Timestamp, UserId,
    db::{Backend, statement},
    error::{Error, Result},
};

/// How often [`flush_activity`] is to be called.
pub const ACTIVITY_FLUSH_INTERVAL: Duration = Duration::from_secs(5);
/// Rows written in one transaction (design §1).
const BATCH: usize = 100;
/// With as many stamps in memory, whoever adds one writes some.
const MAX_PENDING: usize = 50_000;
/// The longest user agent that is kept, in characters.
const MAX_USER_AGENT_CHARS: usize = 512;

/// From where a request came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// Address of the client, as far as the proxies in between are trusted.
    pub ip: Option<IpAddr>,
    /// Header `User-Agent`.
    pub user_agent: Option<String>,
    /// Country of the address, as ISO 3166-1 alpha-2, where a trusted proxy tells it.
    pub country: Option<String>,
}

/// The use of a session by somebody's browser.
#[derive(Clone, Debug)]
pub(super) struct Browser {
    pub(super) ip: String,
    pub(super) agent: String,
    pub(super) country: Option<String>,
}

impl ClientInfo {
    /// Where the client is, when it is somebody's browser and not a server acting for somebody.
    pub(super) fn of_browser(&self) -> Option<Browser> {
        // What every browser says since the nineties, and hardly a program that is none.
        let agent = self.shown_user_agent().filter(|agent| agent.starts_with("Mozilla/"))?;
        Some(Browser { ip: self.ip?.to_string(), agent, country: self.country.clone() })
    }

    /// The user agent in a form and length that can be kept.
    pub(crate) fn shown_user_agent(&self) -> Option<String> {
        let agent = self.user_agent.as_deref()?;
        Some(agent.chars().filter(|character| *character != '\0').take(MAX_USER_AGENT_CHARS).collect())
    }

    /// The network of the client, for counting and knowing again. A customer is given a whole /64 of IPv6 (RFC 6177), so
    /// that counts as one.
    #[must_use]
    pub fn network(&self) -> Option<String> {
        self.ip.map(network_of)
    }
}

/// The network of an address, likewise.
pub(super) fn network_of(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The last use of a session that is not written yet.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    user_id: UserId,
    pub(super) at: Timestamp,
    pub(super) browser: Option<Browser>,
}

/// What is not written yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<Mutex<HashMap<SessionId, Stamp>>>);

impl Activity {
    fn pending(&self) -> MutexGuard<'_, HashMap<SessionId, Stamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, session_id: SessionId) -> Option<Stamp> {
        self.pending().get(&session_id).cloned()
    }

    fn add(&self, session_id: SessionId, stamp: Stamp) -> usize {
        let mut pending = self.pending();
        match pending.get_mut(&session_id) {
            Some(earlier) => {
                earlier.at = earlier.at.max(stamp.at);
                earlier.browser = stamp.browser.or(earlier.browser.take());
            }
            None => {
                pending.insert(session_id, stamp);
            }
        }
        pending.len()
    }

    fn forget(&self, session_id: SessionId) {
        self.pending().remove(&session_id);
    }

    fn take(&self, count: usize) -> BTreeMap<SessionId, Stamp> {
        let mut pending = self.pending();
        let taken: Vec<_> = pending.keys().take(count).copied().collect();
        taken.into_iter().filter_map(|id| pending.remove(&id).map(|stamp| (id, stamp))).collect()
    }

    /// Gives back what could not be written; what was noted since is newer.
    fn give_back(&self, stamps: BTreeMap<SessionId, Stamp>) {
        let mut pending = self.pending();
        for (id, stamp) in stamps {
            let newer = pending.entry(id).or_insert_with(|| stamp.clone());
            newer.browser = newer.browser.take().or(stamp.browser);
        }
    }
}

/// Notes that a session was used now.
pub(super) async fn note(deps: &Deps, session_id: SessionId, user_id: UserId, client: &ClientInfo) {
    let stamp = Stamp { user_id, at: deps.now(), browser: client.of_browser() };
    let pending = deps.sessions.activity.add(session_id, stamp);
    if pending > MAX_PENDING
        && let Err(error) = write_some(deps).await
    {
        // Nobody is refused an access token for this.
        tracing::warn!(error = &error as &dyn std::error::Error, pending, "uses of sessions could not be written");
        deps.sessions.activity.forget(session_id);
    }
}

/// Writes what was noted so far. To be called every [`ACTIVITY_FLUSH_INTERVAL`] and once at the end of the process. What
/// cannot be written stays noted. Answers how many sessions were written.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn flush_activity(deps: &Deps) -> Result<usize> {
    // What is noted meanwhile is for the next time.
    let mut left = deps.sessions.activity.pending().len();
    let mut written = 0;
    while left > 0 {
        let count = write_some(deps).await?;
        if count == 0 {
            break;
        }
        written += count;
        left = left.saturating_sub(count);
    }
    Ok(written)
}

async fn write_some(deps: &Deps) -> Result<usize> {
    let stamps = deps.sessions.activity.take(BATCH);
    if stamps.is_empty() {
        return Ok(0);
    }
    let batch = &stamps;
    match deps.db.write(|tx| async move { write(&tx, tx.backend(), batch).await }).await {
        Ok(()) => Ok(stamps.len()),
        Err(error) => {
            deps.sessions.activity.give_back(stamps);
            Err(error)
        }
    }
}

async fn write(tx: &DatabaseTransaction, backend: Backend, stamps: &BTreeMap<SessionId, Stamp>) -> Result<()> {
    let users: BTreeSet<_> = stamps.values().map(|stamp| stamp.user_id).collect();
    if backend == Backend::Postgres {
        // In key order, users before sessions: as everybody does who changes both.
        let mut select =
            user::Entity::find().select_only().column(user::Column::Id).filter(user::Column::Id.is_in(users));
        QueryTrait::query(&mut select).lock(LockType::NoKeyUpdate);
        select.order_by_asc(user::Column::Id).into_tuple::<UserId>().all(tx).await?;
        let ids = stamps.keys().copied();
        let mut select =
            session::Entity::find().select_only().column(session::Column::Id).filter(session::Column::Id.is_in(ids));
        QueryTrait::query(&mut select).lock(LockType::NoKeyUpdate);
        select.order_by_asc(session::Column::Id).into_tuple::<SessionId>().all(tx).await?;
    }
    let (mut rows, mut values) = (Vec::new(), Vec::<Value>::new());
    for (id, stamp) in stamps {
        let browser = stamp.browser.clone();
        let (ip, agent) = browser.as_ref().map(|browser| (browser.ip.clone(), browser.agent.clone())).unzip();
        let country = browser.and_then(|browser| browser.country);
        let at = values.len();
        rows.push(format!("(${}, ${}, ${}, ${}, ${}, ${})", at + 1, at + 2, at + 3, at + 4, at + 5, at + 6));
        values.extend([(*id).into(), stamp.user_id.into(), stamp.at.into(), ip.into(), agent.into(), country.into()]);
    }
    let stamps = format!("WITH stamp(id, user_id, at, ip, agent, country) AS (VALUES {})", rows.join(", "));
    let user_sql = format!(
        r#"{stamps}, latest AS (SELECT user_id, max(at) AS at FROM stamp GROUP BY user_id)
        UPDATE "user" SET last_active_at = latest.at FROM latest
        WHERE "user".id = latest.user_id AND "user".last_active_at < latest.at"#
    );
    let session_sql = format!(
        "{stamps}
        UPDATE session SET last_used_at = stamp.at, last_used_ip = coalesce(stamp.ip, last_used_ip),
            last_used_user_agent = coalesce(stamp.agent, last_used_user_agent),
            last_used_country = CASE WHEN stamp.ip IS NULL THEN last_used_country ELSE stamp.country END
        FROM stamp WHERE session.id = stamp.id AND session.last_used_at <= stamp.at"
    );
    for sql in [user_sql, session_sql] {
        tx.execute_raw(statement(tx, &sql, values.clone())).await.map_err(Error::from)?;
    }
    Ok(())
}
