//! `/webhooks/svix-token`, and the test call: the two routes of the contract itself.

use postern_domain::webhooks;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::rest::{
    call::{ADMIN, Call},
    input::{Empty, input},
    reply::{Answer, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Webhooks", summary, ADMIN);
    Routes::new()
        .post("/webhooks/svix-token", make, about("Makes a token that manages webhooks").body::<Empty>().makes())
        .post("/internal/send-test-webhook", send_test, about("Tries a webhook endpoint out").body::<TestBody>())
}

/// With an address only where a hosted Svix server has the endpoints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookToken")]
struct Token {
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

async fn make(mut call: Call) -> Answer<Token> {
    let actor = call.actor(ADMIN)?;
    call.body::<Empty>()?;
    let portal = webhooks::portal(&call.deps, &actor).await?;
    Ok(Reply::created(Token { token: portal.token.expose_secret().to_owned(), url: portal.url }))
}

input! {
    /// An endpoint by its UUID, or as the Svix routes write it.
    struct TestBody { endpoint_id: String }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestWebhookOutcome")]
struct Tried {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
}

async fn send_test(mut call: Call) -> Answer<Tried> {
    let actor = call.actor(ADMIN)?;
    let TestBody { endpoint_id } = call.body()?;
    let id = webhooks::endpoint_id_of(&endpoint_id).or_else(|| endpoint_id.parse().ok());
    let outcome = match id {
        Some(id) => webhooks::try_out(&call.deps, &actor, id).await?,
        None => Err("There is no such webhook endpoint.".to_owned()),
    };
    Ok(Reply::ok(Tried { success: outcome.is_ok(), error_message: outcome.err() }))
}
