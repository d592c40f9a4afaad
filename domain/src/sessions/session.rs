//! Sessions: listing and ending them, and minting access tokens from their refresh tokens. A refresh token stays
//! the same for the life of its session, so refreshes never race each other.

use std::net::IpAddr;

use postern_entity::session;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    activity::{self, ClientInfo},
    store,
    tokens::{self, Subject, access_token_expired},
};
use crate::{
    Actor, Code, Deps, Level, ProjectId, SessionId, Timestamp, UserId, api_keys,
    db::Tx,
    error::{Failure, Result, refuse},
    events::{self, EventKind, NewEvent},
    identity::require_own_user,
    random::hash_token,
    signal::Signal,
    users,
};

/// Longer texts are no refresh tokens of ours.
const MAX_TOKEN_BYTES: usize = 256;
/// How many sessions of a user are shown: the newest ones.
const MAX_LISTED: u64 = 1_000;
/// Rows per statement where a user has many sessions.
const BATCH: usize = 500;
/// How long an expired session is still listed.
const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;
/// How many expired sessions one pruning removes.
const PRUNE_BATCH: u64 = 100;

/// A session as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The session; `refresh_token_id` in access tokens.
    pub id: SessionId,
    /// Who is signed in.
    pub user_id: UserId,
    /// Sign-in.
    pub created_at: Timestamp,
    /// Last minting of an access token.
    pub last_used_at: Timestamp,
    /// From then on it is over.
    pub expires_at: Timestamp,
    /// Made by an administrator to act as the user.
    pub is_impersonation: bool,
    /// The caller's own access token comes from it.
    pub is_current: bool,
    /// Address of the last use by a browser.
    pub last_used_ip: Option<IpAddr>,
    /// User agent of the last use by a browser.
    pub last_used_user_agent: Option<String>,
    /// Country of that use, as ISO 3166-1 alpha-2, where a proxy tells it.
    pub last_used_country: Option<String>,
}

/// A fresh access token.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// Whose.
    pub user_id: UserId,
    /// The session it comes from.
    pub session_id: SessionId,
    /// Good for minutes.
    pub access_token: SecretString,
}

/// Mints an access token from a refresh token, as often as anybody likes.
///
/// # Errors
/// `REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED`.
#[crate::boxed]
pub async fn refresh(
    deps: &Deps,
    project_id: &ProjectId,
    refresh_token: &SecretString,
    client: &ClientInfo,
) -> Result<Refreshed> {
    let token = refresh_token.expose_secret();
    let row = if token.len() > MAX_TOKEN_BYTES {
        None
    } else {
        deps.sessions.by_token.get(deps.db.read(), hash_token(token)).await?
    };
    mint_from(deps, row.filter(|row| row.project_id == *project_id), client).await
}

/// The session of a refresh token, if it has not ended, whosever it is.
pub(crate) async fn of_token(
    deps: &Deps,
    project_id: &ProjectId,
    refresh_token: &SecretString,
) -> Result<Option<LiveSession>> {
    let token = refresh_token.expose_secret();
    if token.len() > MAX_TOKEN_BYTES {
        return Ok(None);
    }
    let row = deps.sessions.by_token.get(deps.db.read(), hash_token(token)).await?;
    let row = row.filter(|row| row.project_id == *project_id && deps.now() < row.expires_at);
    Ok(row.map(|row| LiveSession { id: row.id, user_id: row.user_id }))
}

/// A session that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LiveSession {
    pub(crate) id: SessionId,
    pub(crate) user_id: UserId,
}

pub(super) async fn mint_from(deps: &Deps, row: Option<session::Model>, client: &ClientInfo) -> Result<Refreshed> {
    let ended = || Failure::new(Code::RefreshTokenNotFoundOrExpired, "There is no such session, or it has ended.");
    let Some(row) = row.filter(|row| deps.now() < row.expires_at) else { return refuse(ended()) };
    let Some(user) = users::find(deps, &row.project_id, row.user_id).await? else { return refuse(ended()) };
    let access_token = tokens::mint(deps, &Subject::new(&user, row.id)).await?.into();
    activity::note(deps, row.id, row.user_id, client).await;
    Ok(Refreshed { user_id: row.user_id, session_id: row.id, access_token })
}

/// The sessions of a user, newest first, expired ones included. Those of impersonation are shown to administrators only.
///
/// # Errors
/// Clients: `CANNOT_GET_OWN_USER_WITHOUT_USER`; `FORBIDDEN` unless they ask for their own, and for API keys.
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor, user_id: UserId) -> Result<Vec<Session>> {
    api_keys::require_no_key(actor)?;
    if !actor.is_server() && require_own_user(actor)?.id != user_id {
        return refuse(Failure::forbidden("A user can list its own sessions only."));
    }
    let all = actor.level == Level::Admin;
    let rows = store::of_user(deps.db.read(), &actor.project_id, user_id, all, MAX_LISTED).await?;
    Ok(rows.into_iter().map(|row| shown(deps, actor, row)).collect())
}

fn shown(deps: &Deps, actor: &Actor, row: session::Model) -> Session {
    let unwritten = deps.sessions.activity.of(row.id);
    let last_used_at = unwritten.as_ref().map_or(row.last_used_at, |stamp| stamp.at.max(row.last_used_at));
    let (ip, agent, country) = match unwritten.and_then(|stamp| stamp.browser) {
        Some(browser) => (Some(browser.ip), Some(browser.agent), browser.country),
        None => (row.last_used_ip, row.last_used_user_agent, row.last_used_country),
    };
    Session {
        id: row.id,
        user_id: row.user_id,
        created_at: row.created_at,
        last_used_at,
        expires_at: row.expires_at,
        is_impersonation: row.is_impersonation,
        is_current: actor.user.as_ref().is_some_and(|user| user.session_id == row.id),
        last_used_ip: ip.and_then(|ip| ip.parse().ok()),
        last_used_user_agent: agent,
        last_used_country: country,
    }
}

