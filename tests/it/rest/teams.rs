//! `/teams`, `/team-memberships`, `/team-member-profiles`, permissions and their definitions: forms, codes and access types.

use serde_json::{Value, json};

use crate::support::{App, client::Client};

pub(super) const NOBODY: &str = "11111111-1111-4111-8111-111111111111";

/// A user: its id, and a client that asks as the user.
pub(super) async fn user(rest: &Client, email: &str) -> (String, Client) {
    let body = json!({"email": email, "password": "correct horse"});
    let tokens = rest.client().post("/auth/password/sign-up", body).await.json(200);
    let client = rest.client().user(tokens["access_token"].as_str().unwrap());
    (tokens["user_id"].as_str().unwrap().to_owned(), client)
}

/// A team with these members, who were granted nothing.
pub(super) async fn team(rest: &Client, members: &[&str]) -> String {
    let team = rest.server().post("/teams", json!({"display_name": "Team"})).await.json(201);
    let id = team["id"].as_str().unwrap().to_owned();
    for member in members {
        let path = format!("/team-memberships/{id}/{member}");
        assert_eq!(rest.server().post(&path, json!({})).await.json(201), json!({"team_id": id, "user_id": member}));
        let path = format!("/team-permissions/{id}/{member}/team_member");
        assert_eq!(rest.server().delete(&path).await.json(200), json!({"success": true}));
    }
    id
}

pub(super) async fn grant(rest: &Client, team: &str, user: &str, id: &str) {
    let answer = rest.server().post(&format!("/team-permissions/{team}/{user}/{id}"), json!({})).await.json(201);
    assert_eq!(answer, json!({"id": id, "team_id": team, "user_id": user}));
}

#[tokio::test]
async fn each_access_type_reaches_what_it_may() {
    let app = App::start().await;
    let rest = app.rest();
    let (ada, own) = user(&rest, "ada@example.com").await;
    let team = team(&rest, &[&ada]).await;
    let empty = || Some(json!({}));
    // Method, path, body, and the least access type.
    let table = [
        ("POST", format!("/team-memberships/{team}/{ada}"), empty(), "server"),
        ("POST", format!("/team-permissions/{team}/{ada}/team_member"), empty(), "server"),
        ("DELETE", format!("/team-permissions/{team}/{ada}/team_member"), None, "server"),
        ("POST", format!("/project-permissions/{ada}/x"), empty(), "server"),
        ("DELETE", format!("/project-permissions/{ada}/x"), None, "server"),
        ("GET", "/team-permission-definitions".to_owned(), None, "admin"),
        ("POST", "/team-permission-definitions".to_owned(), Some(json!({"id": "x"})), "admin"),
        ("PATCH", "/team-permission-definitions/x".to_owned(), empty(), "admin"),
        ("DELETE", "/team-permission-definitions/x".to_owned(), None, "admin"),
        ("GET", "/project-permission-definitions".to_owned(), None, "admin"),
        ("POST", "/project-permission-definitions".to_owned(), Some(json!({"id": "x"})), "admin"),
        ("PATCH", "/project-permission-definitions/x".to_owned(), empty(), "admin"),
        ("DELETE", "/project-permission-definitions/x".to_owned(), None, "admin"),
    ];
    for (method, path, body, least) in table {
        let refused: &[(&str, &Client)] =
            if least == "server" { &[("client", &own)] } else { &[("client", &own), ("server", &rest.server())] };
        for (actual, caller) in refused {
            let answer = caller.send(method.parse().unwrap(), &path, body.clone()).await;
            let details = answer.refused(401, "INSUFFICIENT_ACCESS_TYPE");
            assert_eq!(details["actual_access_type"], *actual, "{method} {path}");
        }
        let answer = rest.admin().send(method.parse().unwrap(), &path, body.clone()).await;
        assert_ne!(answer.status.as_u16(), 401, "{method} {path}: {}", answer.text);
        assert!(answer.status.as_u16() < 500, "{method} {path}: {}", answer.text);
    }
    app.stop().await;
}

