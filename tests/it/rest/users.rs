//! `/users`: every field at every level, lists, and what deletion takes along.

use serde_json::{Value, json};

use crate::support::{App, client::Client};

const CLIENT_FIELDS: [&str; 20] = [
    "auth_with_email",
    "client_metadata",
    "client_read_only_metadata",
    "display_name",
    "has_password",
    "id",
    "is_anonymous",
    "is_restricted",
    "oauth_providers",
    "otp_auth_enabled",
    "passkey_auth_enabled",
    "primary_email",
    "primary_email_verified",
    "profile_image_url",
    "requires_totp_mfa",
    "restricted_by_admin",
    "restricted_by_admin_reason",
    "restricted_reason",
    "selected_team",
    "selected_team_id",
];
const SERVER_ONLY_FIELDS: [&str; 6] = [
    "country_code",
    "last_active_at_millis",
    "primary_email_auth_enabled",
    "restricted_by_admin_private_details",
    "risk_scores",
    "server_metadata",
];

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn sign_up(client: &Client, email: &str) -> Client {
    let body = json!({"email": email, "password": "correct horse"});
    let tokens = client.client().post("/auth/password/sign-up", body).await.json(200);
    client.client().user(tokens["access_token"].as_str().unwrap())
}

async fn create(server: &Client, body: Value) -> Value {
    server.post("/users", body).await.json(201)
}

#[tokio::test]
async fn a_client_sees_and_changes_its_own_fields_only() {
    let app = App::start().await;
    let rest = app.rest();
    let ada = sign_up(&rest, "Ada@Example.com").await;
    let me = ada.get("/users/me").await.json(200);
    let mut expected: Vec<_> = CLIENT_FIELDS.into_iter().chain(["signed_up_at_millis"]).collect();
    expected.sort_unstable();
    assert_eq!(keys(&me), expected);
    assert_eq!(me["primary_email"], "ada@example.com");
    assert_eq!(me["has_password"], true);
    assert_eq!(me["auth_with_email"], true);
    assert_eq!(me["primary_email_verified"], false);

    let body = json!({"display_name": "Ada", "client_metadata": {"theme": ["dark", 1]}});
    let changed = ada.patch("/users/me", body).await.json(200);
    assert_eq!(changed["display_name"], "Ada");
    assert_eq!(changed["client_metadata"], json!({"theme": ["dark", 1]}));
    assert_eq!(ada.patch("/users/me", json!({"display_name": ""})).await.json(200)["display_name"], Value::Null);

    for field in ["server_metadata", "client_read_only_metadata", "is_anonymous", "password", "restricted_by_admin"] {
        let refused = ada.patch("/users/me", json!({ field: null })).await;
        let message = refused.refused(400, "SCHEMA_ERROR")["message"].to_string();
        assert!(message.contains(field), "{field} is not named in {message}");
    }
    ada.patch("/users/me", json!({"display_name": "x".repeat(257)})).await.refused(400, "SCHEMA_ERROR");
    ada.delete("/users/me").await.refused_with_text(400);
    app.stop().await;
}

