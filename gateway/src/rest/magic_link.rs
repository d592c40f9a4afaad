//! `/auth/otp/*`: signing in by a code that is mailed.

use postern_domain::sessions::{self, LinkTarget, OneTimeCode};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{
    call::{Call, OPEN},
    input::{StrictEmail, UrlText, input},
    reply::{Answer, Reply},
    routes::{About, Routes},
    sign_in::{BotPhase, NewTokens, challenge},
    verification::{CodeBody, CodeIsValid, VALID},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Sign-in", summary, OPEN);
    let check = "/auth/otp/sign-in/check-code";
    Routes::new()
        .post("/auth/otp/send-sign-in-code", send, about("Mails a code to sign in with").body::<SendBody>())
        .post("/auth/otp/sign-in", sign_in, about("Signs in by a mailed code").body::<CodeBody>())
        .post(check, check_code, about("Says whether a code to sign in with is good").body::<CodeBody>())
}

input! {
    struct SendBody {
        email: StrictEmail,
        callback_url: UrlText,
        bot_challenge_token: Option<String>,
        bot_challenge_phase: Option<BotPhase>,
        bot_challenge_unavailable: Option<String>,
    }
}

/// The code but for the first six characters, which the mail shows.
#[derive(Debug, Serialize, JsonSchema)]
struct Nonce {
    nonce: String,
}

async fn send(mut call: Call) -> Answer<Nonce> {
    let actor = call.actor(OPEN)?;
    let body: SendBody = call.body()?;
    let challenge = challenge(body.bot_challenge_token, body.bot_challenge_phase, body.bot_challenge_unavailable);
    let target = LinkTarget::Callback(body.callback_url.0);
    let sent = sessions::send_sign_in_code(&call.deps, &actor, &body.email.0, target, &challenge, &call.client).await?;
    Ok(Reply::ok(Nonce { nonce: sent.nonce.expose_secret().to_owned() }))
}

async fn sign_in(mut call: Call) -> Answer<NewTokens> {
    let actor = call.actor(OPEN)?;
    let body: CodeBody = call.body()?;
    let code = OneTimeCode::parse(&body.code)?;
    Ok(Reply::ok(sessions::sign_in_with_magic_link(&call.deps, &actor, &code, &call.client).await?.into()))
}

async fn check_code(mut call: Call) -> Answer<CodeIsValid> {
    let actor = call.actor(OPEN)?;
    let body: CodeBody = call.body()?;
    let code = OneTimeCode::parse(&body.code)?;
    sessions::check_sign_in_code(&call.deps, &actor, &code, &call.client).await?;
    Ok(VALID)
}
