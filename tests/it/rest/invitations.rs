//! `/team-invitations`: forms, codes, and who may what.

use serde_json::{Value, json};

use super::teams::{NOBODY, grant, team, user};
use crate::support::{App, client::Client};

const CALLBACK: &str = "http://localhost:3000/join";

async fn invite(client: &Client, team: &str, email: &str) -> Value {
    let body = json!({"team_id": team, "email": email, "callback_url": CALLBACK});
    let sent = client.post("/team-invitations/send-code", body).await.json(200);
    assert_eq!(sent["success"], true);
    sent["id"].clone()
}

#[tokio::test]
async fn every_refusal_of_the_contract_has_its_code() {
    let app = App::start().await;
    let rest = app.rest();
    let ((ada, own), (bob, other)) = (user(&rest, "ada@example.com").await, user(&rest, "bob@example.com").await);
    let (id, elsewhere) = (team(&rest, &[&ada]).await, team(&rest, &[]).await);
    let (server, stranger, foreign) = (rest.server(), rest.client(), app.internal_rest().server());
    let body = |team: &str| Some(json!({"team_id": team, "email": "c@example.com", "callback_url": CALLBACK}));
    let code = || Some(json!({"code": "a".repeat(45)}));
    let send = || "/team-invitations/send-code".to_owned();
    let of_team = |team: &str| format!("/team-invitations?team_id={team}");
    let evil = json!({"team_id": id, "email": "c@example.com", "callback_url": "https://evil.example"});
    let bad = json!({"team_id": id, "email": "nobody", "callback_url": CALLBACK});
    let long = || Some(json!({"code": "a".repeat(46)}));
    for (client, method, path, body, status, refused) in [
        (&stranger, "POST", send(), body(&id), 401, "USER_AUTHENTICATION_REQUIRED"),
        (&own, "POST", send(), body(&elsewhere), 404, "TEAM_MEMBERSHIP_NOT_FOUND"),
        (&own, "POST", send(), body(&id), 401, "TEAM_PERMISSION_REQUIRED"),
        (&server, "POST", send(), body(NOBODY), 404, "TEAM_NOT_FOUND"),
        (&foreign, "POST", send(), body(&id), 404, "TEAM_NOT_FOUND"),
        (&server, "POST", send(), Some(evil), 400, "REDIRECT_URL_NOT_WHITELISTED"),
        (&server, "POST", send(), Some(bad), 400, "SCHEMA_ERROR"),
        (&server, "POST", send(), Some(json!({"team_id": id})), 400, "SCHEMA_ERROR"),
        (&stranger, "GET", of_team(&id), None, 400, "CANNOT_GET_OWN_USER_WITHOUT_USER"),
        (&other, "GET", of_team(&id), None, 404, "TEAM_MEMBERSHIP_NOT_FOUND"),
        (&own, "GET", of_team(&id), None, 401, "TEAM_PERMISSION_REQUIRED"),
        (&server, "GET", of_team(NOBODY), None, 404, "TEAM_NOT_FOUND"),
        (&foreign, "GET", of_team(&id), None, 404, "TEAM_NOT_FOUND"),
        (&own, "GET", format!("/team-invitations?user_id={bob}"), None, 400, "CANNOT_GET_OWN_USER_WITHOUT_USER"),
        (&stranger, "GET", "/team-invitations?user_id=me".to_owned(), None, 400, "CANNOT_GET_OWN_USER_WITHOUT_USER"),
        (&own, "DELETE", format!("/team-invitations/{NOBODY}?team_id={id}"), None, 401, "TEAM_PERMISSION_REQUIRED"),
        (&server, "DELETE", format!("/team-invitations/{NOBODY}?team_id={NOBODY}"), None, 404, "TEAM_NOT_FOUND"),
        (&foreign, "DELETE", format!("/team-invitations/{NOBODY}?team_id={id}"), None, 404, "TEAM_NOT_FOUND"),
        (
            &server,
            "DELETE",
            format!("/team-invitations/{NOBODY}?team_id={id}"),
            None,
            404,
            "VERIFICATION_CODE_NOT_FOUND",
        ),
        (
            &own,
            "POST",
            format!("/team-invitations/{NOBODY}/accept?user_id={bob}"),
            None,
            400,
            "CANNOT_GET_OWN_USER_WITHOUT_USER",
        ),
        (
            &own,
            "POST",
            format!("/team-invitations/{NOBODY}/accept?user_id=me"),
            None,
            404,
            "VERIFICATION_CODE_NOT_FOUND",
        ),
        (&own, "POST", format!("/team-invitations/{NOBODY}/accept"), None, 400, "SCHEMA_ERROR"),
        (&own, "POST", "/team-invitations/accept".to_owned(), code(), 404, "VERIFICATION_CODE_NOT_FOUND"),
        (&own, "POST", "/team-invitations/accept".to_owned(), long(), 400, "SCHEMA_ERROR"),
        (&own, "POST", "/team-invitations/accept/check-code".to_owned(), code(), 404, "VERIFICATION_CODE_NOT_FOUND"),
        (&own, "POST", "/team-invitations/accept/details".to_owned(), code(), 404, "VERIFICATION_CODE_NOT_FOUND"),
    ] {
        client.send(method.parse().unwrap(), &path, body).await.refused(status, refused);
    }
    for path in ["/team-invitations".to_owned(), format!("/team-invitations?team_id={id}&user_id={ada}")] {
        server.get(&path).await.refused_with_text(400);
    }
    server.delete(&format!("/team-invitations/{NOBODY}")).await.refused_with_text(400);
    app.stop().await;
}

