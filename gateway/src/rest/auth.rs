//! `/auth/password/*` and `/auth/anonymous/*`: ways in. The token endpoint is in `oauth_token.rs`, sessions in
//! `sessions.rs`.

use postern_domain::{
    Level,
    sessions::{self, SignUpWithPassword, Tokens},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    call::Call,
    input::{Ignored, LooseEmail, StrictEmail, Text, UrlText, input},
    reply::{Answer, Reply, Success, success},
    routes::{About, Routes},
};
use crate::identity;

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Sign-in", summary, Some(Level::Client));
    Routes::new()
        .post("/auth/password/sign-up", sign_up, about("Signs up by password").body::<SignUp>().answers::<SignedIn>(200))
        .post("/auth/password/sign-in", sign_in, about("Signs in by password").body::<SignIn>().answers::<SignedIn>(200))
        .post("/auth/password/set", set_password, about("Sets a first password").body::<SetPassword>().answers::<Success>(200))
        .post(
            "/auth/password/update",
            update_password,
            about("Changes the password and ends other sessions").body::<UpdatePassword>().answers::<Success>(200),
        )
        .post("/auth/anonymous/sign-up", sign_up_anonymously, about("Makes an anonymous user").answers::<SignedIn>(200))
}

input! {
    struct SignUp {
        email: StrictEmail,
        password: Text<70>,
        verification_callback_url: Option<UrlText>,
        bot_challenge_token: Option<String>,
        bot_challenge_phase: Option<String>,
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

/// A session as sign-in answers it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignedIn {
    access_token: String,
    refresh_token: String,
    user_id: String,
}

impl From<Tokens> for SignedIn {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            user_id: tokens.user_id.to_string(),
        }
    }
}

async fn sign_up(mut call: Call) -> Answer<SignedIn> {
    let actor = call.actor(Level::Client)?;
    let body: SignUp = call.body()?;
    let input = SignUpWithPassword {
        email: body.email.0,
        password: body.password.0,
        verification_callback_url: body.verification_callback_url.map(|url| url.0),
    };
    Ok(Reply::ok(sessions::sign_up_with_password(&call.deps, &actor, input, &call.address).await?.into()))
}
