//! `/contact-channels/**/send-verification-code` and `/contact-channels/verify`: proving to hold an address.

use postern_domain::sessions::{self, CodeKind, LinkTarget, OneTimeCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::{Call, OPEN},
    contact_channels::ChannelPath,
    input::{Ignored, StrictEmail, UrlText, input},
    reply::{Answer, Reply, Success, success},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Contact channels", summary, OPEN);
    let send = "/contact-channels/{user_id}/{contact_channel_id}/send-verification-code";
    Routes::new()
        .post(send, send_code, about("Mails a verification code").path::<ChannelPath>().body::<SendBody>())
        .post(
            "/contact-channels/send-verification-code",
            send_to_primary,
            about("Mails a verification code to the primary address (older clients)").body::<SendToPrimaryBody>(),
        )
        .post("/contact-channels/verify", verify, about("Verifies an address by its code").body::<CodeBody>())
        .post("/contact-channels/verify/check-code", check, about("Says whether a code is good").body::<CodeBody>())
}

input! {
    struct SendBody { callback_url: UrlText }
}

input! {
    struct SendToPrimaryBody { email: StrictEmail, callback_url: UrlText }
}

input! {
    pub(super) struct CodeBody { code: String }
}

/// The answer of a check that found nothing wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CodeIsValid {
    is_code_valid: bool,
}

/// `{"is_code_valid": true}`; a code that is not good is refused.
pub(super) const VALID: Reply<CodeIsValid> = Reply::ok(CodeIsValid { is_code_valid: true });

async fn send_code(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let (path, _, body) = call.read::<ChannelPath, Ignored, SendBody>()?;
    let target = LinkTarget::Callback(body.callback_url.0);
    let user_id = path.user_id.resolve(&actor)?;
    sessions::send_verification(&call.deps, &actor, user_id, path.contact_channel_id, target, &call.client).await?;
    Ok(success())
}

async fn send_to_primary(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let body: SendToPrimaryBody = call.body()?;
    let target = LinkTarget::Callback(body.callback_url.0);
    sessions::send_verification_to_primary(&call.deps, &actor, &body.email.0, target, &call.client).await?;
    Ok(success())
}

async fn verify(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let body: CodeBody = call.body()?;
    sessions::verify_email(&call.deps, &actor, &OneTimeCode::parse(&body.code)?).await?;
    Ok(success())
}

async fn check(mut call: Call) -> Answer<CodeIsValid> {
    let actor = call.actor(OPEN)?;
    let body: CodeBody = call.body()?;
    let code = OneTimeCode::parse(&body.code)?;
    sessions::check_code(&call.deps, &actor.project_id, CodeKind::EmailVerification, &code).await?;
    Ok(VALID)
}
