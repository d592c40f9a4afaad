//! Who asks: every row of the ordered table in the wire facts (requests-and-errors §3), with both families of headers.

use std::sync::Arc;

use postern_domain::time::{Clock, FixedClock, SystemClock};
use serde_json::{Value, json};

use crate::support::{App, client::Client};

/// Any client may ask this.
const FOR_CLIENTS: &str = "/projects/current";
/// Servers and administrators may ask this.
const FOR_SERVERS: &str = "/users";
/// Administrators may ask this.
const FOR_ADMINS: &str = "/internal/api-keys";

/// Signs a user up and answers its access token.
async fn token(client: &Client, email: &str) -> String {
    let tokens = client
        .client()
        .post("/auth/password/sign-up", json!({"email": email, "password": "correct horse"}))
        .await
        .json(200);
    tokens["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn rows_1_to_4_the_access_type() {
    let app = App::start().await;
    let rest = app.rest();
    for (header, value) in [
        ("x-stack-publishable-client-key", "pck_x"),
        ("x-stack-secret-server-key", "ssk_x"),
        ("x-hexclave-super-secret-admin-key", "sak_x"),
        ("x-hexclave-admin-access-token", "token"),
    ] {
        let keyed = rest.with(header, value);
        assert_eq!(keyed.get(FOR_CLIENTS).await.refused(400, "PROJECT_KEY_WITHOUT_ACCESS_TYPE"), Value::Null);
    }
    rest.with("x-stack-publishable-client-key", "").get(FOR_CLIENTS).await.refused(400, "ACCESS_TYPE_REQUIRED");
    rest.get(FOR_CLIENTS).await.refused(400, "ACCESS_TYPE_REQUIRED");
    rest.with("x-stack-access-type", "owner").get(FOR_CLIENTS).await.refused(400, "INVALID_ACCESS_TYPE");
    let details = rest
        .with("x-hexclave-access-type", "server")
        .get(FOR_SERVERS)
        .await
        .refused(400, "ACCESS_TYPE_WITHOUT_PROJECT_ID");
    assert_eq!(details, json!({"request_type": "server"}));
    app.stop().await;
}

#[tokio::test]
async fn row_5_the_users_token() {
    let clock = Arc::new(FixedClock::at(SystemClock.now()));
    let app = App::builder().clock(clock.clone()).start().await;
    let rest = app.rest();
    let good = token(&rest, "ada@example.com").await;
    let me = rest.client().user(&good).get("/users/me").await.json(200);
    assert_eq!(me["primary_email"], "ada@example.com");
    rest.client().with("x-hexclave-access-token", &good).get("/users/me").await.json(200);

    let (head, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for bad in ["nonsense".to_owned(), format!("{head}.{flipped}{}", &signature[1..]), format!("{head}.")] {
        rest.client().user(&bad).get("/users/me").await.refused(401, "UNPARSABLE_ACCESS_TOKEN");
    }

    let foreign = token(&app.internal_rest(), "owner@example.com").await;
    let details = rest.client().user(&foreign).get("/users/me").await.refused(401, "INVALID_PROJECT_FOR_ACCESS_TOKEN");
    assert_eq!(details["expected_project_id"], app.demo.project_id);
    assert_eq!(details["actual_project_id"], "internal");

    let anonymous = rest.client().post("/auth/anonymous/sign-up", json!({})).await.json(200);
    let anonymous = anonymous["access_token"].as_str().unwrap();
    rest.client().user(anonymous).get("/users/me").await.refused(401, "ANONYMOUS_AUTHENTICATION_NOT_ALLOWED");
    let allowed = rest.client().user(anonymous).with("x-stack-allow-anonymous-user", "true").get("/users/me").await;
    assert_eq!(allowed.json(200)["is_anonymous"], true);

    let id = me["id"].as_str().unwrap();
    rest.server().patch(&format!("/users/{id}"), json!({"restricted_by_admin": true})).await.json(200);
    let signed_in = json!({"email": "ada@example.com", "password": "correct horse"});
    let restricted = rest.client().post("/auth/password/sign-in", signed_in).await.json(200);
    let restricted = restricted["access_token"].as_str().unwrap();
    let details = rest.client().user(restricted).get("/users/me").await.refused(403, "RESTRICTED_USER_NOT_ALLOWED");
    assert_eq!(details, json!({"restricted_reason": {"type": "restricted_by_administrator"}}));
    rest.client().user(restricted).with("x-stack-allow-restricted-user", "true").get("/users/me").await.json(200);
    rest.client().user(restricted).with("x-stack-allow-anonymous-user", "true").get("/users/me").await.json(200);

    clock.advance_seconds(601);
    let details = rest.client().user(&good).get("/users/me").await.refused(401, "ACCESS_TOKEN_EXPIRED");
    assert_eq!(details["project_id"], app.demo.project_id);
    assert_eq!(details["user_id"], id);
    assert!(details["expired_at_millis"].is_i64());
    app.stop().await;
}

#[tokio::test]
async fn row_6_and_10_project_and_branch() {
    let app = App::start().await;
    let rest = app.rest();
    let nowhere = "6c7d9f2e-8c11-4d0d-9a55-0b3b0c6f6c55";
    let details = rest
        .client()
        .with("x-stack-project-id", nowhere)
        .get(FOR_CLIENTS)
        .await
        .refused(400, "CURRENT_PROJECT_NOT_FOUND");
    assert_eq!(details, json!({"project_id": nowhere}));
    rest.client()
        .with("x-stack-project-id", "not an id")
        .get(FOR_CLIENTS)
        .await
        .refused(400, "CURRENT_PROJECT_NOT_FOUND");
    let details =
        rest.client().with("x-stack-branch-id", "other").get(FOR_CLIENTS).await.refused(400, "BRANCH_DOES_NOT_EXIST");
    assert_eq!(details, json!({"branch_id": "other"}));
    rest.client().with("x-stack-branch-id", "main").get(FOR_CLIENTS).await.json(200);
    // Keys come before the branch, so that branches cannot be probed.
    let wrong = rest.server().with("x-stack-secret-server-key", "ssk_wrong").with("x-stack-branch-id", "other");
    wrong.get(FOR_SERVERS).await.refused(401, "INVALID_SECRET_SERVER_KEY");
    app.stop().await;
}

#[tokio::test]
async fn row_8_administration_by_token() {
    let clock = Arc::new(FixedClock::at(SystemClock.now()));
    let app = App::builder().clock(clock.clone()).start().await;
    let internal = app.internal_rest();
    let owner = token(&internal, "owner@example.com").await;
    let team = internal.client().user(&owner).get("/users/me").await.json(200)["selected_team_id"].clone();
    let made = internal
        .client()
        .user(&owner)
        .post("/internal/projects", json!({"display_name": "Shop", "owner_team_id": team}))
        .await
        .json(201);
    let shop = app.rest().with("x-stack-project-id", made["id"].as_str().unwrap());
    // The token replaces every key, whatever the access type.
    for (access_type, path) in [("client", FOR_CLIENTS), ("server", FOR_SERVERS), ("admin", FOR_ADMINS)] {
        let shop = shop.with("x-stack-access-type", access_type);
        shop.with("x-stack-admin-access-token", &owner).get(path).await.json(200);
        shop.with("x-hexclave-admin-access-token", &owner)
            .with("x-stack-secret-server-key", "")
            .get(path)
            .await
            .json(200);
    }
    let shop = shop.with("x-stack-access-type", "admin");
    let stranger = token(&internal, "stranger@example.com").await;
    let token_of_demo = token(&app.rest(), "ada@example.com").await;
    for (bad, code) in [
        (stranger.as_str(), "ADMIN_ACCESS_TOKEN_IS_NOT_ADMIN"),
        (token_of_demo.as_str(), "ADMIN_ACCESS_TOKEN_IS_NOT_ADMIN"),
        ("nonsense", "UNPARSABLE_ADMIN_ACCESS_TOKEN"),
    ] {
        let client = shop.with("x-stack-admin-access-token", bad);
        client.get(FOR_ADMINS).await.refused(401, code);
    }
    clock.advance_seconds(601);
    let client = shop.with("x-stack-admin-access-token", &owner);
    client.get(FOR_ADMINS).await.refused(401, "ADMIN_ACCESS_TOKEN_EXPIRED");
    app.stop().await;
}

#[tokio::test]
async fn row_9_keys() {
    let app = App::start().await;
    let rest = app.rest();
    let bare = rest.with("x-stack-project-id", &app.demo.project_id);
    // Client: no key is fine unless the project asks for one; a key that is given must be right.
    bare.with("x-stack-access-type", "client").get(FOR_CLIENTS).await.json(200);
    let sentinel = "__stack_public_client__";
    let client = bare.with("x-stack-access-type", "client");
    client.with("x-stack-publishable-client-key", sentinel).get(FOR_CLIENTS).await.json(200);
    let details = client
        .with("x-stack-publishable-client-key", "pck_wrong")
        .get(FOR_CLIENTS)
        .await
        .refused(401, "INVALID_PUBLISHABLE_CLIENT_KEY");
    assert_eq!(details, json!({"project_id": app.demo.project_id}));
    let required = json!({"config_override_string": "{\"project.requirePublishableClientKey\": true}"});
    rest.admin().patch("/internal/config/override/project", required).await.json(200);
    for client in [client.clone(), client.with("x-stack-publishable-client-key", sentinel)] {
        client.get(FOR_CLIENTS).await.refused(401, "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT");
    }
    rest.client().get(FOR_CLIENTS).await.json(200);

    // Only the key of the stated type counts.
    let server = bare.with("x-stack-access-type", "server");
    server.get(FOR_SERVERS).await.refused(401, "SERVER_AUTHENTICATION_REQUIRED");
    server
        .with("x-stack-secret-server-key", &app.internal.server)
        .get(FOR_SERVERS)
        .await
        .refused(401, "INVALID_SECRET_SERVER_KEY");
    server
        .with("x-stack-secret-server-key", &app.demo.admin)
        .get(FOR_SERVERS)
        .await
        .refused(401, "INVALID_SECRET_SERVER_KEY");
    server
        .with("x-stack-super-secret-admin-key", &app.demo.admin)
        .get(FOR_SERVERS)
        .await
        .refused(401, "SERVER_AUTHENTICATION_REQUIRED");
    rest.server().get(FOR_SERVERS).await.json(200);
    let admin = bare.with("x-stack-access-type", "admin");
    admin.get(FOR_ADMINS).await.refused(401, "ADMIN_AUTHENTICATION_REQUIRED");
    admin
        .with("x-stack-super-secret-admin-key", "sak_x")
        .get(FOR_ADMINS)
        .await
        .refused(401, "INVALID_SUPER_SECRET_ADMIN_KEY");
    rest.admin().get(FOR_ADMINS).await.json(200);

    // A revoked key is refused.
    let keys = json!({
        "description": "to revoke", "expires_at_millis": 4_102_444_800_000_i64, "has_publishable_client_key": false,
        "has_secret_server_key": true, "has_super_secret_admin_key": false,
    });
    let set = rest.admin().post("/internal/api-keys", keys).await.json(200);
    let keyed = server.with("x-stack-secret-server-key", set["secret_server_key"].as_str().unwrap());
    keyed.get(FOR_SERVERS).await.json(200);
    let path = format!("/internal/api-keys/{}", set["id"].as_str().unwrap());
    rest.admin().patch(&path, json!({"revoked": true})).await.json(200);
    keyed.get(FOR_SERVERS).await.refused(401, "INVALID_SECRET_SERVER_KEY");
    app.stop().await;
}

#[tokio::test]
async fn the_level_is_checked_before_the_schema() {
    let app = App::start().await;
    let details = app.rest().client().get("/users/123").await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    assert_eq!(details, json!({"actual_access_type": "client", "allowed_access_types": ["server", "admin"]}));
    let details = app.rest().server().get(FOR_ADMINS).await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    assert_eq!(details, json!({"actual_access_type": "server", "allowed_access_types": ["admin"]}));
    app.rest().server().get("/users/123").await.refused(400, "SCHEMA_ERROR");
    app.rest().client().get("/users/me").await.refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
    app.stop().await;
}

#[tokio::test]
async fn row_11_a_token_of_a_deleted_user_is_no_user() {
    let app = App::start().await;
    let rest = app.rest();
    let token = token(&rest, "ada@example.com").await;
    let id = rest.client().user(&token).get("/users/me").await.json(200)["id"].as_str().unwrap().to_owned();
    rest.server().delete(&format!("/users/{id}")).await.json(200);
    rest.client().user(&token).get("/users/me").await.refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
    app.stop().await;
}
