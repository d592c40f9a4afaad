//! `/auth/sessions`: what keeps people signed in.

use std::net::IpAddr;

use postern_domain::{
    Failure, SessionId, Timestamp, UserId,
    identity::UserRef,
    sessions::{self, NewSession, Session},
};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{
    call::{Call, OPEN, SERVER},
    input::{Empty, Ignored, input},
    reply::{Answer, List, Reply, Success, success},
    routes::{About, Routes},
};
use crate::identity::{both_families, either};

pub(super) fn routes() -> Routes {
    let about = |summary, allowed| About::new("Sessions", summary, allowed);
    Routes::new()
        .get("/auth/sessions", list, about("Lists the sessions of a user", OPEN).query::<ListQuery>())
        .post("/auth/sessions", create, about("Begins a session for a user", SERVER).body::<Create>())
        .delete("/auth/sessions/current", sign_out, about("Ends the session of the access token", OPEN))
        .post("/auth/sessions/current/refresh", refresh, about("Mints an access token", OPEN))
        .delete("/auth/sessions/{session_id}", revoke, about("Ends another session", OPEN).path::<SessionPath>())
}

input! {
    struct SessionPath { session_id: SessionId }
}

input! {
    struct ListQuery { user_id: UserRef }
}

input! {
    /// The official server client leaves the user out, though the reference asks for it; it decides nothing.
    #[expect(dead_code, reason = "accepted for clients that send it")]
    struct RevokeQuery { user_id: Option<UserRef> }
}

input! {
    struct Create { user_id: UserRef, expires_in_millis: Option<i64>, is_impersonation: Option<bool> }
}

/// A session on the wire.
#[derive(Debug, Serialize, JsonSchema)]
struct SessionItem {
    id: SessionId,
    user_id: UserId,
    created_at: Timestamp,
    last_used_at: Timestamp,
    is_impersonation: bool,
    is_current_session: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at_end_user_ip_info: Option<IpInfo>,
}

/// What is known of an address. Where it lies is known to proxies, which tell no more than the country.
#[derive(Debug, Serialize, JsonSchema)]
struct IpInfo {
    ip: IpAddr,
    #[serde(rename = "countryCode", skip_serializing_if = "Option::is_none")]
    country_code: Option<String>,
}

impl From<Session> for SessionItem {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            user_id: session.user_id,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            is_impersonation: session.is_impersonation,
            is_current_session: session.is_current,
            last_used_at_end_user_ip_info: session
                .last_used_ip
                .map(|ip| IpInfo { ip, country_code: session.last_used_country }),
        }
    }
}

/// A session as servers begin it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedSession")]
struct Created {
    refresh_token: String,
    access_token: String,
}

/// A fresh access token.
#[derive(Debug, Serialize, JsonSchema)]
struct AccessToken {
    access_token: String,
}

async fn list(mut call: Call) -> Answer<List<SessionItem>> {
    let actor = call.actor(OPEN)?;
    let (_, query, _) = call.read::<Empty, ListQuery, Ignored>()?;
    let sessions = sessions::list(&call.deps, &actor, query.user_id.resolve(&actor)?).await?;
    Ok(Reply::ok(List::whole(sessions.into_iter().map(SessionItem::from).collect())))
}

async fn create(mut call: Call) -> Answer<Created> {
    let actor = call.actor(SERVER)?;
    let body: Create = call.body()?;
    let new = NewSession {
        user_id: body.user_id.resolve(&actor)?,
        expires_in_millis: body.expires_in_millis,
        is_impersonation: body.is_impersonation.unwrap_or_default(),
    };
    let begun = sessions::create(&call.deps, &actor, new, &call.client).await?;
    Ok(Reply::ok(Created {
        refresh_token: begun.refresh_token.expose_secret().to_owned(),
        access_token: begun.access_token.expose_secret().to_owned(),
    }))
}

async fn sign_out(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    sessions::sign_out(&call.deps, &actor).await?;
    Ok(success())
}

async fn refresh(mut call: Call) -> Answer<AccessToken> {
    let actor = call.actor(OPEN)?;
    let Some(token) = either(&call.headers, both_families!("refresh-token")).map(|token| token.to_owned().into())
    else {
        return Err(Failure::schema("headers.x-stack-refresh-token is required").into());
    };
    let refreshed = sessions::refresh(&call.deps, &actor.project_id, &token, &call.client).await?;
    Ok(Reply::ok(AccessToken { access_token: refreshed.access_token.expose_secret().to_owned() }))
}

async fn revoke(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<SessionPath, RevokeQuery, Ignored>()?;
    sessions::revoke(&call.deps, &actor, path.session_id).await?;
    Ok(success())
}