#[tokio::test]
async fn definitions_are_replaced_whole_and_listed_in_the_contracts_order() {
    let app = App::start().await;
    let admin = app.rest().admin();
    let path = "/team-permission-definitions";
    let body = json!({"id": "b:1", "description": "B", "contained_permission_ids": ["$update_team", "$read_members"]});
    let made = json!({"id": "b:1", "description": "B", "contained_permission_ids": ["$read_members", "$update_team"]});
    assert_eq!(admin.post(path, body).await.json(201), made);
    let taken = admin.post("/project-permission-definitions", json!({"id": "b:1"})).await;
    assert_eq!(taken.refused(400, "PERMISSION_ID_ALREADY_EXISTS"), json!({"permission_id": "b:1"}));
    let foreign = json!({"id": "p", "contained_permission_ids": ["b:1"]});
    let foreign = admin.post("/project-permission-definitions", foreign).await;
    assert_eq!(foreign.refused(400, "CONTAINED_PERMISSION_NOT_FOUND"), json!({"permission_id": "b:1"}));
    for bad in [json!({}), json!({"id": "UPPER"}), json!({"id": "$own"}), json!({"id": "a", "more": 1})] {
        admin.post(path, bad).await.refused(400, "SCHEMA_ERROR");
    }
    let renamed = admin.patch(&format!("{path}/b:1"), json!({"id": "c"})).await.json(200);
    assert_eq!(renamed, json!({"id": "c", "contained_permission_ids": []}));
    for (method, path) in [("PATCH", format!("{path}/b:1")), ("DELETE", "/project-permission-definitions/c".to_owned())]
    {
        let body = (method == "PATCH").then(|| json!({}));
        let gone = admin.send(method.parse().unwrap(), &path, body).await;
        assert_eq!(
            gone.refused(404, "PERMISSION_NOT_FOUND")["permission_id"].as_str().unwrap(),
            &path[path.len() - if path.ends_with("b:1") { 3 } else { 1 }..]
        );
    }
    admin.delete(&format!("{path}/$own")).await.refused(400, "SCHEMA_ERROR");
    admin.delete(&format!("{path}/$read_members")).await.refused(404, "PERMISSION_NOT_FOUND");
    let list = admin.get(path).await.json(200);
    let ids: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "$delete_team",
            "$invite_members",
            "$manage_api_keys",
            "$read_members",
            "$remove_members",
            "$update_team",
            "c",
            "team_admin",
            "team_member"
        ]
    );
    assert_eq!(list["is_paginated"], false);
    assert_eq!(list["items"][0], json!({"id": "$delete_team", "contained_permission_ids": []}));
    assert_eq!(admin.delete(&format!("{path}/c")).await.json(200), json!({"success": true}));
    app.stop().await;
}

#[tokio::test]
async fn members_do_what_they_hold_and_nothing_else() {
    let app = App::start().await;
    let rest = app.rest();
    let ((ada, own), (bob, _)) = (user(&rest, "ada@example.com").await, user(&rest, "bob@example.com").await);
    let id = team(&rest, &[&ada, &bob]).await;
    let path = format!("/teams/{id}");
    let lacking = |permission: &str| json!({"team_id": id, "user_id": ada, "permission_id": permission});
    let change = json!({"display_name": "New"});
    let needs = "TEAM_PERMISSION_REQUIRED";
    assert_eq!(own.patch(&path, change.clone()).await.refused(401, needs), lacking("$update_team"));
    assert_eq!(own.delete(&path).await.refused(401, needs), lacking("$delete_team"));
    let removal = format!("/team-memberships/{id}/{bob}");
    assert_eq!(own.delete(&removal).await.refused(401, needs), lacking("$remove_members"));
    let list = format!("/team-member-profiles?team_id={id}");
    assert_eq!(own.get(&list).await.refused(401, needs), lacking("$read_members"));
    let mine = own.get(&format!("{list}&user_id=me")).await.json(200);
    let profile = json!({"team_id": id, "user_id": ada, "display_name": null, "profile_image_url": null});
    assert_eq!(mine["items"], json!([profile]));
    own.get("/team-member-profiles").await.refused_with_text(400);
    rest.client().get(&list).await.refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
    rest.client().delete(&path).await.refused(401, "USER_AUTHENTICATION_REQUIRED");

    for permission in ["$update_team", "$read_members", "$remove_members", "$delete_team"] {
        grant(&rest, &id, &ada, permission).await;
    }
    let changed = own.patch(&path, change).await.json(200);
    assert_eq!((&changed["display_name"], changed.get("server_metadata")), (&json!("New"), None));
    own.patch(&path, json!({"server_metadata": 1})).await.refused(400, "SCHEMA_ERROR");
    assert_eq!(own.get(&list).await.json(200)["items"].as_array().unwrap().len(), 2);
    let held = own.get(&format!("/team-permissions?user_id=me&team_id={id}&recursive=true")).await.json(200);
    assert_eq!(held["items"].as_array().unwrap().len(), 4);
    own.get("/team-permissions").await.refused_with_text(403);
    assert_eq!(own.delete(&removal).await.json(200), json!({"success": true}));
    let gone = own.delete(&removal).await.refused(404, "TEAM_MEMBERSHIP_NOT_FOUND");
    assert_eq!(gone, json!({"team_id": id, "user_id": bob}));
    assert_eq!(own.delete(&path).await.json(200), json!({"success": true}));
    rest.server().delete(&path).await.refused(404, "TEAM_NOT_FOUND");
    app.stop().await;
}

