//! `/events`: the log, read by backends.

use serde_json::{Value, json};

use crate::support::{App, eventually};

const EVENTS: &str =
    "query ($after: String, $first: Int) { events(after: $after, first: $first) { edges { cursor node { type } } } }";

#[tokio::test]
async fn the_log_is_read_in_stretches_by_either_door() {
    let app = App::start().await;
    let server = app.rest().server();
    let mut ids = Vec::new();
    for name in ["Ada", "Bob", "Cleo"] {
        let user = server.post("/users", json!({ "display_name": name })).await.json(201);
        ids.push(user["id"].as_str().unwrap().to_owned());
    }
    let path = "/events?type=user.created,user.deleted";
    let all = eventually("three events", async || {
        let feed = server.get(path).await.json(200);
        (feed["items"].as_array().unwrap().len() == 3).then_some(feed)
    })
    .await;
    assert_eq!((&all["is_paginated"], &all["has_more"]), (&json!(true), &json!(false)));
    for (event, id) in all["items"].as_array().unwrap().iter().zip(&ids) {
        assert_eq!(event["type"], "user.created");
        assert_eq!(
            (&event["user_id"], &event["data"]["id"], &event["team_id"]),
            (&json!(id), &json!(id), &Value::Null)
        );
        assert!(event["created_at_millis"].is_i64() && event["cursor"].is_string());
    }
    let first = server.get(&format!("{path}&limit=2")).await.json(200);
    assert_eq!((&first["items"][1], &first["has_more"]), (&all["items"][1], &json!(true)));
    let next = first["pagination"]["next_cursor"].as_str().unwrap();
    assert_eq!(server.get(&format!("{path}&after={next}")).await.json(200)["items"], json!([all["items"][2]]));
    let of_one = server.get(&format!("/events?user_id={}", ids[1])).await.json(200);
    assert!(of_one["items"].as_array().unwrap().iter().all(|event| event["user_id"] == ids[1].as_str()));
    let foreign = app.internal_rest().server();
    assert_eq!(foreign.get(&format!("/events?user_id={}", ids[1])).await.json(200)["items"], json!([]));

    // Each door takes the cursors of the other.
    let after = all["items"][0]["cursor"].clone();
    let told = server.graphql(EVENTS, json!({ "after": after, "first": 200 })).await.json(200);
    let edges = told["data"]["events"]["edges"].as_array().unwrap();
    assert!(edges.iter().any(|edge| edge["cursor"] == all["items"][1]["cursor"]), "{told}");
    let after = edges[0]["cursor"].as_str().unwrap();
    let feed = server.get(&format!("/events?after={after}")).await.json(200);
    assert_eq!(feed["items"].as_array().unwrap().len(), edges.len() - 1);
    // At the end there is a place from which to go on later.
    let end = feed["pagination"]["next_cursor"].as_str().unwrap();
    let after_end = server.get(&format!("/events?after={end}")).await.json(200);
    assert_eq!(after_end["items"], json!([]));
    assert!(after_end["pagination"]["next_cursor"].is_string());
    app.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_or_is_not_kept_is_refused() {
    let app = App::start().await;
    let rest = app.rest();
    rest.client().get("/events").await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    rest.get("/events").await.refused(400, "ACCESS_TYPE_REQUIRED");
    rest.admin().get("/events").await.json(200);
    for query in
        ["after=nonsense", "after=", "limit=0", "limit=201", "type=user.exploded", "type=", "user_id=x", "more=1"]
    {
        rest.server().get(&format!("/events?{query}")).await.refused(400, "SCHEMA_ERROR");
    }
    // Beyond the end of the log: 9999999.
    let text = rest.server().get("/events?after=OTk5OTk5OQ").await.refused_with_text(410);
    assert!(text.contains("no longer kept"), "{text}");
    app.stop().await;
}
