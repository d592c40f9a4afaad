//! Who may use the Svix API.

use std::sync::Arc;

use postern_domain::time::{Clock, FixedClock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use super::{below, endpoint, id, owner, refused};
use crate::support::{App, receiver::Receiver};

/// Each route, with ids that are nobody's.
fn routes(app: &App) -> Vec<(Method, String, Option<Value>)> {
    let (e, m, a) = (
        "ep_00000000000000000000000000000001",
        "msg_00000000000000000000000000000001",
        "atmpt_00000000000000000000000000000001",
    );
    let since = json!({ "since": "2030-01-01T00:00:00Z" });
    let with_body = |method: Method, path: String, body: Value| (method, below(app, &path), Some(body));
    let mut routes = vec![
        with_body(Method::POST, "/endpoint".to_owned(), json!({ "url": "https://example.com/" })),
        with_body(Method::PUT, format!("/endpoint/{e}"), json!({ "url": "https://example.com/" })),
        with_body(Method::PATCH, format!("/endpoint/{e}"), json!({})),
        with_body(Method::POST, format!("/endpoint/{e}/secret/rotate"), json!({})),
        with_body(Method::PUT, format!("/endpoint/{e}/headers"), json!({ "headers": {} })),
        with_body(Method::PATCH, format!("/endpoint/{e}/headers"), json!({ "headers": {} })),
        with_body(Method::POST, format!("/endpoint/{e}/recover"), since.clone()),
        with_body(Method::POST, format!("/endpoint/{e}/replay-missing"), since),
        with_body(Method::POST, format!("/endpoint/{e}/send-example"), json!({ "eventType": "user.created" })),
        (Method::POST, below(app, "/msg"), None),
        (Method::POST, below(app, &format!("/msg/{m}/endpoint/{e}/resend")), None),
        (Method::DELETE, below(app, &format!("/endpoint/{e}")), None),
        (Method::DELETE, below(app, &format!("/msg/{m}/attempt/{a}/content")), None),
        (Method::GET, "/event-type".to_owned(), None),
        (Method::GET, "/event-type/user.created".to_owned(), None),
    ];
    routes.extend(
        [
            "/endpoint".to_owned(),
            format!("/endpoint/{e}"),
            format!("/endpoint/{e}/secret"),
            format!("/endpoint/{e}/headers"),
            format!("/endpoint/{e}/stats"),
            format!("/endpoint/{e}/msg"),
            "/msg".to_owned(),
            format!("/msg/{m}"),
            format!("/msg/{m}/endpoint"),
            format!("/attempt/endpoint/{e}"),
            format!("/attempt/msg/{m}"),
            format!("/msg/{m}/attempt/{a}"),
        ]
        .map(|path| (Method::GET, below(app, &path), None)),
    );
    routes
}

#[tokio::test]
async fn every_route_asks_for_a_token_of_its_project() {
    let app = App::start().await;
    let rest = app.rest();
    let internal = app.internal_rest();
    let token = internal.admin().post("/webhooks/svix-token", json!({})).await.json(201)["token"].clone();
    let stranger = rest.with("authorization", &format!("Bearer {}", token.as_str().unwrap()));
    let own = owner(&app).await;
    for (method, path, body) in routes(&app) {
        let what = format!("{method} {path}");
        for nobody in [
            rest.clone(),
            rest.with("authorization", "Bearer nonsense"),
            rest.with("authorization", "Bearer "),
            rest.with("authorization", token.as_str().unwrap()),
            rest.client(),
            rest.server(),
            rest.admin().with("x-stack-super-secret-admin-key", "sak_wrong"),
        ] {
            let answer = nobody.send(method.clone(), &path, body.clone()).await;
            refused(answer, 401, "authentication_failed");
        }
        if path.starts_with("/app/") {
            for other in [&stranger, &internal.admin()] {
                refused(other.send(method.clone(), &path, body.clone()).await, 404, "not_found");
            }
        }
        // With a token of the project it is the ids that are nobody's; whoever makes an endpoint has made one.
        let answer = own.send(method.clone(), &path, body.clone()).await;
        let status = answer.status.as_u16();
        let expected = match (&method, path.rsplit('/').next().unwrap()) {
            (&Method::GET, "endpoint" | "msg") if !path.contains("0001") => 200,
            (&Method::GET, "event-type" | "user.created") => 200,
            (&Method::POST, "endpoint") => 201,
            (&Method::POST, "msg") => 403,
            // Looked at before the endpoint is: the window lies in the future.
            (&Method::POST, "recover" | "replay-missing") => 422,
            _ => 404,
        };
        assert_eq!(status, expected, "{what}: {}", answer.text);
    }
    // The token opens nothing else.
    for path in ["/users", "/internal/projects/current", "/internal/api-keys"] {
        own.get(path).await.refused(400, "ACCESS_TYPE_REQUIRED");
    }
    let made = own.get(&below(&app, "/endpoint")).await.json(200);
    assert_eq!(made["data"].as_array().unwrap().len(), 1);
    assert_eq!(rest.admin().get(&below(&app, "/endpoint")).await.json(200), made);
    app.stop().await;
}

#[tokio::test]
async fn a_token_is_made_by_administrators_and_ends() {
    let clock = Arc::new(FixedClock::at(SystemClock.now()));
    let app = App::builder().clock(clock.clone()).start().await;
    let rest = app.rest();
    for client in [rest.client(), rest.server()] {
        client.post("/webhooks/svix-token", json!({})).await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    }
    rest.post("/webhooks/svix-token", json!({})).await.refused(400, "ACCESS_TYPE_REQUIRED");
    rest.admin().post("/webhooks/svix-token", json!({ "url": "x" })).await.refused(400, "SCHEMA_ERROR");
    let answer = rest.admin().post("/webhooks/svix-token", json!({})).await.json(201);
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["token"]);
    let own = owner(&app).await;
    let path = below(&app, "/endpoint");
    clock.advance_seconds(28 * 86_400 - 10);
    own.get(&path).await.json(200);
    clock.advance_seconds(10);
    refused(own.get(&path).await, 401, "authentication_failed");
    app.stop().await;
}

