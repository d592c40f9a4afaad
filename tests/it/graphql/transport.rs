//! How operations are sent and answered over HTTP: statuses, media types, limits, methods, CORS, persisted queries.

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

use super::{ask, codes, data};
use crate::support::{App, client::Answer};

const GRAPHQL: &str = "application/graphql-response+json";

async fn post(app: &App, accept: &str, content_type: &str, body: &str) -> Answer {
    let client = app.rest().server().with("accept", accept);
    client.raw(Method::POST, "/graphql", Some((content_type, body.to_owned()))).await
}

fn content_type(headers: &HeaderMap) -> &str {
    headers["content-type"].to_str().unwrap()
}

#[tokio::test]
async fn the_status_says_how_the_request_fared_where_the_caller_can_read_it() {
    let app = App::start().await;
    let body = |query: &str| json!({ "query": query }).to_string();
    for (query, status, code) in [
        ("{ __typename }", 200, None),
        ("{", 400, Some("GRAPHQL_PARSE_FAILED")),
        ("{ nope }", 400, Some("GRAPHQL_VALIDATION_FAILED")),
        ("query Q($id: ID!) { user(id: $id) { id } }", 400, Some("BAD_USER_INPUT")),
        ("query A { __typename } query B { __typename }", 400, Some("OPERATION_RESOLUTION_FAILURE")),
        ("subscription { events { type } }", 406, Some("NOT_ACCEPTABLE")),
    ] {
        let modern = post(&app, GRAPHQL, "application/json", &body(query)).await;
        assert_eq!(content_type(&modern.headers), "application/graphql-response+json; charset=utf-8");
        let answer = modern.json(status);
        assert_eq!(answer["errors"][0]["extensions"]["code"].as_str(), code, "{query}: {answer}");
        assert_eq!(answer.get("data").is_some(), code.is_none(), "{query}: {answer}");
        let older = post(&app, "application/json", "application/json", &body(query)).await;
        assert_eq!(content_type(&older.headers), "application/json; charset=utf-8");
        older.json(if status == 400 { 200 } else { status });
    }
    app.stop().await;
}

