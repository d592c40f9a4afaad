//! `/auth/password/*` and `/auth/anonymous/*`: ways in. Others are in `magic_link.rs`, `second_factor.rs`, `passkeys.rs` and
//! `cli.rs`; the token endpoint is in `oauth_token.rs`, sessions are in `sessions.rs`.

use postern_domain::sessions::{self, CodeKind, LinkTarget, OneTimeCode, PasswordSignUp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::{Call, OPEN},
    input::{LooseEmail, StrictEmail, Text, UrlText, input},
    reply::{Answer, Reply, Success, success},
    routes::{About, Routes},
    sign_in::{BotPhase, Tokens, challenge},
    verification::{CodeBody, CodeIsValid, VALID},
};
use crate::identity::{both_families, either};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Sign-in", summary, OPEN);
    let (reset, check) = ("/auth/password/reset", "/auth/password/reset/check-code");
    Routes::new()
        .post("/auth/password/sign-up", sign_up, about("Signs up by password").body::<SignUp>())
        .post("/auth/password/sign-in", sign_in, about("Signs in by password").body::<SignIn>())
        .post("/auth/password/set", set_password, about("Sets a first password").body::<SetPassword>())
        .post("/auth/password/update", update_password, about("Changes the password").body::<UpdatePassword>())
        .post(
            "/auth/password/send-reset-code",
            send_reset,
            about("Mails a code to reset the password").body::<SendReset>(),
        )
        .post(reset, reset_password, about("Sets a new password by code").body::<ResetPassword>())
        .post(check, check_reset_code, about("Says whether a reset code is good").body::<CodeBody>())
        .post("/auth/anonymous/sign-up", sign_up_anonymously, about("Makes an anonymous user"))
}

input! {
    struct SignUp {
        email: StrictEmail,
        password: Text<70>,
        verification_callback_url: Option<UrlText>,
        /// Ours: where signing up on project `internal` needs an invitation.
        invite_code: Option<String>,
        bot_challenge_token: Option<String>,
        bot_challenge_phase: Option<BotPhase>,
        bot_challenge_unavailable: Option<String>,
    }
}

input! {
    struct SignIn { email: LooseEmail, password: String }
}

input! {
    struct SetPassword { password: Text<70> }
}

input! {
    struct UpdatePassword { old_password: Text<70>, new_password: Text<70> }
}

input! {
    struct SendReset { email: LooseEmail, callback_url: UrlText }
}

input! {
    struct ResetPassword { code: String, password: Text<70> }
}

/// A fixed sentence, the same for everybody: clients ignore it, and strangers learn nothing from it.
#[derive(Debug, Serialize, JsonSchema)]
struct ResetSent {
    success: &'static str,
}

async fn sign_up(mut call: Call) -> Answer<Tokens> {
    let actor = call.actor(OPEN)?;
    let body: SignUp = call.body()?;
    let input = PasswordSignUp {
        email: body.email.0,
        password: body.password.0.into(),
        verification: body.verification_callback_url.map(|url| LinkTarget::Callback(url.0)),
        invite_code: body.invite_code.map(Into::into),
        challenge: challenge(body.bot_challenge_token, body.bot_challenge_phase, body.bot_challenge_unavailable),
    };
    Ok(Reply::ok(sessions::sign_up_with_password(&call.deps, &actor, input, &call.client).await?.into()))
}

async fn sign_in(mut call: Call) -> Answer<Tokens> {
    let actor = call.actor(OPEN)?;
    let body: SignIn = call.body()?;
    let password = body.password.into();
    Ok(Reply::ok(
        sessions::sign_in_with_password(&call.deps, &actor, &body.email.0, &password, &call.client).await?.into(),
    ))
}

async fn set_password(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let body: SetPassword = call.body()?;
    sessions::set_password(&call.deps, &actor, &body.password.0.into()).await?;
    Ok(success())
}

async fn update_password(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let body: UpdatePassword = call.body()?;
    let kept = either(&call.headers, both_families!("refresh-token")).map(|token| token.to_owned().into());
    let (old, new) = (body.old_password.0.into(), body.new_password.0.into());
    sessions::update_password(&call.deps, &actor, &old, &new, kept.as_ref(), &call.client).await?;
    Ok(success())
}

async fn send_reset(mut call: Call) -> Answer<ResetSent> {
    let actor = call.actor(OPEN)?;
    let body: SendReset = call.body()?;
    let target = LinkTarget::Callback(body.callback_url.0);
    sessions::send_password_reset(&call.deps, &actor, &body.email.0, target, &call.client).await?;
    Ok(Reply::ok(ResetSent { success: "If somebody signs in with this address, a mail is on its way." }))
}

async fn reset_password(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let body: ResetPassword = call.body()?;
    let code = OneTimeCode::parse(&body.code)?;
    sessions::reset_password(&call.deps, &actor, &code, &body.password.0.into(), &call.client).await?;
    Ok(success())
}

async fn check_reset_code(mut call: Call) -> Answer<CodeIsValid> {
    let actor = call.actor(OPEN)?;
    let body: CodeBody = call.body()?;
    let code = OneTimeCode::parse(&body.code)?;
    sessions::check_code(&call.deps, &actor.project_id, CodeKind::PasswordReset, &code).await?;
    Ok(VALID)
}

async fn sign_up_anonymously(mut call: Call) -> Answer<Tokens> {
    let actor = call.actor(OPEN)?;
    Ok(Reply::ok(sessions::sign_up_anonymously(&call.deps, &actor, &call.client).await?.into()))
}