#[tokio::test]
async fn a_server_sees_and_changes_every_field() {
    let app = App::start().await;
    let server = app.rest().server();
    let made = create(
        &server,
        json!({
            "primary_email": " Grace@Example.com ", "primary_email_verified": true, "primary_email_auth_enabled": true,
            "display_name": "Grace", "server_metadata": {"plan": "pro"}, "client_read_only_metadata": [1], "password": "pw",
            "country_code": " us ", "risk_scores": {"sign_up": {"bot": 7, "free_trial_abuse": "8"}},
        }),
    )
    .await;
    let mut expected: Vec<_> =
        CLIENT_FIELDS.into_iter().chain(SERVER_ONLY_FIELDS).chain(["signed_up_at_millis"]).collect();
    expected.sort_unstable();
    assert_eq!(keys(&made), expected);
    assert_eq!(made["primary_email"], "grace@example.com");
    assert_eq!(made["primary_email_verified"], true);
    assert_eq!(made["primary_email_auth_enabled"], true);
    assert_eq!(made["country_code"], "US");
    assert_eq!(made["risk_scores"], json!({"sign_up": {"bot": 7, "free_trial_abuse": 8}}));
    assert_eq!(made["server_metadata"], json!({"plan": "pro"}));

    let path = format!("/users/{}", made["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.json(200), made);
    let body = json!({"server_metadata": null, "restricted_by_admin": true, "restricted_by_admin_reason": "spam"});
    let changed = server.patch(&path, body).await.json(200);
    assert_eq!(changed["server_metadata"], Value::Null);
    assert_eq!(changed["is_restricted"], true);
    assert_eq!(changed["restricted_reason"], json!({"type": "restricted_by_administrator"}));
    let freed = server.patch(&path, json!({"restricted_by_admin": false})).await.json(200);
    assert_eq!(freed["restricted_by_admin_reason"], Value::Null);
    server.patch(&path, json!({"restricted_by_admin_reason": "why"})).await.refused(400, "SCHEMA_ERROR");
    server.patch(&path, json!({"is_anonymous": true})).await.refused(400, "SCHEMA_ERROR");
    server.patch(&path, json!({"country_code": "USA"})).await.refused(400, "SCHEMA_ERROR");
    app.stop().await;
}

#[tokio::test]
async fn an_address_signs_one_user_in_whoever_comes_first() {
    let app = App::start().await;
    let server = app.rest().server();
    let body = json!({"primary_email": "race@example.com", "primary_email_auth_enabled": true});
    let racers = futures::future::join_all((0..20).map(|_| server.post("/users", body.clone()))).await;
    let (made, refused): (Vec<_>, Vec<_>) = racers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    for answer in refused {
        let details = answer.refused(409, "USER_EMAIL_ALREADY_EXISTS");
        assert_eq!(details, json!({"email": "race@example.com", "would_work_if_email_was_verified": false}));
    }
    // Without sign-in, an address may stand at several users.
    create(&server, json!({"primary_email": "race@example.com"})).await;
    app.stop().await;
}

#[tokio::test]
async fn lists_are_paged_ordered_and_searched() {
    let app = App::start().await;
    let server = app.rest().server();
    let mut ids = Vec::new();
    for n in 0..5 {
        let user = create(
            &server,
            json!({"primary_email": format!("user{n}@example.com"), "display_name": format!("Nö {n}")}),
        )
        .await;
        ids.push(user["id"].as_str().unwrap().to_owned());
    }
    create(&server, json!({"is_anonymous": true})).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.get(&format!("/users?limit=2&desc=true{cursor}")).await.json(200);
        assert_eq!(page["is_paginated"], true);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|user| user["id"].as_str().unwrap().to_owned()));
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut expected = ids.clone();
    expected.sort();
    seen.sort();
    assert_eq!(seen, expected);

    let count = |page: Value| page["items"].as_array().unwrap().len();
    assert_eq!(count(server.get("/users?query=user3%40EXAMPLE").await.json(200)), 1);
    assert_eq!(count(server.get("/users?query=n%C3%B6").await.json(200)), 5);
    assert_eq!(count(server.get("/users?query=%25").await.json(200)), 0);
    assert_eq!(count(server.get(&format!("/users?query={}", ids[2])).await.json(200)), 1);
    assert_eq!(count(server.get("/users?include_anonymous=true").await.json(200)), 6);
    assert_eq!(count(server.get("/users?include_anonymous=true&only_anonymous=true").await.json(200)), 1);
    server.get("/users?only_anonymous=true").await.refused_with_text(400);
    server.get("/users?limit=0").await.refused(400, "SCHEMA_ERROR");
    server.get("/users?order_by=name").await.refused(400, "SCHEMA_ERROR");
    server.get("/users?surplus=1").await.refused(400, "SCHEMA_ERROR");
    assert_eq!(count(server.get("/users?team_id=6c7d9f2e-8c11-4d0d-9a55-0b3b0c6f6c55").await.json(200)), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_foreign_or_unknown_user_is_not_found() {
    let app = App::start().await;
    let server = app.rest().server();
    let foreign = create(&app.internal_rest().server(), json!({"display_name": "Not yours"})).await;
    let id = foreign["id"].as_str().unwrap();
    for path in [format!("/users/{id}"), "/users/6c7d9f2e-8c11-4d0d-9a55-0b3b0c6f6c55".to_owned()] {
        server.get(&path).await.refused(404, "USER_NOT_FOUND");
        server.patch(&path, json!({"display_name": "Mine"})).await.refused(404, "USER_NOT_FOUND");
        server.delete(&path).await.refused(404, "USER_NOT_FOUND");
    }
    let untouched = app.internal_rest().server().get(&format!("/users/{id}")).await.json(200);
    assert_eq!(untouched["display_name"], "Not yours");
    server.get("/users/123").await.refused(400, "SCHEMA_ERROR");
    server.get("/users/me").await.refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
    app.stop().await;
}

#[tokio::test]
async fn a_deleted_user_is_signed_out_everywhere() {
    let app = App::start().await;
    let rest = app.rest();
    let body = json!({"email": "ada@example.com", "password": "correct horse"});
    let tokens = rest.client().post("/auth/password/sign-up", body.clone()).await.json(200);
    let path = format!("/users/{}", tokens["user_id"].as_str().unwrap());
    assert_eq!(rest.server().delete(&path).await.json(200), json!({"success": true}));
    rest.server().get(&path).await.refused(404, "USER_NOT_FOUND");
    rest.client().post("/auth/password/sign-in", body.clone()).await.refused(400, "EMAIL_PASSWORD_MISMATCH");
    let refresh = rest.client().with("x-stack-refresh-token", tokens["refresh_token"].as_str().unwrap());
    let refused = refresh.post("/auth/sessions/current/refresh", json!({})).await;
    refused.refused(401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
    rest.client().post("/auth/password/sign-up", body).await.json(200);
    app.stop().await;
}

#[tokio::test]
async fn an_administrator_sees_whom_verification_would_restrict() {
    let app = App::start().await;
    let (server, admin) = (app.rest().server(), app.rest().admin());
    let path = "/internal/onboarding/preview-affected-users";
    let on = || json!({"onboarding": {"require_email_verification": true}});
    let make = async |body| server.post("/users", body).await.json(201)["id"].clone();
    let older = make(json!({"display_name": "Ada"})).await;
    let newer = make(json!({"primary_email": "b@example.com"})).await;
    make(json!({"primary_email": "c@example.com", "primary_email_verified": true})).await;
    make(json!({"is_anonymous": true})).await;
    let answer = admin.post(path, on()).await.json(200);
    let reason = json!({"type": "email_not_verified"});
    let mut named = answer["affected_users"].as_array().unwrap().clone();
    named.sort_by_key(|user| user["id"] != newer);
    assert_eq!(
        named,
        [
            json!({"id": newer, "display_name": null, "primary_email": "b@example.com", "restricted_reason": reason}),
            json!({"id": older, "display_name": "Ada", "primary_email": null, "restricted_reason": reason}),
        ]
    );
    assert_eq!(answer["total_affected_count"], 2);
    let one = admin.post(&format!("{path}?limit=1"), on()).await.json(200);
    assert_eq!((one["affected_users"].as_array().unwrap().len(), &one["total_affected_count"]), (1, &json!(2)));
    let none = json!({"affected_users": [], "total_affected_count": 0});
    assert_eq!(admin.post(path, json!({"onboarding": {}})).await.json(200), none);
    let config = json!({"config": {"require_email_verification": true}});
    admin.patch("/internal/projects/current", config).await.json(200);
    assert_eq!(admin.post(path, on()).await.json(200), none);
    admin.post(path, json!({})).await.refused(400, "SCHEMA_ERROR");
    admin.post(&format!("{path}?limit=101"), on()).await.refused(400, "SCHEMA_ERROR");
    server.post(path, on()).await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    app.stop().await;
}
