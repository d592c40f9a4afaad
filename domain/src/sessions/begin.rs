//! Beginning sessions: at the end of every way in, and by servers that vouch for a user.

use postern_entity::session as session_row;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    activity::ClientInfo,
    session::{self, Refreshed},
    store,
    way::{Method, Way},
};
use crate::{
    Actor, Code, Deps, ProjectId, SessionId, UserId,
    db::Tx,
    error::{Failure, Result, refuse},
    events::{self, EventKind},
    random::{hash_token, random_token},
    settings::DEFAULT_SESSION_SECONDS,
    users,
};

/// The longest life of a session that a server asks for: 367 days.
pub const MAX_SESSION_MILLIS: i64 = 367 * 24 * 60 * 60 * 1000;

/// What somebody gets who signs in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub user_id: UserId,
    /// Whether the user was made by it, or became a regular one.
    pub is_new_user: bool,
    /// The session just begun.
    pub session_id: SessionId,
    /// Good until the session ends.
    pub refresh_token: SecretString,
    /// Good for minutes.
    pub access_token: SecretString,
}

/// A session just begun, in the transaction that begins it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(super) session_id: SessionId,
    pub(super) user_id: UserId,
    #[serde(default)]
    pub(super) is_new_user: bool,
    refresh_token: String,
}

/// A session that a server begins for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// For whom.
    pub user_id: UserId,
    /// Its life, at most [`MAX_SESSION_MILLIS`]; 365 days when not given.
    pub expires_in_millis: Option<i64>,
    /// Not shown to the user.
    pub is_impersonation: bool,
}

/// Begins a session for a user, for servers.
///
/// # Errors
/// `FORBIDDEN` for clients; `SCHEMA_ERROR`; `USER_ID_DOES_NOT_EXIST`.
#[crate::boxed]
pub async fn create(deps: &Deps, actor: &Actor, new: NewSession, client: &ClientInfo) -> Result<SignedIn> {
    if !actor.is_server() {
        return refuse(Failure::forbidden("Only servers can begin sessions for users."));
    }
    let millis = new.expires_in_millis.unwrap_or(DEFAULT_SESSION_SECONDS * 1000);
    if !(1..=MAX_SESSION_MILLIS).contains(&millis) {
        return refuse(Failure::schema(format!("expires_in_millis must be between 1 and {MAX_SESSION_MILLIS}")));
    }
    let begun = deps
        .mutate(actor, "sessions.create", |tx| async move {
            if !users::lock_in(&tx, &actor.project_id, new.user_id).await? {
                return refuse(user_id_does_not_exist(new.user_id));
            }
            let beginning = Beginning {
                way: &Way::new(actor, Method::Server, client),
                user_id: new.user_id,
                life_millis: millis,
                is_impersonation: new.is_impersonation,
                is_new_user: false,
            };
            begin_in(deps, &tx, beginning).await
        })
        .await?;
    finish(deps, &actor.project_id, begun, client).await
}

pub(super) fn user_id_does_not_exist(user_id: UserId) -> Failure {
    Failure::new(Code::UserIdDoesNotExist, "There is no user with this id.").with(json!({ "user_id": user_id }))
}

/// A session that is to begin, of a user that the caller holds.
struct Beginning<'a> {
    way: &'a Way<'a>,
    user_id: UserId,
    life_millis: i64,
    is_impersonation: bool,
    is_new_user: bool,
}

async fn begin_in(deps: &Deps, tx: &Tx, beginning: Beginning<'_>) -> Result<Begun> {
    let Beginning { way, user_id, life_millis, is_impersonation, is_new_user } = beginning;
    let refresh_token = random_token()?;
    let (project_id, id, now) = (&way.actor.project_id, SessionId::random(), deps.now());
    let row = session_row::Model {
        id,
        project_id: project_id.clone(),
        user_id,
        token_hash: hash_token(&refresh_token),
        created_at: now,
        last_used_at: now,
        expires_at: now.plus_millis(life_millis),
        is_impersonation,
        // A server signs people in from where it stands.
        network: way.client.network().filter(|_| way.method != Method::Server),
        last_used_ip: None,
        last_used_user_agent: None,
        last_used_country: None,
    };
    store::insert(tx, row).await?;
    let begun = Begun { session_id: id, user_id, is_new_user, refresh_token };
    let told = if is_impersonation { way.impersonated(&begun) } else { way.arrived(&begun) };
    events::record_all(deps, tx, [session::event(project_id, EventKind::SessionCreated, id, user_id), told]).await?;
    Ok(begun)
}

/// Begins a session of a user that the caller holds, in the caller's transaction, with the life that sessions usually have.
pub(super) async fn sign_in_in(
    deps: &Deps,
    tx: &Tx,
    user_id: UserId,
    is_new_user: bool,
    way: &Way<'_>,
) -> Result<Begun> {
    let life_millis = DEFAULT_SESSION_SECONDS * 1000;
    begin_in(deps, tx, Beginning { way, user_id, life_millis, is_impersonation: false, is_new_user }).await
}

/// Goes on with a session that is handed over by its refresh token.
///
/// # Errors
/// Those of [`session::refresh`].
pub(crate) async fn take_over(
    deps: &Deps,
    project_id: &ProjectId,
    refresh_token: SecretString,
    client: &ClientInfo,
) -> Result<SignedIn> {
    let Refreshed { user_id, session_id, access_token } =
        session::refresh(deps, project_id, &refresh_token, client).await?;
    Ok(SignedIn { user_id, is_new_user: false, session_id, refresh_token, access_token })
}

/// Mints the first access token of a session once it is durable. The session is read again, since a repeated request may
/// come long after it ended.
pub(super) async fn finish(deps: &Deps, project_id: &ProjectId, begun: Begun, client: &ClientInfo) -> Result<SignedIn> {
    let row = store::find(deps.db.read(), project_id, begun.session_id).await?;
    let access_token = session::mint_from(deps, row, client).await?.access_token;
    Ok(SignedIn {
        user_id: begun.user_id,
        is_new_user: begun.is_new_user,
        session_id: begun.session_id,
        refresh_token: begun.refresh_token.into(),
        access_token,
    })
}