#[tokio::test]
async fn what_is_no_graphql_request_is_refused() {
    let app = App::start().await;
    let good = r#"{"query": "{ __typename }"}"#;
    for (content_type, body, status, code) in [
        ("application/json", "nope", 400, "BAD_REQUEST"),
        ("application/json", "[]", 400, "BAD_REQUEST"),
        ("application/json", r#"[{"query": "{ __typename }"}]"#, 400, "BAD_REQUEST"),
        ("application/json", "{}", 400, "BAD_REQUEST"),
        ("text/plain", good, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("application/x-www-form-urlencoded", "query={__typename}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("multipart/form-data; boundary=x", "--x--", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ] {
        let answer = post(&app, "*/*", content_type, body).await.json(status);
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{content_type} {body}");
    }
    let huge = json!({ "query": "{ __typename }", "variables": {"x": "x".repeat(1024 * 1024)} }).to_string();
    let answer = post(&app, "*/*", "application/json", &huge).await.json(413);
    assert_eq!(answer["errors"][0]["extensions"]["code"], "PAYLOAD_TOO_LARGE");
    let answer = post(&app, "text/html", "application/json", good).await.json(406);
    assert_eq!(answer["errors"][0]["extensions"]["code"], "NOT_ACCEPTABLE");
    app.stop().await;
}

#[tokio::test]
async fn a_get_reads_and_never_changes() {
    let app = App::start().await;
    let client = app.rest().server();
    let query = "/graphql?query=query%20Q(%24n%3AString!)%7B__type(name%3A%24n)%7Bname%7D%7D&operationName=Q&variables=%7B%22n%22%3A%22User%22%7D";
    let answer = client.raw(Method::GET, query, None).await.json(200);
    assert_eq!(answer["data"]["__type"]["name"], "User");
    let mutation = "/graphql?query=mutation%7BcreateUser(input%3A%7B%7D)%7Buser%7Bid%7D%7D%7D";
    for accept in ["application/json", GRAPHQL] {
        let refused = client.with("accept", accept).raw(Method::GET, mutation, None).await;
        assert_eq!(refused.headers["allow"], "POST");
        assert_eq!(codes(&refused.json(405))[0].1, "METHOD_NOT_ALLOWED");
    }
    let events = client.with("accept", "text/event-stream").raw(Method::GET, mutation, None).await;
    assert!(events.text.contains("METHOD_NOT_ALLOWED"), "{}", events.text);
    assert_eq!(data(ask(&client, "{ users { totalCount } }", Value::Null).await)["users"]["totalCount"], 0);
    assert_eq!(client.raw(Method::PUT, "/graphql", None).await.headers["allow"], "GET, POST, OPTIONS");
    app.stop().await;
}

#[tokio::test]
async fn operations_beyond_a_limit_are_refused_before_anything_runs() {
    let app = App::start().await;
    let server = app.rest().server();
    let deep = format!("{{ users {{ {} id {} }} }}", "nodes { selectedTeam {".repeat(6), "} }".repeat(6));
    let costly = "{ users(first: 200) { nodes { contactChannels(first: 200) { nodes { user { contactChannels(first: 200) \
                  { nodes { id } } } } } } } }";
    let mutations: String = (0..11).map(|i| format!("m{i}: createUser(input: {{}}) {{ user {{ id }} }} ")).collect();
    let aliases: String = (0..31).map(|i| format!("a{i}: __typename ")).collect();
    let tokens = "__typename ".repeat(1001);
    for (query, code) in [
        (deep, "QUERY_TOO_DEEP"),
        (costly.to_owned(), "QUERY_TOO_COSTLY"),
        (format!("mutation {{ {mutations} }}"), "TOO_MANY_ROOT_FIELDS"),
        (format!("{{ {aliases} }}"), "TOO_MANY_ALIASES"),
        (format!("{{ {tokens} }}"), "QUERY_TOO_LARGE"),
        ("{ ...F } fragment F on Query { ...F }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
    ] {
        let answer = ask(&server, &query, Value::Null).await;
        assert_eq!(codes(&answer)[0].1, code, "{answer}");
        assert!(answer.get("data").is_none());
    }
    assert_eq!(data(ask(&server, "{ users { totalCount } }", Value::Null).await)["users"]["totalCount"], 0);
    app.stop().await;
}

#[tokio::test]
async fn suggestions_are_made_in_local_mode_only() {
    let app = App::start().await;
    let told = ask(&app.rest().server(), "{ usrs { totalCount } }", Value::Null).await;
    assert!(told["errors"][0]["message"].as_str().unwrap().contains("Did you mean"), "{told}");
    app.stop().await;
}

#[tokio::test]
async fn a_persisted_query_is_asked_by_its_hash() {
    let app = App::start().await;
    let hash = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"; // of "{__typename}"
    let extensions = json!({"persistedQuery": {"version": 1, "sha256Hash": hash}});
    let by_hash = json!({ "extensions": extensions }).to_string();
    let unknown = post(&app, "*/*", "application/json", &by_hash).await.json(200);
    assert_eq!(unknown["errors"][0]["message"], "PersistedQueryNotFound");
    let both = json!({ "query": "{__typename}", "extensions": extensions }).to_string();
    post(&app, "*/*", "application/json", &both).await.json(200);
    assert_eq!(post(&app, "*/*", "application/json", &by_hash).await.json(200)["data"]["__typename"], "Query");
    app.stop().await;
}

#[tokio::test]
async fn browsers_may_read_answers_and_send_every_header() {
    let app = App::start().await;
    let preflight = app.rest().with("origin", "https://example.com").raw(Method::OPTIONS, "/graphql", None).await;
    assert_eq!(preflight.status, 200);
    let allowed = preflight.headers["access-control-allow-headers"].to_str().unwrap();
    for name in
        ["x-stack-access-token", "x-hexclave-access-token", "x-stack-api-key", "idempotency-key", "authorization"]
    {
        assert!(allowed.contains(name), "{name}: {allowed}");
    }
    assert!(!preflight.headers.contains_key("access-control-allow-credentials"));
    let refused = post(&app, "*/*", "text/plain", "").await;
    assert_eq!(refused.headers["access-control-allow-origin"], "*");
    assert!(refused.headers["access-control-expose-headers"].to_str().unwrap().contains("x-stack-known-error"));
    assert!(!refused.headers.contains_key("access-control-allow-headers"), "of preflights only");
    app.stop().await;
}

#[tokio::test]
async fn a_page_speaks_for_projects_that_trust_it_and_never_with_a_secret_key() {
    let app = App::start().await;
    let (client, query) = (app.rest().client(), r#"{"query": "{ project { id } }"}"#);
    let from = |origin: &str| client.with("origin", origin);
    let body = || Some(("application/json", query.to_owned()));
    for origin in ["http://localhost:3000", "http://127.0.0.1:8080", &app.url] {
        from(origin).raw(Method::POST, "/graphql", body()).await.json(200);
    }
    for origin in ["https://evil.example", "null"] {
        let refused = from(origin).raw(Method::POST, "/graphql", body()).await.json(403);
        assert_eq!(codes(&refused)[0].1, "FORBIDDEN");
    }
    let server = app.rest().server();
    for (origin, status) in [("http://localhost:3000", 403), (app.url.as_str(), 200)] {
        server.with("origin", origin).raw(Method::POST, "/graphql", body()).await.json(status);
    }
    app.stop().await;
}
