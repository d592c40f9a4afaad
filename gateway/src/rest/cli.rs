//! `/auth/cli`: logins of programs without a browser.

use postern_domain::{
    Failure,
    cli_logins::{self, CliSession, Progress},
};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{
    call::{Call, OPEN},
    input::{OneOf, Words, input},
    reply::{Answer, Reply, iso},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Sign-in", summary, OPEN);
    Routes::new()
        .post("/auth/cli", start, about("Begins the login of a program").body::<Start>())
        .post("/auth/cli/poll", poll, about("Says how far the login of a program is").body::<Poll>())
        .post("/auth/cli/complete", complete, about("Completes the login of a program").body::<Complete>())
}

input! {
    struct Start { expires_in_millis: Option<i64>, anon_refresh_token: Option<String> }
}

input! {
    struct Poll { polling_code: String }
}

/// What a browser does with a login.
#[derive(Debug)]
struct Modes;

impl Words for Modes {
    const WORDS: &'static [&'static str] = &["complete", "check", "claim-anon-session"];
}

input! {
    struct Complete { login_code: String, mode: Option<OneOf<Modes>>, refresh_token: Option<String> }
}

/// A login that was begun.
#[derive(Debug, Serialize, JsonSchema)]
struct StartedView {
    polling_code: String,
    login_code: String,
    /// RFC 3339.
    expires_at: String,
}

/// How far a login is: `waiting`, `expired`, `used`, or once `success` with the token.
#[derive(Debug, Serialize, JsonSchema)]
struct ProgressView {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// What a browser gets of a login, by its mode.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Completed {
    /// `check`: `anonymous` or `none`.
    State { cli_session_state: &'static str },
    /// `claim-anon-session`.
    Session { access_token: String, refresh_token: String },
    /// `complete`.
    Done { success: bool },
}

async fn start(mut call: Call) -> Answer<StartedView> {
    let actor = call.actor(OPEN)?;
    let body: Start = call.optional_body()?;
    let anonymous = body.anon_refresh_token.map(Into::into);
    let started =
        cli_logins::start(&call.deps, &actor, body.expires_in_millis, anonymous.as_ref(), &call.client).await?;
    Ok(Reply::ok(StartedView {
        polling_code: started.polling_code.expose_secret().to_owned(),
        login_code: started.login_code.expose_secret().to_owned(),
        expires_at: iso(started.expires_at),
    }))
}

async fn poll(mut call: Call) -> Answer<ProgressView> {
    let actor = call.actor(OPEN)?;
    let body: Poll = call.body()?;
    let status = |status| Reply::ok(ProgressView { status, refresh_token: None });
    Ok(match cli_logins::poll(&call.deps, &actor, &body.polling_code, &call.client).await? {
        Progress::Waiting => status("waiting"),
        Progress::Expired => status("expired"),
        Progress::Used => status("used"),
        Progress::Success(token) => {
            Reply::created(ProgressView { status: "success", refresh_token: Some(token.expose_secret().to_owned()) })
        }
    })
}

async fn complete(mut call: Call) -> Answer<Completed> {
    let actor = call.actor(OPEN)?;
    let body: Complete = call.body()?;
    let (deps, login_code) = (&call.deps, body.login_code.as_str());
    let completed = match body.mode.map_or("complete", |mode| mode.word) {
        "check" => Completed::State {
            cli_session_state: match cli_logins::inspect(deps, &actor, login_code).await? {
                CliSession::Anonymous => "anonymous",
                CliSession::None => "none",
            },
        },
        "claim-anon-session" => {
            let session = cli_logins::claim(deps, &actor, login_code, &call.client).await?;
            Completed::Session {
                access_token: session.access_token.expose_secret().to_owned(),
                refresh_token: session.refresh_token.expose_secret().to_owned(),
            }
        }
        "complete" => {
            let token = body.refresh_token.map(Into::into);
            cli_logins::complete(deps, &actor, login_code, token.as_ref(), &call.client).await?;
            Completed::Done { success: true }
        }
        mode => return Err(Failure::schema(format!("body.mode {mode} is unknown")).into()),
    };
    Ok(Reply::ok(completed))
}
