//! API keys: made and looked after by GraphQL, and as callers of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use postern_domain::time::{Clock, FixedClock, SystemClock};
use serde_json::{Value, json};

use super::{ask, codes, data, signed_up};
use crate::support::{App, client::Client, on_postgres, socket::Socket};

const KEY: &str =
    "id type description isPublic lastFour createdAt expiresAt revokedAt userId teamId user { id } team { id }";

/// Switches both sorts of keys on.
async fn switch_on(app: &App) {
    switch_on_in(&app.rest()).await;
}

async fn switch_on_in(project: &Client) {
    let config = json!({"config": {"allow_user_api_keys": true, "allow_team_api_keys": true,
        "client_team_creation_enabled": true}});
    project.admin().patch("/internal/projects/current", config).await.json(200);
}

/// A caller that shows nothing but the key.
pub(super) fn by_key(app: &App, value: &Value) -> Client {
    app.rest().with("x-stack-project-id", &app.demo.project_id).with("x-stack-api-key", value.as_str().unwrap())
}

fn key_headers(app: &App, value: &Value) -> Value {
    json!({"x-hexclave-project-id": app.demo.project_id, "x-hexclave-api-key": value})
}

async fn team(app: &App) -> Value {
    let mutation = "mutation { createTeam(input: {displayName: \"Analysts\"}) { team { id } } }";
    data(ask(&app.rest().server(), mutation, Value::Null).await)["createTeam"]["team"]["id"].clone()
}

/// A key of the user: `{apiKey {id}, value}`.
pub(super) async fn user_key(client: &Client, input: Value) -> Value {
    let mutation =
        "mutation($input: CreateUserApiKeyInput!) { createUserApiKey(input: $input) { apiKey { id } value } }";
    data(ask(client, mutation, json!({ "input": input })).await)["createUserApiKey"].clone()
}

pub(super) async fn team_key(app: &App, team: &Value) -> Value {
    let mutation =
        "mutation($input: CreateTeamApiKeyInput!) { createTeamApiKey(input: $input) { apiKey { id } value } }";
    let input = json!({"input": {"teamId": team, "description": "CI"}});
    data(ask(&app.rest().server(), mutation, input).await)["createTeamApiKey"].clone()
}

/// A caller with the key of a user and one with the key of a team, for the table of all fields.
pub(super) async fn keys(app: &App) -> (Client, Client) {
    switch_on(app).await;
    let (own, _) = signed_up(app, "key@example.com").await;
    let of_user = user_key(&own, json!({"description": "CI"})).await;
    let of_team = team_key(app, &team(app).await).await;
    (by_key(app, &of_user["value"]), by_key(app, &of_team["value"]))
}

