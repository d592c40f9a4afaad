//! Sessions and passwords: `/auth/sessions`, `/auth/password`, and what a stop leaves behind.

use std::sync::Arc;

use postern_domain::{Actor, Deps, Level, ProjectId, Timestamp, sessions as domain, signal::Signals, time::FixedClock};
use serde_json::{Value, json};

use crate::support::{App, client::Client};

const PASSWORD: &str = "correct horse";
/// 2026-01-02T03:04:05Z
const START: Timestamp = Timestamp(1_767_323_045_000);

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is missing: {value}")).to_owned()
}

async fn sign_up(rest: &Client, email: &str) -> Value {
    rest.client().post("/auth/password/sign-up", json!({"email": email, "password": PASSWORD})).await.json(200)
}

async fn sign_in(rest: &Client, email: &str, password: &str) -> Value {
    rest.client().post("/auth/password/sign-in", json!({"email": email, "password": password})).await.json(200)
}

/// The user of an answer that signed somebody in.
fn user(rest: &Client, tokens: &Value) -> Client {
    rest.client().user(&text(tokens, "access_token"))
}

async fn refresh(rest: &Client, tokens: &Value) -> crate::support::client::Answer {
    let client = rest.client().with("x-stack-refresh-token", &text(tokens, "refresh_token"));
    client.post("/auth/sessions/current/refresh", json!({})).await
}

#[tokio::test]
async fn sessions_are_listed_ended_and_signed_out_of() {
    let app = App::start().await;
    let rest = app.rest();
    let first = sign_up(&rest, "ada@example.com").await;
    let second = sign_in(&rest, "ADA@example.com", PASSWORD).await;
    assert_eq!(first["user_id"], second["user_id"]);
    let ada = user(&rest, &second);

    let listed = ada.get("/auth/sessions?user_id=me").await.json(200);
    assert_eq!(listed["is_paginated"], json!(false));
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let current: Vec<_> = items.iter().filter(|item| item["is_current_session"] == json!(true)).collect();
    let other: Vec<_> = items.iter().filter(|item| item["is_current_session"] == json!(false)).collect();
    assert_eq!((current.len(), other.len()), (1, 1));
    let (current, other) = (text(current[0], "id"), text(other[0], "id"));

    ada.delete(&format!("/auth/sessions/{current}?user_id=me")).await.refused(400, "CANNOT_DELETE_CURRENT_SESSION");
    let stranger = user(&rest, &sign_up(&rest, "eve@example.com").await);
    assert_eq!(stranger.delete(&format!("/auth/sessions/{other}?user_id=me")).await.status, 404);
    assert_eq!(stranger.get(&format!("/auth/sessions?user_id={}", text(&first, "user_id"))).await.status, 403);
    refresh(&rest, &first).await.json(200);

    // As the client does that acts for a user, and as the one of a server does, which names no user.
    ada.delete(&format!("/auth/sessions/{other}?user_id=me")).await.json(200);
    refresh(&rest, &first).await.refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
    assert_eq!(rest.server().delete(&format!("/auth/sessions/{other}")).await.status, 404);

    ada.delete("/auth/sessions/current").await.json(200);
    ada.delete("/auth/sessions/current").await.refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
    rest.client().delete("/auth/sessions/current").await.refused(401, "ACCESS_TOKEN_EXPIRED");
    refresh(&rest, &second).await.refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
    // REST takes the access token until it expires.
    ada.get("/users/me").await.json(200);
    app.stop().await;
}