#[tokio::test]
async fn an_invitation_is_sent_listed_accepted_and_taken_back() {
    let app = App::start().await;
    let rest = app.rest();
    let ((ada, own), (bob, other)) = (user(&rest, "ada@example.com").await, user(&rest, "bob@example.com").await);
    let id = team(&rest, &[&ada]).await;
    for permission in ["$invite_members", "$read_members", "$remove_members"] {
        grant(&rest, &id, &ada, permission).await;
    }
    let (server, internal) = (rest.server(), app.internal_rest().server());
    let first = invite(&own, &id, "Bob@Example.com").await;
    let listed = own.get(&format!("/team-invitations?team_id={id}")).await.json(200);
    assert_eq!(listed["is_paginated"], false);
    let [item] = listed["items"].as_array().unwrap().as_slice() else { panic!("one: {listed}") };
    let keys: Vec<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["expires_at_millis", "id", "recipient_email", "team_display_name", "team_id"]);
    assert_eq!((&item["id"], &item["recipient_email"]), (&first, &json!("bob@example.com")));

    // The address must be proven before the invitation is found by it.
    let mine = "/team-invitations?user_id=me";
    assert_eq!(other.get(mine).await.json(200)["items"], json!([]));
    server.patch(&format!("/users/{bob}"), json!({"primary_email_verified": true})).await.json(200);
    assert_eq!(other.get(mine).await.json(200)["items"], listed["items"]);
    assert_eq!(server.get(&format!("/team-invitations?user_id={bob}")).await.json(200)["items"], listed["items"]);
    assert_eq!(internal.get(&format!("/team-invitations?user_id={bob}")).await.json(200)["items"], json!([]));
    let accept = |invitation: &Value| format!("/team-invitations/{}/accept?user_id=me", invitation.as_str().unwrap());
    let foreign = format!("/team-invitations/{}/accept?user_id={bob}", first.as_str().unwrap());
    internal.post(&foreign, json!({})).await.refused(404, "VERIFICATION_CODE_NOT_FOUND");
    assert_eq!(other.post(&accept(&first), json!({"any": "thing"})).await.json(200), json!({}));
    other.post(&accept(&first), json!({})).await.refused(404, "VERIFICATION_CODE_NOT_FOUND");
    let teams = other.get("/teams?user_id=me").await.json(200);
    assert_eq!(teams["items"][0]["id"], json!(id));

    let second = invite(&server, &id, "c@example.com").await;
    let path = format!("/team-invitations/{}?team_id={id}", second.as_str().unwrap());
    assert_eq!(own.delete(&path).await.json(200), json!({"success": true}));
    own.delete(&path).await.refused(404, "VERIFICATION_CODE_NOT_FOUND");
    app.stop().await;
}
