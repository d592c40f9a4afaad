//! `/auth/passkey/*`: passkeys.

use postern_domain::{
    passkeys::{self, Challenge},
    sessions::OneTimeCode,
};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;

use super::{
    call::{Call, OPEN},
    input::input,
    reply::{Answer, Reply},
    routes::{About, Routes},
    sign_in::NewTokens,
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Sign-in", summary, OPEN);
    Routes::new()
        .post(
            "/auth/passkey/initiate-passkey-registration",
            start_registration,
            about("Challenges the browser to make a passkey"),
        )
        .post("/auth/passkey/register", register, about("Registers a passkey").body::<Register>())
        .post(
            "/auth/passkey/initiate-passkey-authentication",
            start_sign_in,
            about("Challenges the browser to show a passkey"),
        )
        .post("/auth/passkey/sign-in", sign_in, about("Signs in by passkey").body::<SignIn>())
}

input! {
    /// `credential`: what `navigator.credentials.create()` answers, as JSON. `end_other_sessions` is ours.
    struct Register { credential: Value, code: String, end_other_sessions: Option<bool> }
}

input! {
    /// `authentication_response`: what `navigator.credentials.get()` answers, as JSON.
    struct SignIn { authentication_response: Value, code: String }
}

/// A challenge for the browser.
#[derive(Debug, Serialize, JsonSchema)]
struct ChallengeView {
    options_json: Value,
    code: String,
}

impl From<Challenge> for ChallengeView {
    fn from(challenge: Challenge) -> Self {
        Self { options_json: challenge.options, code: challenge.code.expose_secret().to_owned() }
    }
}

/// The passkey.
#[derive(Debug, Serialize, JsonSchema)]
struct Registered {
    /// Its id.
    user_handle: String,
}

async fn start_registration(mut call: Call) -> Answer<ChallengeView> {
    let actor = call.actor(OPEN)?;
    Ok(Reply::ok(passkeys::start_registration(&call.deps, &actor, &call.client).await?.into()))
}

async fn register(mut call: Call) -> Answer<Registered> {
    let actor = call.actor(OPEN)?;
    let body: Register = call.body()?;
    let code = OneTimeCode::parse(&body.code)?;
    let ends = body.end_other_sessions.unwrap_or_default();
    let user_handle = passkeys::register(&call.deps, &actor, &code, &body.credential, ends, &call.client).await?;
    Ok(Reply::ok(Registered { user_handle }))
}

async fn start_sign_in(mut call: Call) -> Answer<ChallengeView> {
    let actor = call.actor(OPEN)?;
    Ok(Reply::ok(passkeys::start_sign_in(&call.deps, &actor, &call.client).await?.into()))
}

async fn sign_in(mut call: Call) -> Answer<NewTokens> {
    let actor = call.actor(OPEN)?;
    let body: SignIn = call.body()?;
    let code = OneTimeCode::parse(&body.code)?;
    let signed_in = passkeys::sign_in(&call.deps, &actor, &code, &body.authentication_response, &call.client).await?;
    Ok(Reply::ok(signed_in.into()))
}