#[tokio::test]
async fn a_server_begins_sessions_and_hides_impersonation_from_all_but_administrators() {
    let app = App::start().await;
    let rest = app.rest();
    let id = text(&rest.server().post("/users", json!({})).await.json(201), "id");
    let begun = rest.server().post("/auth/sessions", json!({"user_id": id, "is_impersonation": true})).await.json(200);
    assert_eq!(text(&user(&rest, &begun).get("/users/me").await.json(200), "id"), id);
    for (caller, seen) in [(user(&rest, &begun), 0), (rest.server(), 0), (rest.admin(), 1)] {
        let listed = caller.get(&format!("/auth/sessions?user_id={id}")).await.json(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), seen);
    }
    rest.client().post("/auth/sessions", json!({"user_id": id})).await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    let too_long = json!({"user_id": id, "expires_in_millis": 368_i64 * 24 * 60 * 60 * 1000});
    rest.server().post("/auth/sessions", too_long).await.refused(400, "SCHEMA_ERROR");
    let nobody = "11111111-1111-4111-8111-111111111111";
    let missing = rest.server().post("/auth/sessions", json!({"user_id": nobody})).await;
    assert_eq!(missing.refused(400, "USER_ID_DOES_NOT_EXIST"), json!({"user_id": nobody}));
    app.stop().await;
}

#[tokio::test]
async fn a_changed_password_keeps_only_the_session_that_is_named() {
    let app = App::start().await;
    let rest = app.rest();
    let kept = sign_up(&rest, "ada@example.com").await;
    let ended = sign_in(&rest, "ada@example.com", PASSWORD).await;
    let ada = user(&rest, &kept).with("x-stack-refresh-token", &text(&kept, "refresh_token"));
    let change = |old: &str| json!({"old_password": old, "new_password": "another horse"});
    ada.post("/auth/password/update", change("wrong horse")).await.refused(400, "PASSWORD_CONFIRMATION_MISMATCH");
    refresh(&rest, &ended).await.json(200);
    ada.post("/auth/password/update", change(PASSWORD)).await.json(200);
    refresh(&rest, &kept).await.json(200);
    refresh(&rest, &ended).await.refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    rest.client().post("/auth/password/sign-in", body).await.refused(400, "EMAIL_PASSWORD_MISMATCH");
    sign_in(&rest, "ada@example.com", "another horse").await;
    rest.client().post("/auth/password/update", change(PASSWORD)).await.refused(400, "SCHEMA_ERROR");
    app.stop().await;
}

#[tokio::test]
async fn refreshes_racing_a_sign_out_end_in_success_or_nothing_found() {
    let app = App::start().await;
    let rest = app.rest();
    let tokens = sign_up(&rest, "ada@example.com").await;
    let ada = user(&rest, &tokens);
    let refreshes = futures::future::join_all((0..20).map(|_| refresh(&rest, &tokens)));
    let (answers, signed_out) = tokio::join!(refreshes, ada.delete("/auth/sessions/current"));
    signed_out.json(200);
    for answer in answers {
        if answer.status != 200 {
            answer.refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn a_stop_writes_when_sessions_were_last_used() {
    let clock = Arc::new(FixedClock::at(START));
    let app = App::builder().clock(clock.clone()).start().await;
    let rest = app.rest();
    let tokens = sign_up(&rest, "ada@example.com").await;
    clock.advance_seconds(42);
    let browser = rest.with("user-agent", "Mozilla/5.0 (X11; Linux x86_64)");
    refresh(&browser, &tokens).await.json(200);
    let listed = user(&rest, &tokens).get("/auth/sessions?user_id=me").await.json(200);
    assert_eq!(listed["items"][0]["last_used_at"], json!(START.plus_seconds(42).millis()));
    assert_eq!(listed["items"][0]["last_used_at_end_user_ip_info"], json!({"ip": "127.0.0.1"}));

    let (deps, project) = (app.deps().clone(), ProjectId(app.demo.project_id.clone()));
    let _database = app.stop().await;
    // As the next process finds it.
    let deps = Deps { sessions: domain::Sessions::new(&Signals::default()), ..deps };
    let user_id = text(&tokens, "user_id").parse().unwrap();
    let found = domain::list(&deps, &Actor::new(project, Level::Admin, None), user_id).await.unwrap();
    assert_eq!((found.len(), found[0].last_used_at), (1, START.plus_seconds(42)));
}