/// Ends another session than the caller's own.
///
/// # Errors
/// `NOT_FOUND`, also when it is somebody else's and the caller is a client; `CANNOT_DELETE_CURRENT_SESSION`.
#[crate::boxed]
pub async fn revoke(deps: &Deps, actor: &Actor, id: SessionId) -> Result<()> {
    deps.mutate(actor, "sessions.revoke", |tx| async move {
        let row = store::find(&*tx, &actor.project_id, id).await?;
        let Some(row) = row.filter(|row| actor.is_server() || actor.is_user(row.user_id)) else {
            return refuse(Failure::not_found("There is no such session."));
        };
        if actor.user.as_ref().is_some_and(|user| user.session_id == id) {
            return refuse(Failure::new(
                Code::CannotDeleteCurrentSession,
                "This is the session you are using: sign out instead.",
            ));
        }
        if end_in(deps, &tx, &actor.project_id, row.user_id, &[id]).await? == 0 {
            return refuse(Failure::not_found("There is no such session."));
        }
        Ok(())
    })
    .await
}

/// Ends the caller's own session.
///
/// # Errors
/// `ACCESS_TOKEN_EXPIRED` without a user; `REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED` when it has ended already.
#[crate::boxed]
pub async fn sign_out(deps: &Deps, actor: &Actor) -> Result<()> {
    let Some(user) = &actor.user else { return refuse(access_token_expired(None)) };
    deps.mutate(actor, "sessions.sign_out", |tx| async move {
        if end_in(deps, &tx, &actor.project_id, user.id, &[user.session_id]).await? == 0 {
            return refuse(Failure::new(Code::RefreshTokenNotFoundOrExpired, "This session has ended already."));
        }
        Ok(())
    })
    .await
}

/// Ends all sessions of a user, the caller's own included. Answers how many there were.
///
/// # Errors
/// Clients: `CANNOT_GET_OWN_USER_WITHOUT_USER`; `FORBIDDEN` unless they end their own. Servers: `USER_NOT_FOUND`.
#[crate::boxed]
pub async fn revoke_all(deps: &Deps, actor: &Actor, user_id: UserId) -> Result<u64> {
    if !actor.is_server() && require_own_user(actor)?.id != user_id {
        return refuse(Failure::forbidden("A user can end its own sessions only."));
    }
    deps.mutate(actor, "sessions.revoke_all", |tx| async move {
        if !users::lock_in(&tx, &actor.project_id, user_id).await? {
            return refuse(users::not_found());
        }
        end_all_in(deps, &tx, &actor.project_id, user_id, None).await
    })
    .await
}

/// Ends all sessions of a user that the caller holds, except perhaps one, in the caller's transaction. Answers how many.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn end_all_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    except: Option<SessionId>,
) -> Result<u64> {
    let mut ids = store::lock_of_user(tx, project_id, user_id).await?;
    ids.retain(|id| Some(*id) != except);
    let ended = end_in(deps, tx, project_id, user_id, &ids).await?;
    if except.is_none() {
        tx.raise(Signal::UserSignedOut { user_id });
    }
    Ok(ended)
}

/// The session of the user that a refresh token belongs to.
pub(super) async fn of_token_in(
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    refresh_token: &SecretString,
) -> Result<Option<SessionId>> {
    let token = refresh_token.expose_secret();
    if token.len() > MAX_TOKEN_BYTES {
        return Ok(None);
    }
    let row = store::by_token_hashes(&**tx, &[hash_token(token)]).await?.pop().map(|(_, row)| row);
    Ok(row.filter(|row| row.user_id == user_id && row.project_id == *project_id).map(|row| row.id))
}

async fn end_in(deps: &Deps, tx: &Tx, project_id: &ProjectId, user_id: UserId, ids: &[SessionId]) -> Result<u64> {
    let mut ended = 0;
    for ids in ids.chunks(BATCH) {
        let deleted = store::delete(tx, project_id, ids.iter().copied()).await?;
        if deleted == 0 {
            continue;
        }
        ended += deleted;
        let revoked = ids.iter().map(|id| event(project_id, EventKind::SessionRevoked, *id, user_id));
        events::record_all(deps, tx, revoked).await?;
        for session_id in ids {
            tx.raise(Signal::SessionRevoked { session_id: *session_id });
        }
    }
    Ok(ended)
}

pub(super) fn event(project_id: &ProjectId, kind: EventKind, id: SessionId, user_id: UserId) -> NewEvent {
    NewEvent {
        project_id: project_id.clone(),
        kind,
        user_id: Some(user_id),
        team_id: None,
        payload: json!({ "id": id, "user_id": user_id }),
    }
}

/// Removes some sessions that expired long ago. Answers whether more may be left.
pub(super) async fn prune(deps: &Deps) -> Result<bool> {
    let before = deps.now().plus_seconds(-KEPT_SECONDS);
    let removed = deps.db.write(|tx| async move { store::delete_expired(&tx, before, PRUNE_BATCH).await }).await?;
    Ok(removed == PRUNE_BATCH)
}

#[cfg(test)]
mod tests;
