//! Live connections: sockets and event streams, and what ends them.

use std::{sync::Arc, time::Duration};

use postern_domain::time::{Clock, FixedClock, SystemClock};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{ask, codes, data, signed_up};
use crate::support::{App, client::Client, socket::Socket};

/// Longer than anything here may take: a session that ended is noticed within 10 s even without a signal.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) fn server_headers(app: &App) -> Value {
    json!({"x-stack-access-type": "server", "x-stack-project-id": app.demo.project_id,
        "x-stack-secret-server-key": app.demo.server})
}

fn user_headers(app: &App, payload: &Value) -> Value {
    json!({"X-Hexclave-Project-Id": app.demo.project_id, "authorization": format!("Bearer {}", payload["accessToken"].as_str().unwrap())})
}

#[tokio::test]
async fn queries_and_mutations_run_on_sockets_too() {
    let app = App::start().await;
    let mut socket = Socket::connect(&app, server_headers(&app)).await;
    socket
        .subscribe("1", "mutation { createUser(input: {displayName: \"Ada\"}) { user { displayName } } }", json!({}))
        .await;
    assert_eq!(socket.hear_data().await["createUser"]["user"]["displayName"], "Ada");
    assert_eq!(socket.hear().await, json!({"type": "complete", "id": "1"}));
    socket.subscribe("2", "{ nope }", json!({})).await;
    let refused = socket.hear().await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("2")));
    assert_eq!(refused["payload"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    app.stop().await;
}

#[tokio::test]
async fn a_subscription_that_is_refused_says_so_once() {
    let app = App::start().await;
    let (_, payload) = signed_up(&app, "ada@example.com").await;
    let mut socket = Socket::connect(&app, user_headers(&app, &payload)).await;
    socket.subscribe("1", "subscription { events { type } }", json!({})).await;
    let refused = socket.hear().await;
    assert_eq!(refused["type"], "error", "{refused}");
    assert_eq!(refused["payload"][0]["extensions"]["code"], "FORBIDDEN");
    socket.subscribe("2", "subscription { myEvents(after: \"nope\") { type } }", json!({})).await;
    assert_eq!(socket.hear().await["payload"][0]["extensions"]["code"], "BAD_USER_INPUT");
    app.stop().await;
}

#[tokio::test]
async fn signing_out_closes_the_sockets_of_the_session_and_no_others() {
    let app = App::start().await;
    let (ada, payload) = signed_up(&app, "ada@example.com").await;
    let (_, others) = signed_up(&app, "bob@example.com").await;
    let mut mine = Socket::connect(&app, user_headers(&app, &payload)).await;
    mine.subscribe("1", "subscription { myEvents { type } }", json!({})).await;
    let mut other = Socket::connect(&app, user_headers(&app, &others)).await;
    data(ask(&ada, "mutation { signOut { id } }", Value::Null).await);
    assert_eq!(mine.closed().await, 4403);
    other.say(json!({"type": "ping"})).await;
    assert_eq!(other.hear().await["type"], "pong");
    app.stop().await;
}

#[tokio::test]
async fn deleting_the_user_closes_its_sockets() {
    let app = App::start().await;
    let (_, payload) = signed_up(&app, "ada@example.com").await;
    let socket = Socket::connect(&app, user_headers(&app, &payload)).await;
    let delete = "mutation($id: ID!) { deleteUser(input: {id: $id}) { id } }";
    data(ask(&app.rest().server(), delete, json!({"id": payload["userId"]})).await);
    assert_eq!(socket.closed().await, 4403);
    app.stop().await;
}

#[tokio::test]
async fn whoever_owns_the_project_no_more_loses_its_sockets_and_no_others() {
    let app = App::start().await;
    let internal = app.internal_rest();
    let (mut owners, mut ids) = (Vec::new(), Vec::new());
    for email in ["leaving@example.com", "staying@example.com"] {
        let body = json!({"email": email, "password": "correct horse battery"});
        let token = internal.client().post("/auth/password/sign-up", body).await.json(200)["access_token"].clone();
        let token = token.as_str().unwrap().to_owned();
        ids.push(internal.client().user(&token).get("/users/me").await.json(200));
        owners.push(token);
    }
    let team = ids[0]["selected_team_id"].as_str().unwrap();
    let member = |user: &Value| format!("/team-memberships/{team}/{}", user["id"].as_str().unwrap());
    internal.server().post(&member(&ids[1]), json!({})).await.json(201);
    let new = json!({"display_name": "Shop", "owner_team_id": team});
    let shop = internal.client().user(&owners[0]).post("/internal/projects", new).await.json(201);
    let headers = |token: &str| json!({"x-stack-access-type": "admin", "x-stack-project-id": shop["id"], "x-stack-admin-access-token": token});
    let leaving = Socket::connect(&app, headers(&owners[0])).await;
    let mut staying = Socket::connect(&app, headers(&owners[1])).await;
    internal.server().delete(&member(&ids[0])).await.json(200);
    assert_eq!(leaving.closed().await, 4403);
    staying.say(json!({"type": "ping"})).await;
    assert_eq!(staying.hear().await["type"], "pong");
    // The same where the team itself goes.
    internal.server().delete(&format!("/teams/{team}")).await.json(200);
    assert_eq!(staying.closed().await, 4403);
    app.stop().await;
}

#[tokio::test]
async fn a_socket_outlives_its_access_token() {
    let clock = Arc::new(FixedClock::at(SystemClock.now()));
    let app = App::builder().clock(clock.clone()).start().await;
    let (ada, payload) = signed_up(&app, "ada@example.com").await;
    let mut socket = Socket::connect(&app, user_headers(&app, &payload)).await;
    clock.advance_seconds(3600);
    let expired = ada.graphql("{ me { id } }", Value::Null).await.json(401);
    assert_eq!(codes(&expired)[0].1, "ACCESS_TOKEN_EXPIRED");
    socket.subscribe("1", "{ me { primaryEmail } }", json!({})).await;
    assert_eq!(socket.hear_data().await["me"]["primaryEmail"], "ada@example.com");
    app.stop().await;
}

#[tokio::test]
async fn a_stopping_process_says_that_it_goes_away() {
    let app = App::start().await;
    let mut socket = Socket::connect(&app, server_headers(&app)).await;
    socket.subscribe("1", "subscription { events { type } }", json!({})).await;
    let (code, _) = tokio::join!(socket.closed(), app.stop());
    assert_eq!(code, 1001);
}

#[tokio::test]
async fn who_asks_is_said_in_the_handshake_or_not_at_all() {
    let app = App::start().await;
    let mut socket = Socket::open(&app.url).await;
    let wrong = json!({"x-stack-access-type": "server", "x-stack-project-id": app.demo.project_id, "x-stack-secret-server-key": "ssk_nope"});
    socket.say(json!({"type": "connection_init", "payload": wrong})).await;
    assert_eq!(socket.closed().await, 4403);
    let mut nobody = Socket::connect(&app, Value::Null).await;
    nobody.subscribe("1", "{ __typename me { id } }", json!({})).await;
    let answer = nobody.hear().await["payload"].clone();
    assert_eq!(
        (&answer["data"]["__typename"], codes(&answer)[0].1.as_str()),
        (&json!("Query"), "ACCESS_TYPE_REQUIRED")
    );
    app.stop().await;
}

/// An event stream, read until something is in it.
struct Events {
    response: reqwest::Response,
    read: String,
}

impl Events {
    async fn open(client: &Client, query: &str) -> Self {
        let body = json!({ "query": query }).to_string();
        let response = client.with("accept", "text/event-stream").stream("/graphql", ("application/json", body)).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        Self { response, read: String::new() }
    }

    async fn until(&mut self, text: &str) {
        // All together: comments keep coming on a silent stream.
        let read = async {
            while !self.read.contains(text) {
                let chunk = self.response.chunk().await.unwrap();
                let chunk = chunk.unwrap_or_else(|| panic!("the stream ended without {text}: {}", self.read));
                self.read.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("no {text}"));
    }
}

#[tokio::test]
async fn an_event_stream_answers_completes_and_ends_with_the_session() {
    let app = App::start().await;
    let mut once = Events::open(&app.rest().server(), "{ users { totalCount } }").await;
    once.until("event: complete\ndata: \n\n").await;
    assert!(once.read.starts_with("event: next\ndata: {\"data\":{\"users\":{\"totalCount\":0}}}\n\n"), "{}", once.read);
    let mut refused = Events::open(&app.rest().client(), "subscription { events { type } }").await;
    refused.until("event: complete").await;
    assert!(refused.read.contains("FORBIDDEN"), "{}", refused.read);

    let (ada, _) = signed_up(&app, "ada@example.com").await;
    let mut live = Events::open(&ada, "subscription { myEvents { type } }").await;
    // In force, since it has answered.
    data(ask(&ada, "mutation { updateMe(input: {displayName: \"Ada\"}) { user { id } } }", Value::Null).await);
    live.until("user.updated").await;
    data(ask(&ada, "mutation { signOut { id } }", Value::Null).await);
    live.until("event: complete").await;
    assert!(live.read.contains("ACCESS_TOKEN_EXPIRED"), "{}", live.read);
    app.stop().await;
}
