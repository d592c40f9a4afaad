//! The GraphQL door, through real sockets.
#![expect(clippy::panic, reason = "a test that hears something else than it expects has failed")]

mod access_table;
mod api_keys;
mod documents;
mod events;
mod field_table;
mod items;
mod linked_accounts;
mod live;
mod mutation_table;
mod pages;
mod scanners;
mod sdl;
mod sign_in;
mod statements;
mod teams;
mod transport;
mod users;
mod ways_in;
mod webhooks;
mod world;

use serde_json::{Value, json};

use crate::support::{App, client::Client};

/// The data of an answer without errors.
#[track_caller]
pub(crate) fn data(answer: Value) -> Value {
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"].clone()
}

/// Asks, and answers the whole answer, which must be 200.
async fn ask(client: &Client, query: &str, variables: Value) -> Value {
    client.graphql(query, variables).await.json(200)
}

/// The codes of an answer's errors with their paths joined by dots.
fn codes(answer: &Value) -> Vec<(String, String)> {
    let path = |error: &Value| {
        let parts = error["path"].as_array().cloned().unwrap_or_default();
        parts.iter().map(|part| part.to_string().trim_matches('"').to_owned()).collect::<Vec<_>>().join(".")
    };
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| (path(error), error["extensions"]["code"].as_str().unwrap().to_owned())).collect()
}

/// A user of the demo project who signed up by GraphQL: a client that asks as this user, and the answer's payload.
pub(crate) async fn signed_up(app: &App, email: &str) -> (Client, Value) {
    let mutation = "mutation($input: SignUpWithPasswordInput!) { signUpWithPassword(input: $input) {
        accessToken refreshToken sessionId userId user { id primaryEmail } } }";
    let input = json!({"input": {"email": email, "password": "correct horse", "sendVerificationEmail": false}});
    let client = app.rest().client();
    let payload = data(ask(&client, mutation, input).await)["signUpWithPassword"].clone();
    (client.user(payload["accessToken"].as_str().unwrap()), payload)
}
