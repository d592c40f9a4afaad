//! `/auth/mfa/*`: the second factor.

use postern_domain::{
    Failure,
    sessions::{self, OneTimeCode, SecondFactor},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::{Call, OPEN},
    input::{OneOf, Text, Words, input},
    reply::{Answer, Reply},
    routes::{About, Routes},
    sign_in::NewTokens,
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Sign-in", summary, OPEN);
    Routes::new()
        .post("/auth/mfa/sign-in", sign_in, about("Ends a sign-in by its second factor").body::<SignIn>())
        .post(
            "/auth/mfa/recovery-codes",
            create_recovery_codes,
            about("Makes codes that stand in for a lost second factor"),
        )
}

/// The second factors there are.
#[derive(Debug)]
struct Kinds;

impl Words for Kinds {
    // The second is ours.
    const WORDS: &'static [&'static str] = &["totp", "recovery_code"];
}

input! {
    /// `code`: that of the attempt. With the type goes the field of the same name.
    struct SignIn {
        kind as "type": OneOf<Kinds>,
        totp: Option<Text<100>>,
        recovery_code: Option<Text<100>>,
        code: String,
    }
}

/// Each good once; shown this once.
#[derive(Debug, Serialize, JsonSchema)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

async fn sign_in(mut call: Call) -> Answer<NewTokens> {
    let actor = call.actor(OPEN)?;
    let body: SignIn = call.body()?;
    let factor = match (body.kind.word, body.totp, body.recovery_code) {
        ("totp", Some(code), None) => SecondFactor::Totp(code.0.into()),
        ("recovery_code", None, Some(code)) => SecondFactor::RecoveryCode(code.0.into()),
        (kind, ..) => return Err(Failure::schema(format!("body.{kind} is required, and no other factor")).into()),
    };
    let code = OneTimeCode::parse(&body.code)?;
    let signed_in = sessions::sign_in_with_second_factor(&call.deps, &actor, &code, &factor, &call.client).await?;
    Ok(Reply::ok(signed_in.into()))
}

async fn create_recovery_codes(mut call: Call) -> Answer<RecoveryCodes> {
    let actor = call.actor(OPEN)?;
    let recovery_codes = sessions::create_recovery_codes(&call.deps, &actor, &call.client).await?;
    Ok(Reply::ok(RecoveryCodes { recovery_codes }))
}
