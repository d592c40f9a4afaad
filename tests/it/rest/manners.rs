//! What holds for every REST request: bodies, statuses, headers, CORS, request ids.

use reqwest::Method;
use serde_json::json;

use crate::support::App;

#[tokio::test]
async fn bodies_are_parsed_before_anything_else() {
    let app = App::start().await;
    let path = "/api/v1/auth/password/sign-in";
    for (content_type, body) in [
        ("application/json", "{\"email\": "),
        ("application/json", ""),
        ("application/xml", "<a/>"),
        ("application/JSON", "{}"),
    ] {
        let answer = app.rest().raw(Method::POST, path, Some((content_type, body.to_owned()))).await;
        answer.refused(400, "BODY_PARSING_ERROR");
    }
    let client = app.rest().client();
    let form = "email=ada%40example.com&password=wrong".to_owned();
    let answer = client.raw(Method::POST, path, Some(("application/x-www-form-urlencoded; charset=utf-8", form))).await;
    answer.refused(400, "EMAIL_PASSWORD_MISMATCH");
    let answer = client.raw(Method::POST, path, None).await;
    let message = answer.refused(400, "SCHEMA_ERROR")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("body is required"), "{message}");
    app.stop().await;
}

#[tokio::test]
async fn every_violation_is_named_in_one_answer() {
    let app = App::start().await;
    let body = json!({"email": "no address", "password": "x".repeat(71), "surplus": 1, "verification_callback_url": 5});
    let answer = app.rest().client().post("/auth/password/sign-up", body).await;
    let message = answer.refused(400, "SCHEMA_ERROR")["message"].as_str().unwrap().to_owned();
    for part in
        ["POST /api/v1/auth/password/sign-up", "body.email", "body.password", "surplus", "verification_callback_url"]
    {
        assert!(message.contains(part), "{part} is not named in {message}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_over_long_body_is_refused() {
    let app = App::start().await;
    let body = json!({"email": "a@example.com", "password": "x".repeat(1024 * 1024)}).to_string();
    let answer =
        app.rest().client().raw(Method::POST, "/api/v1/auth/password/sign-up", Some(("application/json", body))).await;
    answer.refused_with_text(413);
    app.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_have_their_statuses() {
    let app = App::start().await;
    app.rest().get("/no/such/path").await.refused_with_text(404);
    app.rest().put("/users/me", json!({})).await.refused_with_text(405);
    let health = app.rest().raw(Method::GET, "/health", None).await;
    assert_eq!(health.headers["access-control-allow-origin"], "*");
    assert_eq!(health.json(200), json!({"status": "ok"}));
    app.stop().await;
}

#[tokio::test]
async fn refusals_can_be_asked_for_as_200() {
    let app = App::start().await;
    for family in ["x-stack", "x-hexclave"] {
        let client = app.rest().client().with(&format!("{family}-override-error-status"), "true");
        let answer = client.get("/users/me").await;
        assert_eq!(answer.headers["x-stack-actual-status"], "400");
        assert_eq!(answer.headers["x-hexclave-actual-status"], "400");
        answer.refused(200, "CANNOT_GET_OWN_USER_WITHOUT_USER");
        assert!(client.get("/projects/current").await.headers.get("x-stack-actual-status").is_none());
    }
    app.stop().await;
}

#[tokio::test]
async fn answers_carry_an_id_and_are_not_cached() {
    let app = App::start().await;
    let first = app.rest().client().get("/projects/current").await;
    let second = app.rest().get("/projects/current").await;
    for answer in [&first, &second] {
        let id = answer.headers["x-stack-request-id"].to_str().unwrap();
        assert_eq!(id.len(), 16);
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        assert_eq!(answer.headers["cache-control"], "no-store, max-age=0");
        assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    }
    assert_ne!(first.headers["x-stack-request-id"], second.headers["x-stack-request-id"]);
    app.stop().await;
}

#[tokio::test]
async fn browsers_may_call_from_anywhere() {
    let app = App::start().await;
    let preflight = app.rest().raw(Method::OPTIONS, "/api/v1/users/me", None).await;
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.text, "");
    assert_eq!(preflight.headers["access-control-allow-origin"], "*");
    assert_eq!(preflight.headers["access-control-max-age"], "86400");
    let allowed = preflight.headers["access-control-allow-headers"].to_str().unwrap();
    for name in
        ["content-type", "x-stack-access-token", "x-hexclave-access-token", "x-stack-api-key", "idempotency-key"]
    {
        assert!(allowed.split(", ").any(|allowed| allowed == name), "{name} is not in {allowed}");
    }
    assert!(preflight.headers.get("access-control-allow-credentials").is_none());
    let refused = app.rest().get("/users/me").await;
    assert_eq!(refused.headers["access-control-allow-origin"], "*");
    let exposed = refused.headers["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.contains("x-stack-known-error") && exposed.contains("x-hexclave-actual-status"));
    app.stop().await;
}

#[tokio::test]
async fn both_versions_answer_alike() {
    let app = App::start().await;
    let client = app.rest().client();
    let v1 = client.raw(Method::GET, "/api/v1/projects/current", None).await.json(200);
    let latest = client.raw(Method::GET, "/api/latest/projects/current", None).await.json(200);
    assert_eq!(v1, latest);
    app.stop().await;
}

#[tokio::test]
async fn a_database_out_of_reach_is_told_as_unavailable_by_both_doors() {
    let app = App::start().await;
    let server = app.rest().server();
    server.post("/users", json!({})).await.json(201);
    app.deps().db.close().await.unwrap();

    let answer = server.post("/users", json!({})).await;
    assert_eq!(answer.headers["retry-after"], "2");
    assert!(answer.refused_with_text(503).contains("Try again"));
    let mutation = "mutation { createUser(input: {}) { user { id } } }";
    let answer = server.with("accept", "application/json").graphql(mutation, json!({})).await;
    assert_eq!(answer.headers["retry-after"], "2");
    let body: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    let extensions = &body["errors"][0]["extensions"];
    assert_eq!((&extensions["code"], &extensions["status"]), (&json!("UNAVAILABLE"), &json!(503)), "{body}");
    assert_eq!(extensions["retryAfterSeconds"], 2);
}
