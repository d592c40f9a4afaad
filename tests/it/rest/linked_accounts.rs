//! `/oauth-providers` and `/connected-accounts`: forms, codes, and who may what.

use serde_json::{Value, json};

use super::teams::{NOBODY, user};
use crate::support::{App, client::Client};

const USED: &str = "OAUTH_PROVIDER_ACCOUNT_ID_ALREADY_USED_FOR_SIGN_IN";

/// Sets a few providers up, two of them of one type.
pub(super) async fn providers(rest: &Client) {
    let config = json!({
        "auth.oauth.providers.github": {"type": "github"}, "auth.oauth.providers.google": {"type": "google"},
        "auth.oauth.providers.work": {"type": "google"},
    });
    let config = json!({"config_override_string": config.to_string()});
    rest.admin().patch("/internal/config/override/environment", config).await.json(200);
}

pub(super) fn of(user: &str, provider: &str, account: &str) -> Value {
    json!({"user_id": user, "provider_config_id": provider, "account_id": account, "allow_sign_in": true,
        "allow_connected_accounts": true})
}

fn but(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

async fn linked(server: &Client, body: Value) -> Value {
    server.post("/oauth-providers", body).await.json(201)
}

#[tokio::test]
async fn a_link_has_the_form_of_the_contract_and_users_do_not_see_the_id_of_the_account() {
    let app = App::start().await;
    let rest = app.rest();
    providers(&rest).await;
    let (ada, own) = user(&rest, "ada@example.com").await;
    let server = rest.server();
    let link = linked(&server, but(of(&ada, "github", "1"), "email", json!("Ada@Example.com"))).await;
    let id = link["id"].as_str().unwrap();
    let expected = json!({"id": id, "user_id": ada, "email": "ada@example.com", "provider_config_id": "github",
        "type": "github", "allow_sign_in": true, "allow_connected_accounts": true, "account_id": "1"});
    assert_eq!(link, expected);
    let second = linked(&server, but(of(&ada, "work", "2"), "allow_connected_accounts", json!("false"))).await;
    assert_eq!(second["type"], "google");
    assert_eq!(second.get("email"), None);

    let mut seen = expected.clone();
    seen.as_object_mut().unwrap().remove("account_id");
    let path = format!("/oauth-providers/{ada}/{id}");
    assert_eq!(server.get(&path).await.json(200), expected);
    for path in [&path, &format!("/oauth-providers/me/{id}")] {
        assert_eq!(own.get(path).await.json(200), seen);
    }
    for (client, first) in [(&server, &expected), (&own, &seen)] {
        let list = client.get(&format!("/oauth-providers?user_id={ada}")).await.json(200);
        assert_eq!((&list["items"][0], &list["items"][1]["id"]), (first, &second["id"]), "oldest first");
        assert_eq!(list["is_paginated"], false);
    }
    assert_eq!(server.get("/oauth-providers").await.json(200)["items"].as_array().unwrap().len(), 2);
    let connected = json!([{"user_id": ada, "provider": "github", "provider_account_id": "1"}]);
    for (client, user) in [(&server, ada.as_str()), (&own, "me"), (&own, ada.as_str())] {
        assert_eq!(client.get(&format!("/connected-accounts/{user}")).await.json(200)["items"], connected);
    }
    // On the user the same accounts have another form, whatever they are good for.
    let accounts = json!([{"id": "github", "account_id": "1", "email": "ada@example.com"},
        {"id": "work", "account_id": "2", "email": null}]);
    assert_eq!(server.get(&format!("/users/{ada}")).await.json(200)["oauth_providers"], accounts);
    assert_eq!(own.get("/users/me").await.json(200)["oauth_providers"], accounts);
    app.stop().await;
}

#[tokio::test]
async fn users_change_what_their_links_are_good_for_and_servers_the_rest() {
    let app = App::start().await;
    let rest = app.rest();
    providers(&rest).await;
    let (ada, own) = user(&rest, "ada@example.com").await;
    let server = rest.server();
    let link = linked(&server, of(&ada, "github", "1")).await;
    let path = format!("/oauth-providers/{ada}/{}", link["id"].as_str().unwrap());
    let changed = own.patch(&path, json!({"allow_sign_in": false, "allow_connected_accounts": false})).await.json(200);
    assert_eq!((&changed["allow_sign_in"], &changed["allow_connected_accounts"]), (&json!(false), &json!(false)));
    assert_eq!(changed.get("account_id"), None);
    let change = json!({"account_id": "2", "email": "new@example.com", "allow_sign_in": true});
    let changed = server.patch(&path, change).await.json(200);
    assert_eq!(
        (&changed["account_id"], &changed["email"], &changed["allow_sign_in"]),
        (&json!("2"), &json!("new@example.com"), &json!(true))
    );
    assert_eq!(server.patch(&path, json!({})).await.json(200), changed);
    assert_eq!(own.delete(&path).await.json(200), json!({"success": true}));
    assert_eq!(own.get("/users/me").await.json(200)["oauth_providers"], json!([]));
    own.delete(&path).await.refused_with_text(404);
    app.stop().await;
}

#[tokio::test]
async fn every_refusal_of_the_contract_has_its_code() {
    let app = App::start().await;
    let rest = app.rest();
    providers(&rest).await;
    let ((ada, own), (bob, other)) = (user(&rest, "ada@example.com").await, user(&rest, "bob@example.com").await);
    let (server, stranger, foreign) = (rest.server(), rest.client(), app.internal_rest().server());
    let link = linked(&server, of(&ada, "google", "1")).await;
    let id = link["id"].as_str().unwrap();
    let spare = linked(&server, but(of(&bob, "google", "1"), "allow_sign_in", json!(false))).await;
    let (links, path) = ("/oauth-providers".to_owned(), format!("/oauth-providers/{ada}/{id}"));
    let spare = format!("/oauth-providers/{bob}/{}", spare["id"].as_str().unwrap());
    let create = |body: Value| Some(body);
    let schema = "SCHEMA_ERROR";
    let no_user = "CANNOT_GET_OWN_USER_WITHOUT_USER";
    for (client, method, path, body, status, code) in [
        (&own, "POST", links.clone(), create(of("me", "github", "1")), 401, "INSUFFICIENT_ACCESS_TYPE"),
        (&server, "POST", links.clone(), create(of(NOBODY, "github", "1")), 404, "USER_NOT_FOUND"),
        (&server, "POST", links.clone(), create(of("me", "github", "1")), 400, no_user),
        (&server, "POST", links.clone(), create(of(&bob, "google", "1")), 400, ""),
        (&server, "POST", links.clone(), create(of(&bob, "work", "1")), 201, ""),
        (&server, "PATCH", spare.clone(), Some(json!({"allow_sign_in": true})), 400, ""),
        (&server, "DELETE", spare.clone(), None, 200, ""),
        (&server, "POST", links.clone(), create(of(&bob, "gitlab", "1")), 404, ""),
        (&server, "POST", links.clone(), create(of(&ada, "google", "1")), 400, ""),
        (&server, "POST", links.clone(), create(of(&ada, "work", "7")), 400, ""),
        (&server, "POST", links.clone(), create(but(of(&bob, "github", "1"), "email", json!("x"))), 400, schema),
        (&server, "POST", links.clone(), create(but(of(&bob, "github", "1"), "email", Value::Null)), 400, schema),
        (&server, "POST", links.clone(), create(but(of(&bob, "github", "1"), "type", json!("github"))), 400, schema),
        (&server, "POST", links.clone(), create(of(&bob, "github", "")), 400, schema),
        (&server, "POST", links.clone(), create(of(&bob, "github", &"x".repeat(256))), 400, schema),
        (&server, "POST", links.clone(), Some(json!({"user_id": bob, "provider_config_id": "github"})), 400, schema),
        (&server, "GET", format!("/oauth-providers?user_id={NOBODY}"), None, 404, "USER_NOT_FOUND"),
        (&server, "GET", format!("/oauth-providers/{NOBODY}/{id}"), None, 404, "USER_NOT_FOUND"),
        (&server, "GET", format!("/connected-accounts/{NOBODY}"), None, 404, "USER_NOT_FOUND"),
        (&server, "PATCH", format!("/oauth-providers/{NOBODY}/{id}"), Some(json!({})), 404, "USER_NOT_FOUND"),
        (&server, "DELETE", format!("/oauth-providers/{NOBODY}/{id}"), None, 404, "USER_NOT_FOUND"),
        (&foreign, "GET", path.clone(), None, 404, "USER_NOT_FOUND"),
        (&foreign, "PATCH", path.clone(), Some(json!({})), 404, "USER_NOT_FOUND"),
        (&foreign, "DELETE", path.clone(), None, 404, "USER_NOT_FOUND"),
        (&foreign, "GET", format!("/connected-accounts/{ada}"), None, 404, "USER_NOT_FOUND"),
        (&server, "GET", format!("/oauth-providers/{bob}/{id}"), None, 404, ""),
        (&server, "PATCH", format!("/oauth-providers/{bob}/{id}"), Some(json!({})), 404, ""),
        (&server, "DELETE", format!("/oauth-providers/{bob}/{id}"), None, 404, ""),
        (&server, "GET", format!("/oauth-providers/{ada}/{NOBODY}"), None, 404, ""),
        (&server, "GET", format!("/oauth-providers/{ada}/nonsense"), None, 400, schema),
        (&server, "PATCH", path.clone(), Some(json!({"user_id": bob})), 400, schema),
        (&server, "PATCH", path.clone(), Some(json!({"account_id": ""})), 400, schema),
        (&own, "PATCH", path.clone(), Some(json!({"account_id": "2"})), 400, schema),
        (&own, "PATCH", path.clone(), Some(json!({"email": "a@example.com"})), 400, schema),
        (&own, "GET", links.clone(), None, 403, ""),
        (&other, "GET", format!("/oauth-providers?user_id={ada}"), None, 403, ""),
        (&other, "GET", path.clone(), None, 403, ""),
        (&other, "PATCH", path.clone(), Some(json!({})), 403, ""),
        (&other, "DELETE", path.clone(), None, 403, ""),
        (&other, "GET", format!("/connected-accounts/{ada}"), None, 403, ""),
        (&stranger, "GET", format!("/oauth-providers?user_id={ada}"), None, 403, ""),
        (&stranger, "GET", "/oauth-providers?user_id=me".to_owned(), None, 400, no_user),
        (&stranger, "GET", format!("/oauth-providers/me/{id}"), None, 400, no_user),
        (&stranger, "GET", "/connected-accounts/me".to_owned(), None, 400, no_user),
    ] {
        let answer = client.send(method.parse().unwrap(), &path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text);
        match (status, code) {
            (200 | 201, _) => {}
            (_, "") => drop(answer.refused_with_text(status)),
            (_, code) => drop(answer.refused(status, code)),
        }
    }
    // Bob signs in with one account of the type by now; Cy has none yet.
    let (cy, _) = user(&rest, "cy@example.com").await;
    for body in [of(&cy, "google", "1"), of(&cy, "work", "1")] {
        server.post("/oauth-providers", body).await.refused(400, USED);
    }
    let spare = linked(&server, but(of(&cy, "google", "1"), "allow_sign_in", json!(false))).await;
    let spare = format!("/oauth-providers/{cy}/{}", spare["id"].as_str().unwrap());
    server.patch(&spare, json!({"allow_sign_in": true})).await.refused(400, USED);
    assert_eq!(server.get(&path).await.json(200), link);
    app.stop().await;
}

#[tokio::test]
async fn a_user_is_made_with_linked_accounts_of_providers_that_are_set_up() {
    let app = App::start().await;
    let rest = app.rest();
    providers(&rest).await;
    let server = rest.server();
    let with = |providers: Value| json!({"oauth_providers": providers});
    let made = with(json!([{"id": "github", "account_id": "1", "email": null}, {"id": "work", "account_id": "2",
        "email": "Ada@example.com"}]));
    let user = server.post("/users", made).await.json(201);
    let expected = json!([{"id": "github", "account_id": "1", "email": null},
        {"id": "work", "account_id": "2", "email": "ada@example.com"}]);
    assert_eq!(user["oauth_providers"], expected);
    assert_eq!(user["auth_with_email"], false);
    let links = server.get(&format!("/oauth-providers?user_id={}", user["id"].as_str().unwrap())).await.json(200);
    for link in links["items"].as_array().unwrap() {
        assert_eq!((&link["allow_sign_in"], &link["allow_connected_accounts"]), (&json!(true), &json!(true)));
    }
    let listed = server.get("/users").await.json(200)["items"].as_array().unwrap().clone();
    assert!(listed.iter().any(|listed| listed["oauth_providers"] == expected), "{listed:?}");
    for providers in [
        json!([{"id": "gitlab", "account_id": "1"}]),
        json!([{"id": "google", "account_id": "1"}, {"id": "work", "account_id": "9"}]),
        json!([{"id": "google", "account_id": "1"}, {"id": "google", "account_id": "1"}]),
    ] {
        server.post("/users", with(providers)).await.refused_with_text(400);
    }
    server.post("/users", with(json!([{"id": "github", "account_id": "1"}]))).await.refused(400, USED);
    server.post("/users", with(json!([{"id": "github"}]))).await.refused(400, "SCHEMA_ERROR");
    app.stop().await;
}
