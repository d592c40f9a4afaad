//! `/auth/oauth/cross-domain/authorize`: handing a session to the application's other origin.

use postern_domain::authorization_codes::{self, HandOver};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::{Call, OPEN},
    input::{UrlText, input},
    reply::{Answer, Reply},
    routes::{About, Routes},
};
use crate::identity::{both_families, either};

pub(super) fn routes() -> Routes {
    let about = About::new("Sessions", "Hands the session to another origin", OPEN);
    Routes::new().post("/auth/oauth/cross-domain/authorize", authorize, about.body::<Authorize>())
}

input! {
    struct Authorize {
        redirect_uri: UrlText,
        state: String,
        code_challenge: String,
        code_challenge_method: Option<String>,
        after_callback_redirect_url: Option<UrlText>,
    }
}

/// Where the browser goes next.
#[derive(Debug, Serialize, JsonSchema)]
struct Authorized {
    redirect_url: String,
}

async fn authorize(mut call: Call) -> Answer<Authorized> {
    let actor = call.actor(OPEN)?;
    let body: Authorize = call.body()?;
    let token = either(&call.headers, both_families!("refresh-token")).map(|token| token.to_owned().into());
    let input = HandOver {
        redirect_uri: body.redirect_uri.0,
        state: body.state,
        code_challenge: body.code_challenge,
        code_challenge_method: body.code_challenge_method,
        after_callback_redirect_url: body.after_callback_redirect_url.map(|url| url.0),
    };
    let redirect_url =
        authorization_codes::hand_over(&call.deps, &actor, token.as_ref(), input, &call.client).await?.into();
    Ok(Reply::ok(Authorized { redirect_url }))
}