#[tokio::test]
async fn keys_are_made_read_changed_checked_and_revoked() {
    let app = App::start().await;
    switch_on(&app).await;
    let (own, payload) = signed_up(&app, "ada@example.com").await;
    let server = app.rest().server();
    let mutation = format!(
        "mutation($input: CreateUserApiKeyInput!) {{ createUserApiKey(input: $input) {{ value apiKey {{ {KEY} }} }} }}"
    );
    let input = json!({"input": {"description": "CI", "expiresAt": "2100-01-01T00:00:00Z"}});
    let made = data(ask(&own, &mutation, input).await)["createUserApiKey"].clone();
    let (value, key) = (made["value"].as_str().unwrap(), &made["apiKey"]);
    let expected = json!({"id": key["id"], "type": "USER", "description": "CI", "isPublic": false,
        "lastFour": value[98..], "createdAt": key["createdAt"], "expiresAt": "2100-01-01T00:00:00.000Z", "revokedAt": null,
        "userId": payload["userId"], "teamId": null, "user": {"id": payload["userId"]}, "team": null});
    assert_eq!(*key, expected);

    let node = format!("query($id: ID!) {{ node(id: $id) {{ ... on ApiKey {{ {KEY} }} }} }}");
    assert_eq!(data(ask(&own, &node, json!({"id": key["id"]})).await)["node"], expected);
    let list = format!("{{ apiKeys {{ totalCount nodes {{ {KEY} }} }} }}");
    assert_eq!(data(ask(&own, &list, Value::Null).await)["apiKeys"], json!({"totalCount": 1, "nodes": [expected]}));
    let check =
        format!("query($key: String!, $type: ApiKeyType) {{ checkApiKey(key: $key, type: $type) {{ {KEY} }} }}");
    for kind in [json!(null), json!("USER")] {
        let checked = data(ask(&server, &check, json!({"key": value, "type": kind})).await);
        assert_eq!(checked["checkApiKey"], expected);
    }
    let wrong = ask(&server, &check, json!({"key": value, "type": "TEAM"})).await;
    assert_eq!(codes(&wrong)[0].1, "WRONG_API_KEY_TYPE");

    let (bob, _) = signed_up(&app, "bob@example.com").await;
    assert_eq!(data(ask(&bob, &node, json!({"id": key["id"]})).await)["node"], Value::Null);
    let id = json!({"id": key["id"]});
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { apiKey { revokedAt } } }";
    assert_eq!(codes(&ask(&bob, revoke, id.clone()).await)[0].1, "FORBIDDEN");
    let update =
        "mutation($id: ID!) { updateApiKey(input: {id: $id, description: \"Nightly\"}) { apiKey { description } } }";
    assert_eq!(data(ask(&own, update, id.clone()).await)["updateApiKey"]["apiKey"]["description"], "Nightly");
    let revoked = data(ask(&own, revoke, id.clone()).await)["revokeApiKey"]["apiKey"]["revokedAt"].clone();
    assert!(revoked.is_string());
    assert_eq!(data(ask(&server, revoke, id).await)["revokeApiKey"]["apiKey"]["revokedAt"], revoked);
    assert_eq!(codes(&ask(&server, &check, json!({"key": value})).await)[0].1, "API_KEY_REVOKED");

    let team = team(&app).await;
    let made = team_key(&app, &team).await;
    let of_team = format!("query($id: ID!) {{ apiKeys(teamId: $id) {{ nodes {{ {KEY} }} }} }}");
    let listed = data(ask(&server, &of_team, json!({"id": team})).await)["apiKeys"]["nodes"][0].clone();
    assert_eq!((&listed["id"], &listed["type"]), (&made["apiKey"]["id"], &json!("TEAM")));
    assert_eq!((&listed["team"]["id"], &listed["user"]), (&team, &Value::Null));
    assert_eq!(codes(&ask(&own, &of_team, json!({"id": team})).await)[0].1, "API_KEY_NOT_FOUND");
    app.stop().await;
}

