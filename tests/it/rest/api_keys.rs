//! `/user-api-keys`, `/team-api-keys` and the door for scanners: forms, codes, and who may what.

use serde_json::{Value, json};

use super::teams::{NOBODY, grant, team, user};
use crate::support::{App, client::Client};

async fn switch(rest: &Client, user: bool, team: bool) {
    let config = json!({"config": {"allow_user_api_keys": user, "allow_team_api_keys": team}});
    rest.admin().patch("/internal/projects/current", config).await.json(200);
}

fn of_user(id: &str) -> Value {
    json!({"user_id": id, "description": "CI", "expires_at_millis": null})
}

fn of_team(id: &str) -> Value {
    json!({"team_id": id, "description": "CI", "expires_at_millis": null})
}

async fn made(client: &Client, path: &str, body: Value) -> (String, String) {
    let key = client.post(path, body).await.json(200);
    (key["id"].as_str().unwrap().to_owned(), key["value"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_key_is_shown_in_full_once_and_without_its_secret_later() {
    let app = App::start().await;
    let rest = app.rest();
    switch(&rest, true, true).await;
    let (ada, own) = user(&rest, "ada@example.com").await;
    let body = json!({"user_id": "me", "description": "CI", "expires_at_millis": "4102444800000", "is_public": 1});
    let first = own.post("/user-api-keys", body).await.json(200);
    let value = first["value"].as_str().unwrap();
    assert!(value.len() == 102 && value.starts_with("pk_") && value[80..94] == *"user3574ck4u7h", "{value}");
    let (id, created_at) = (first["id"].as_str().unwrap(), &first["created_at_millis"]);
    assert!(created_at.is_i64());
    let expected = json!({"id": id, "description": "CI", "is_public": true, "created_at_millis": created_at,
        "expires_at_millis": 4_102_444_800_000_i64, "value": value, "type": "user", "user_id": ada});
    assert_eq!(first, expected);
    let mut later = expected;
    later["value"] = json!({"last_four": value[98..]});
    for client in [&own, &rest.server(), &rest.admin()] {
        assert_eq!(client.get(&format!("/user-api-keys/{id}")).await.json(200), later);
        assert_eq!(client.get(&format!("/user-api-keys/{id}?user_id={ada}")).await.json(200), later);
    }
    let checked = rest.server().post("/user-api-keys/check", json!({"api_key": value})).await.json(200);
    assert_eq!(checked, later);

    // Without an expiry there is no such key in the answer; the newest is listed first.
    let (second, _) = made(&rest.server(), "/user-api-keys", of_user(&ada)).await;
    let list = own.get("/user-api-keys?user_id=me").await.json(200);
    assert_eq!(list["is_paginated"], false);
    let ids: Vec<_> = list["items"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().filter(|listed| [id, second.as_str()].contains(listed)).count(), 2);
    let keys: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["id"] == second.as_str())
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, ["created_at_millis", "description", "id", "is_public", "type", "user_id", "value"]);

    let path = format!("/user-api-keys/{second}?user_id={ada}");
    let change = json!({"description": "Nightly"});
    assert_eq!(own.patch(&path, change).await.json(200)["description"], "Nightly");
    let revoked = own.patch(&path, json!({"revoked": true})).await.json(200);
    assert!(revoked["manually_revoked_at_millis"].is_i64(), "{revoked}");
    let again = rest.server().patch(&path, json!({"revoked": "true", "description": ""})).await.json(200);
    assert_eq!(again["manually_revoked_at_millis"], revoked["manually_revoked_at_millis"]);
    assert_eq!(again["description"], "");
    app.stop().await;
}

#[tokio::test]
async fn a_teams_key_is_looked_after_by_permission() {
    let app = App::start().await;
    let rest = app.rest();
    switch(&rest, false, true).await;
    let ((ada, own), (_, outsider)) = (user(&rest, "ada@example.com").await, user(&rest, "bob@example.com").await);
    let id = team(&rest, &[&ada]).await;
    let (key, value) = made(&rest.server(), "/team-api-keys", of_team(&id)).await;
    assert!(value.starts_with("sk_") && value[80..94] == *"team1574ck4u7h", "{value}");
    let (one, list) = (format!("/team-api-keys/{key}?team_id={id}"), format!("/team-api-keys?team_id={id}"));
    for client in [&own, &outsider] {
        client.post("/team-api-keys", of_team(&id)).await.refused(404, "API_KEY_NOT_FOUND");
        client.get(&list).await.refused(404, "API_KEY_NOT_FOUND");
        client.get(&one).await.refused(404, "API_KEY_NOT_FOUND");
        client.patch(&one, json!({"revoked": true})).await.refused(404, "API_KEY_NOT_FOUND");
    }
    grant(&rest, &id, &ada, "$manage_api_keys").await;
    let mine = own.post("/team-api-keys", of_team(&id)).await.json(200);
    assert_eq!((&mine["type"], &mine["team_id"], mine.get("user_id")), (&json!("team"), &json!(id), None));
    assert_eq!(own.get(&list).await.json(200)["items"].as_array().unwrap().len(), 2);
    // The team of the query is not compared with that of the key.
    own.get(&format!("/team-api-keys/{key}?team_id={NOBODY}")).await.json(200);
    own.patch(&one, json!({"revoked": true})).await.json(200);
    let check = json!({"api_key": value});
    rest.server().post("/team-api-keys/check", check).await.refused(401, "API_KEY_REVOKED");
    rest.server().delete(&format!("/teams/{id}")).await.json(200);
    rest.server().get(&one).await.refused(404, "API_KEY_NOT_FOUND");
    app.stop().await;
}

#[tokio::test]
async fn every_refusal_of_the_contract_has_its_status_and_code() {
    let app = App::start().await;
    let rest = app.rest();
    switch(&rest, true, true).await;
    let ((ada, own), (bob, other)) = (user(&rest, "ada@example.com").await, user(&rest, "bob@example.com").await);
    let team = team(&rest, &[&ada]).await;
    let (server, stranger, foreign) = (rest.server(), rest.client(), app.internal_rest().server());
    let foreign_admin = app.internal_rest();
    switch(&foreign_admin, true, true).await;
    let (mine, value) = made(&own, "/user-api-keys", of_user("me")).await;
    let (ours, of_team_value) = made(&server, "/team-api-keys", of_team(&team)).await;
    let revoke = || Some(json!({"revoked": true}));
    let check = |value: &str| Some(json!({"api_key": value}));
    let one = format!("/user-api-keys/{mine}");
    let team_query = format!("?team_id={team}");
    let forged = format!("{}{}", &value[..98], if value.ends_with("0000") { "0001" } else { "0000" });
    let refused = "SCHEMA_ERROR";
    let create = || "/user-api-keys".to_owned();
    let mut described = of_user("me");
    described["description"] = json!("x".repeat(1001));
    for (client, method, path, body, status, code) in [
        (&stranger, "POST", create(), Some(of_user(&ada)), 401, "USER_AUTHENTICATION_REQUIRED"),
        (&stranger, "POST", create(), Some(of_user("me")), 400, "CANNOT_GET_OWN_USER_WITHOUT_USER"),
        (&stranger, "POST", "/team-api-keys".to_owned(), Some(of_team(&team)), 401, "USER_AUTHENTICATION_REQUIRED"),
        (&stranger, "GET", format!("/user-api-keys?user_id={ada}"), None, 401, "USER_AUTHENTICATION_REQUIRED"),
        (&stranger, "GET", format!("/team-api-keys{team_query}"), None, 401, "USER_AUTHENTICATION_REQUIRED"),
        (&stranger, "GET", one.clone(), None, 401, "USER_AUTHENTICATION_REQUIRED"),
        (&stranger, "PATCH", one.clone(), revoke(), 401, "USER_AUTHENTICATION_REQUIRED"),
        (&server, "POST", create(), Some(of_user(NOBODY)), 404, "USER_NOT_FOUND"),
        (&server, "POST", "/team-api-keys".to_owned(), Some(of_team(NOBODY)), 404, "TEAM_NOT_FOUND"),
        (&foreign, "POST", create(), Some(of_user(&ada)), 404, "USER_NOT_FOUND"),
        (&foreign, "GET", one.clone(), None, 404, "API_KEY_NOT_FOUND"),
        (&foreign, "PATCH", one.clone(), revoke(), 404, "API_KEY_NOT_FOUND"),
        (&foreign, "POST", "/user-api-keys/check".to_owned(), check(&value), 404, "API_KEY_NOT_FOUND"),
        (&server, "GET", format!("/user-api-keys/{ours}"), None, 404, "API_KEY_NOT_FOUND"),
        (&server, "GET", format!("/team-api-keys/{mine}{team_query}"), None, 404, "API_KEY_NOT_FOUND"),
        (&server, "GET", format!("/user-api-keys/{NOBODY}"), None, 404, "API_KEY_NOT_FOUND"),
        (&server, "PATCH", format!("/user-api-keys/{NOBODY}"), revoke(), 404, "API_KEY_NOT_FOUND"),
        (&server, "POST", "/user-api-keys/check".to_owned(), check(&forged), 404, "API_KEY_NOT_FOUND"),
        (&server, "POST", "/user-api-keys/check".to_owned(), check("nonsense"), 404, "API_KEY_NOT_FOUND"),
        (&server, "POST", "/user-api-keys/check".to_owned(), check(&of_team_value), 400, "WRONG_API_KEY_TYPE"),
        (&own, "POST", "/user-api-keys/check".to_owned(), check(&value), 401, "INSUFFICIENT_ACCESS_TYPE"),
        (&own, "POST", "/team-api-keys/check".to_owned(), check(&value), 401, "INSUFFICIENT_ACCESS_TYPE"),
        (&server, "GET", "/user-api-keys".to_owned(), None, 400, refused),
        (&server, "GET", "/team-api-keys".to_owned(), None, 400, refused),
        (&server, "GET", format!("/team-api-keys/{ours}"), None, 400, refused),
        (&server, "GET", "/user-api-keys/nonsense".to_owned(), None, 400, refused),
        (&own, "POST", create(), Some(json!({"user_id": "me", "description": "no expiry said"})), 400, refused),
        (&own, "POST", create(), Some(json!({"user_id": "me", "expires_at_millis": null})), 400, refused),
        (&own, "POST", create(), Some(described), 400, refused),
        (&own, "PATCH", one.clone(), Some(json!({"revoked": false})), 400, refused),
        (&own, "PATCH", one.clone(), Some(json!({"user_id": ada})), 400, refused),
        (&own, "PATCH", one.clone(), Some(json!({"expires_at_millis": 1})), 400, refused),
    ] {
        let answer = client.send(method.parse().unwrap(), &path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text);
        answer.refused(status, code);
    }
    for (method, path, body) in [
        ("POST", create(), Some(of_user(&ada))),
        ("GET", format!("/user-api-keys?user_id={ada}"), None),
        ("GET", one.clone(), None),
        ("PATCH", one.clone(), revoke()),
    ] {
        other.send(method.parse().unwrap(), &path, body).await.refused_with_text(403);
    }
    assert_eq!(other.get(&format!("/user-api-keys?user_id={bob}")).await.json(200)["items"], json!([]));
    let details = server.post("/team-api-keys/check", json!({"api_key": value})).await;
    let details = details.refused(400, "WRONG_API_KEY_TYPE");
    assert_eq!(details, json!({"expected_type": "team", "actual_type": "user"}));
    // A past expiry is accepted, and the key is over at once.
    let past = json!({"user_id": "me", "description": "CI", "expires_at_millis": 1});
    let (_, over) = made(&own, "/user-api-keys", past).await;
    let asked = server.post("/user-api-keys/check", json!({"api_key": over})).await;
    asked.refused(401, "API_KEY_EXPIRED");
    app.stop().await;
}

#[tokio::test]
async fn switched_off_comes_before_every_other_refusal_of_an_endpoint() {
    let app = App::start().await;
    let rest = app.rest();
    let (ada, own) = user(&rest, "ada@example.com").await;
    let team = team(&rest, &[&ada]).await;
    let (server, stranger) = (rest.server(), rest.client());
    for kind in ["user", "team"] {
        let (body, query) = if kind == "user" {
            (of_user(&ada), format!("?user_id={ada}"))
        } else {
            (of_team(&team), format!("?team_id={team}"))
        };
        for client in [&stranger, &own, &server] {
            client.post(&format!("/{kind}-api-keys"), body.clone()).await.refused_with_text(400);
            client.get(&format!("/{kind}-api-keys{query}")).await.refused_with_text(400);
            client.get(&format!("/{kind}-api-keys/{NOBODY}{query}")).await.refused_with_text(400);
            client.patch(&format!("/{kind}-api-keys/{NOBODY}{query}"), json!({})).await.refused_with_text(400);
        }
        server.post(&format!("/{kind}-api-keys/check"), json!({"api_key": "x"})).await.refused_with_text(400);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_finds_a_key_in_public_has_it_revoked_without_any_credentials() {
    let app = App::start().await;
    let rest = app.rest();
    switch(&rest, true, true).await;
    let ((ada, own), (bob, _)) = (user(&rest, "ada@example.com").await, user(&rest, "bob@example.com").await);
    let team = team(&rest, &[&ada, &bob]).await;
    grant(&rest, &team, &bob, "$manage_api_keys").await;
    let (id, value) = made(&own, "/user-api-keys", of_user("me")).await;
    let (_, of_team_value) = made(&rest.server(), "/team-api-keys", of_team(&team)).await;
    let public = json!({"user_id": "me", "description": "Map", "expires_at_millis": null, "is_public": true});
    let (_, public) = made(&own, "/user-api-keys", public).await;
    let past = json!({"user_id": "me", "description": "Old", "expires_at_millis": 1});
    let (_, over) = made(&own, "/user-api-keys", past).await;
    let report =
        async |value: &str| rest.post("/integrations/credential-scanning/revoke", json!({"api_key": value})).await;
    report("nonsense").await.refused(404, "API_KEY_NOT_FOUND");
    report(&public).await.refused(400, "PUBLIC_API_KEY_CANNOT_BE_REVOKED");
    report(&over).await.refused(401, "API_KEY_EXPIRED");
    rest.post("/integrations/credential-scanning/revoke", json!({})).await.refused(400, "SCHEMA_ERROR");
    for value in [&value, &of_team_value, &value] {
        assert_eq!(report(value).await.json(200), json!({"success": true}));
    }
    assert!(own.get(&format!("/user-api-keys/{id}")).await.json(200)["manually_revoked_at_millis"].is_i64());
    let mail = app.mail_to("ada@example.com").await;
    assert_eq!(mail["subject"], "API Key Revoked: CI");
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains(&format!("CI (ends with {})", &value[98..])) && !text.contains(&value[3..48]), "{text}");
    let of_team = app.mail_to("bob@example.com").await;
    assert!(of_team["text"].as_str().unwrap().contains("your team Team"), "{of_team}");
    app.stop().await;
}

#[tokio::test]
async fn rest_does_not_look_at_api_keys_as_credentials() {
    let app = App::start().await;
    let rest = app.rest();
    switch(&rest, true, false).await;
    let (_, own) = user(&rest, "ada@example.com").await;
    let (_, value) = made(&own, "/user-api-keys", of_user("me")).await;
    let by_key = rest.client().with("x-stack-api-key", &value);
    by_key.get("/users/me").await.refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
    own.with("x-stack-api-key", &value).get("/users/me").await.json(200);
    app.stop().await;
}