#[tokio::test]
async fn what_is_not_there_has_its_code_and_ids_of_other_projects_are_not_there() {
    let app = App::start().await;
    let rest = app.rest();
    let (ada, _) = user(&rest, "ada@example.com").await;
    let id = team(&rest, &[&ada]).await;
    let (server, other) = (rest.server(), app.internal_rest().server());
    let asked = async |client: &Client, method: &str, path: String, body: Option<Value>| {
        client.send(method.parse().unwrap(), &path, body).await
    };
    let empty = || Some(json!({}));
    for (client, method, path, body, status, code) in [
        (&server, "POST", format!("/team-memberships/{id}/{ada}"), empty(), 409, "TEAM_MEMBERSHIP_ALREADY_EXISTS"),
        (&server, "POST", format!("/team-memberships/{id}/{NOBODY}"), empty(), 404, "USER_NOT_FOUND"),
        (&server, "POST", format!("/team-memberships/{NOBODY}/{ada}"), empty(), 404, "TEAM_NOT_FOUND"),
        (&server, "POST", format!("/team-memberships/{id}/{ada}"), None, 400, "SCHEMA_ERROR"),
        (&other, "POST", format!("/team-memberships/{id}/{ada}"), empty(), 404, "USER_NOT_FOUND"),
        (&other, "DELETE", format!("/team-memberships/{id}/{ada}"), None, 404, "USER_NOT_FOUND"),
        (&server, "GET", format!("/team-member-profiles?team_id={NOBODY}"), None, 404, "TEAM_NOT_FOUND"),
        (&other, "GET", format!("/team-member-profiles?team_id={id}"), None, 404, "TEAM_NOT_FOUND"),
        (&server, "GET", format!("/team-member-profiles?user_id={NOBODY}"), None, 404, "USER_NOT_FOUND"),
        (&other, "GET", format!("/team-member-profiles/{id}/{ada}"), None, 404, "TEAM_MEMBERSHIP_NOT_FOUND"),
        (&other, "PATCH", format!("/team-member-profiles/{id}/{ada}"), empty(), 404, "TEAM_MEMBERSHIP_NOT_FOUND"),
        (&other, "PATCH", format!("/teams/{id}"), empty(), 404, "TEAM_NOT_FOUND"),
        (&other, "DELETE", format!("/teams/{id}"), None, 404, "TEAM_NOT_FOUND"),
        (&server, "POST", format!("/team-permissions/{id}/{NOBODY}/team_member"), empty(), 404, "USER_NOT_FOUND"),
        (&other, "POST", format!("/team-permissions/{id}/{ada}/team_member"), empty(), 404, "USER_NOT_FOUND"),
        (
            &server,
            "POST",
            format!("/team-permissions/{NOBODY}/{ada}/team_member"),
            empty(),
            404,
            "TEAM_MEMBERSHIP_NOT_FOUND",
        ),
        (&server, "POST", format!("/team-permissions/{id}/{ada}/gone"), empty(), 404, "PERMISSION_NOT_FOUND"),
        (&server, "DELETE", format!("/team-permissions/{id}/{ada}/team_admin"), None, 401, "TEAM_PERMISSION_NOT_FOUND"),
        (&server, "POST", format!("/project-permissions/{ada}/team_member"), empty(), 404, "WRONG_PERMISSION_SCOPE"),
        (&server, "DELETE", format!("/project-permissions/{ada}/gone"), None, 404, "PERMISSION_NOT_FOUND"),
        (&other, "DELETE", format!("/project-permissions/{ada}/gone"), None, 404, "USER_NOT_FOUND"),
    ] {
        asked(client, method, path, body).await.refused(status, code);
    }
    let profile = server.get(&format!("/team-member-profiles/{id}/{ada}")).await.json(200);
    assert_eq!(profile["user"]["primary_email"], "ada@example.com");
    app.stop().await;
}