#[tokio::test]
async fn a_users_key_acts_as_the_user_and_touches_nothing_that_it_must_not() {
    let app = App::start().await;
    switch_on(&app).await;
    let (own, payload) = signed_up(&app, "ada@example.com").await;
    let made = user_key(&own, json!({"description": "CI"})).await;
    let key = by_key(&app, &made["value"]);
    let me = data(ask(&key, "{ me { id primaryEmail } }", Value::Null).await)["me"].clone();
    assert_eq!(me, json!({"id": payload["userId"], "primaryEmail": "ada@example.com"}));
    let create = "mutation { createTeam(input: {displayName: \"By key\"}) { team { id } } }";
    let team = data(ask(&key, create, Value::Null).await)["createTeam"]["team"]["id"].clone();
    let teams = data(ask(&own, "{ teams { nodes { id } } }", Value::Null).await);
    assert!(teams["teams"]["nodes"].as_array().unwrap().contains(&json!({"id": team})), "{teams}");
    let rename = "mutation { updateMe(input: {displayName: \"Ada\"}) { user { displayName } } }";
    assert_eq!(data(ask(&key, rename, Value::Null).await)["updateMe"]["user"]["displayName"], "Ada");

    // Fields of an open mutation that are closed, and what is reached by `node` alone.
    for input in [
        "primaryEmail: \"eve@example.com\"",
        "totpSecretBase64: null",
        "otpAuthEnabled: true",
        "passkeyAuthEnabled: false",
    ] {
        let mutation = format!("mutation {{ updateMe(input: {{{input}}}) {{ user {{ id }} }} }}");
        assert_eq!(codes(&ask(&key, &mutation, Value::Null).await)[0].1, "FORBIDDEN", "{input}");
    }
    for id in [&payload["sessionId"], &made["apiKey"]["id"]] {
        let node = data(ask(&key, "query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await);
        assert_eq!(node["node"], Value::Null);
    }
    let delete = "mutation($id: ID!) { deleteTeam(input: {id: $id}) { id } }";
    assert_eq!(codes(&ask(&key, delete, json!({"id": team})).await)[0].1, "FORBIDDEN");
    for field in
        ["sessions { totalCount }", "apiKeys { totalCount }", "users { totalCount }", "webhookEndpoints { totalCount }"]
    {
        let answer = ask(&key, &format!("{{ {field} }}"), Value::Null).await;
        assert_eq!(codes(&answer)[0].1, "FORBIDDEN", "{field}");
    }
    data(ask(&own, "{ me { id } sessions { totalCount } }", Value::Null).await);
    app.stop().await;
}

#[tokio::test]
async fn a_teams_key_is_its_team_and_nobody() {
    let app = App::start().await;
    switch_on(&app).await;
    let (mine, other) = (team(&app).await, team(&app).await);
    let key = by_key(&app, &team_key(&app, &mine).await["value"]);
    let seen = data(ask(&key, "{ teams { nodes { id displayName } } project { id } }", Value::Null).await);
    assert_eq!(seen["teams"]["nodes"], json!([{"id": mine, "displayName": "Analysts"}]));
    assert_eq!(seen["project"]["id"], json!(app.demo.project_id));
    let one = "query($id: ID!) { team(id: $id) { id } node(id: $id) { id } }";
    let seen = data(ask(&key, one, json!({"id": mine})).await);
    assert_eq!(seen, json!({"team": {"id": mine}, "node": {"id": mine}}));
    let unseen = ask(&key, one, json!({"id": other})).await;
    assert_eq!(unseen["data"], json!({"team": null, "node": null}));
    assert_eq!(codes(&unseen), [("team".to_owned(), "TEAM_NOT_FOUND".to_owned())]);
    let nobody = ask(&key, "{ me { id } }", Value::Null).await;
    assert_eq!(codes(&nobody), [("me".to_owned(), "CANNOT_GET_OWN_USER_WITHOUT_USER".to_owned())]);
    let shown =
        data(ask(&key, "{ __schema { mutationType { name } queryType { fields { name } } } }", Value::Null).await);
    let fields: Vec<_> =
        shown["__schema"]["queryType"]["fields"].as_array().unwrap().iter().map(|f| &f["name"]).collect();
    assert_eq!(fields.len(), 5, "{fields:?}");
    app.stop().await;
}

#[tokio::test]
async fn keys_that_prove_nothing_are_refused_by_their_code() {
    let app = App::start().await;
    switch_on(&app).await;
    let (own, payload) = signed_up(&app, "ada@example.com").await;
    let secret = user_key(&own, json!({"description": "CI"})).await;
    let public = user_key(&own, json!({"description": "CI", "isPublic": true})).await;
    let over = user_key(&own, json!({"description": "CI", "expiresAt": "2001-01-01T00:00:00Z"})).await;
    let value = secret["value"].as_str().unwrap();
    let refused = async |client: &Client, status: u16| {
        codes(&client.graphql("{ me { id } }", Value::Null).await.json(status))[0].1.clone()
    };
    assert_eq!(refused(&by_key(&app, &public["value"]), 403).await, "FORBIDDEN");
    assert_eq!(refused(&by_key(&app, &over["value"]), 401).await, "API_KEY_EXPIRED");
    assert_eq!(refused(&by_key(&app, &json!("sk_nonsense")), 404).await, "API_KEY_NOT_FOUND");
    assert_eq!(refused(&own.with("x-stack-api-key", value), 400).await, "BAD_REQUEST");
    let bearer = format!("Bearer {}", payload["accessToken"].as_str().unwrap());
    assert_eq!(refused(&by_key(&app, &secret["value"]).with("authorization", &bearer), 400).await, "BAD_REQUEST");
    assert_eq!(refused(&app.rest().server().with("x-stack-api-key", value), 400).await, "BAD_REQUEST");
    switch_on_in(&app.internal_rest()).await;
    let elsewhere = by_key(&app, &secret["value"]).with("x-stack-project-id", "internal");
    assert_eq!(refused(&elsewhere, 404).await, "API_KEY_NOT_FOUND");
    // From a page that the project does not trust, whatever the key.
    let page = by_key(&app, &secret["value"]).with("origin", "https://evil.example");
    assert_eq!(refused(&page, 403).await, "FORBIDDEN");
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { apiKey { id } } }";
    data(ask(&own, revoke, json!({"id": secret["apiKey"]["id"]})).await);
    assert_eq!(refused(&by_key(&app, &secret["value"]), 401).await, "API_KEY_REVOKED");
    app.stop().await;
}

#[tokio::test]
async fn sockets_end_with_their_key() {
    let app = App::start().await;
    switch_on(&app).await;
    let (own, payload) = signed_up(&app, "ada@example.com").await;
    let team = team(&app).await;
    let (of_user, of_team) = (user_key(&own, json!({"description": "CI"})).await, team_key(&app, &team).await);
    let another = user_key(&own, json!({"description": "Stays"})).await;
    let mut first = Socket::connect(&app, key_headers(&app, &of_user["value"])).await;
    let mut stays = Socket::connect(&app, key_headers(&app, &another["value"])).await;
    let ours = Socket::connect(&app, key_headers(&app, &of_team["value"])).await;
    first.subscribe("1", "{ me { id } }", json!({})).await;
    assert_eq!(first.hear_data().await["me"]["id"], payload["userId"]);
    assert_eq!(first.hear().await["type"], "complete");
    first.subscribe("2", "subscription { myEvents { type } }", json!({})).await;

    let started = Instant::now();
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { apiKey { id } } }";
    data(ask(&own, revoke, json!({"id": of_user["apiKey"]["id"]})).await);
    assert_eq!(first.closed().await, 4403);
    let delete = "mutation($id: ID!) { deleteTeam(input: {id: $id}) { id } }";
    data(ask(&app.rest().server(), delete, json!({"id": team})).await);
    assert_eq!(ours.closed().await, 4403);
    stays.say(json!({"type": "ping"})).await;
    assert_eq!(stays.hear().await["type"], "pong");
    // Signing out ends sessions, not keys.
    data(ask(&own, "mutation { revokeAllSessions { count } }", Value::Null).await);
    stays.subscribe("1", "{ me { id } }", json!({})).await;
    assert_eq!(stays.hear_data().await["me"]["id"], payload["userId"]);
    assert_eq!(stays.hear().await["type"], "complete");
    let delete = "mutation($id: ID!) { deleteUser(input: {id: $id}) { id } }";
    data(ask(&app.rest().server(), delete, json!({"id": payload["userId"]})).await);
    assert_eq!(stays.closed().await, 4403);
    // By signals, not by the look every five seconds.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    app.stop().await;
}

