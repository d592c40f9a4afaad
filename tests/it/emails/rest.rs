//! The outbox over REST.

use serde_json::json;

use crate::support::App;

#[tokio::test]
async fn the_outbox_is_for_servers_and_administrators() {
    let app = App::start().await;
    for path in ["/emails/outbox", "/emails/outbox/0f8fad5b-d9cb-469f-a165-70867728950e"] {
        let details = app.rest().client().get(path).await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
        assert_eq!(details["allowed_access_types"], json!(["server", "admin"]));
    }
    let empty = json!({ "items": [], "is_paginated": true, "pagination": { "next_cursor": null } });
    assert_eq!(app.rest().server().get("/emails/outbox").await.json(200), empty);
    assert_eq!(app.rest().admin().get("/emails/outbox").await.json(200), empty);
    app.stop().await;
}

#[tokio::test]
async fn the_outbox_refuses_what_makes_no_sense() {
    let app = App::start().await;
    let server = app.rest().server();
    let unknown = "0f8fad5b-d9cb-469f-a165-70867728950e";
    for query in ["limit=0", "limit=101", "limit=ten", "status=SENT", "simple_status=fine", "cursor=x"] {
        server.get(&format!("/emails/outbox?{query}")).await.refused_with_text(400);
    }
    server.get(&format!("/emails/outbox?cursor={unknown}")).await.refused_with_text(400);
    server.get(&format!("/emails/outbox/{unknown}")).await.refused_with_text(404);
    server.get("/emails/outbox/nonsense").await.refused(400, "SCHEMA_ERROR");
    app.stop().await;
}

#[tokio::test]
async fn a_project_sees_its_own_mails_only_page_by_page() {
    let app = App::start().await;
    let callback = format!("{}/verify", app.url);
    for name in ["ada", "bob", "cid"] {
        let body = json!({
            "email": format!("{name}@example.com"), "password": "correct horse", "verification_callback_url": callback,
        });
        app.rest().client().post("/auth/password/sign-up", body).await.json(200);
    }
    let server = app.rest().server();
    let whole = server.get("/emails/outbox").await.json(200);
    let ids: Vec<_> = whole["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    assert_eq!(ids.len(), 3);
    let first = server.get("/emails/outbox?limit=2").await.json(200);
    assert_eq!(first["pagination"]["next_cursor"], ids[2]);
    let second = server.get(&format!("/emails/outbox?limit=2&cursor={}", ids[2].as_str().unwrap())).await.json(200);
    assert_eq!((second["items"].as_array().unwrap().len(), &second["items"][0]["id"]), (1, &ids[2]));
    assert_eq!(second["pagination"]["next_cursor"], json!(null));

    let id = ids[0].as_str().unwrap();
    assert_eq!(server.get(&format!("/emails/outbox/{id}")).await.json(200)["to"]["type"], "user-custom-emails");
    let other = app.internal_rest().server();
    other.get(&format!("/emails/outbox/{id}")).await.refused_with_text(404);
    assert_eq!(other.get("/emails/outbox").await.json(200)["items"], json!([]));
    app.stop().await;
}