#[tokio::test]
async fn a_token_dies_with_its_project() {
    let app = App::start().await;
    let own = owner(&app).await;
    own.get(&below(&app, "/endpoint")).await.json(200);
    app.rest().admin().delete("/internal/projects/current").await.json(200);
    // A gateway knows a project for at most five seconds longer.
    let path = below(&app, "/endpoint");
    let gone = crate::support::eventually("the end of the token", async || {
        let answer = own.get(&path).await;
        (answer.status == 401).then_some(answer)
    })
    .await;
    refused(gone, 401, "authentication_failed");
    app.stop().await;
}

#[tokio::test]
async fn ids_have_their_own_spelling_and_bodies_their_form() {
    let app = App::start().await;
    let (own, receiver) = (owner(&app).await, Receiver::start().await);
    let made = endpoint(&app, &own, &receiver).await;
    let uuid = uuid::Uuid::parse_str(id(&made).strip_prefix("ep_").unwrap()).unwrap();
    for text in
        [uuid.to_string(), uuid.simple().to_string(), id(&made).to_uppercase(), "ep_".to_owned(), "x".to_owned()]
    {
        refused(own.get(&below(&app, &format!("/endpoint/{text}"))).await, 404, "not_found");
    }
    let path = format!("/api/v1{}", below(&app, "/endpoint"));
    for (content_type, body) in [("application/json", "{"), ("application/json", ""), ("application/xml", "<a/>")] {
        let answer = own.raw(Method::POST, &path, Some((content_type, body.to_owned()))).await;
        refused(answer, 400, "bad_request");
    }
    let long = json!({ "url": "x".repeat(1024 * 1024) }).to_string();
    refused(own.raw(Method::POST, &path, Some(("application/json", long))).await, 413, "limit_reached");
    app.stop().await;
}