#[tokio::test]
async fn sockets_end_when_their_key_expires_or_the_project_switches_keys_off() {
    let clock = Arc::new(FixedClock::at(SystemClock.now()));
    let app = App::builder().clock(clock.clone()).start().await;
    switch_on(&app).await;
    let (own, _) = signed_up(&app, "ada@example.com").await;
    let expires_at = clock.now().plus_seconds(60).to_utc().unwrap().to_rfc3339();
    let brief = user_key(&own, json!({"description": "CI", "expiresAt": expires_at})).await;
    let lasting = user_key(&own, json!({"description": "CI"})).await;
    let ends = Socket::connect(&app, key_headers(&app, &brief["value"])).await;
    let mut stays = Socket::connect(&app, key_headers(&app, &lasting["value"])).await;
    clock.advance_seconds(60);
    assert_eq!(ends.closed().await, 4403);
    stays.say(json!({"type": "ping"})).await;
    assert_eq!(stays.hear().await["type"], "pong");
    let config = json!({"config": {"allow_user_api_keys": false}});
    app.rest().admin().patch("/internal/projects/current", config).await.json(200);
    assert_eq!(stays.closed().await, 4403);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_revoked_at_one_gateway_ends_its_sockets_at_the_other() {
    if !on_postgres() {
        return;
    }
    let app = App::builder().more_gateways(1).start().await;
    switch_on(&app).await;
    let (own, _) = signed_up(&app, "ada@example.com").await;
    let made = user_key(&own, json!({"description": "CI"})).await;
    let socket = Socket::connect_at(&app.url_at(0), key_headers(&app, &made["value"])).await;
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { apiKey { id } } }";
    data(ask(&own, revoke, json!({"id": made["apiKey"]["id"]})).await);
    let started = Instant::now();
    assert_eq!(socket.closed().await, 4403);
    assert!(started.elapsed() < Duration::from_secs(3));
    app.stop().await;
}
