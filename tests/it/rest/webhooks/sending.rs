//! What is sent and what came of it, as the Svix API tells it; the test call.

use serde_json::{Value, json};

use super::{below, endpoint, id, invalid, owner, refused, walk};
use crate::support::{
    App,
    client::Client,
    eventually,
    receiver::{Answer, Receiver},
};

/// Looks at a list until it has so many items.
async fn list(own: &Client, path: &str, count: usize) -> Vec<Value> {
    eventually(path, async || {
        let data = own.get(path).await.json(200)["data"].as_array().unwrap().clone();
        (data.len() == count).then_some(data)
    })
    .await
}

#[tokio::test]
async fn messages_and_attempts_are_told_and_a_failed_one_is_sent_again() {
    let app = App::start().await;
    let (own, receiver, server) = (owner(&app).await, Receiver::start().await, app.rest().server());
    let made = endpoint(&app, &own, &receiver).await;
    let e = id(&made);
    receiver.answer_next(Answer::Status(500));
    let user = server.post("/users", json!({ "display_name": "Ada" })).await.json(201);
    let of_endpoint = below(&app, &format!("/attempt/endpoint/{e}"));
    let attempt = list(&own, &of_endpoint, 1).await.remove(0);
    let message = list(&own, &below(&app, "/msg"), 1).await.remove(0);
    let m = id(&message);
    assert!(id(&attempt).starts_with("atmpt_") && m.starts_with("msg_"));
    assert_eq!(receiver.received()[0].id(), m);
    for (name, value) in [
        ("msgId", json!(m)),
        ("endpointId", json!(e)),
        ("url", json!(receiver.url())),
        ("response", json!("")),
        ("responseStatusCode", json!(500)),
        ("status", json!(3)),
        ("statusText", json!("sending")),
        ("triggerType", json!(0)),
    ] {
        assert_eq!(attempt[name], value, "{name}");
    }
    assert!(attempt["responseDurationMs"].is_u64() && attempt["msg"].is_null());
    assert_eq!(message["eventType"], "user.created");
    assert_eq!(message["payload"]["data"]["id"], user["id"]);
    assert!(message["eventId"].as_str().unwrap().starts_with("evt_"));
    assert_eq!((&message["tags"], &message["channels"]), (&Value::Null, &json!([format!("user:{}", id(&user))])));
    let path = below(&app, &format!("/msg/{m}"));
    assert_eq!(own.get(&path).await.json(200), message);
    assert_eq!(own.get(&format!("{path}?with_content=false")).await.json(200)["payload"], json!({}));
    let endpoints = own.get(&format!("{path}/endpoint")).await.json(200);
    assert_eq!((&endpoints["data"][0]["id"], &endpoints["data"][0]["status"]), (&json!(e), &json!(3)));
    assert!(endpoints["data"][0]["nextAttempt"].is_string());

    let again = own.post(&format!("{path}/endpoint/{e}/resend"), json!({})).await;
    assert_eq!(again.json(202), json!({}));
    let attempts = list(&own, &format!("{of_endpoint}?with_msg=true"), 2).await;
    assert_eq!((&attempts[0]["status"], &attempts[0]["triggerType"]), (&json!(0), &json!(1)));
    assert_eq!(attempts[0]["msg"], message);
    let messages = own.get(&below(&app, &format!("/endpoint/{e}/msg"))).await.json(200)["data"].clone();
    assert_eq!(
        (&messages[0]["id"], &messages[0]["statusText"], &messages[0]["nextAttempt"]),
        (&json!(m), &json!("success"), &Value::Null)
    );
    let stats = own.get(&below(&app, &format!("/endpoint/{e}/stats"))).await.json(200);
    assert_eq!(stats, json!({ "success": 1, "pending": 0, "sending": 0, "fail": 0 }));

    let one = format!("{path}/attempt/{}", id(&attempts[1]));
    assert_eq!(own.get(&one).await.json(200)["responseStatusCode"], 500);
    assert_eq!(own.delete(&format!("{one}/content")).await.status, 204);
    assert_eq!(own.get(&one).await.json(200)["response"], "");
    refused(own.get(&one.replace(m, "msg_00000000000000000000000000000001")).await, 404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn lists_are_filtered_and_walked() {
    let app = App::builder().set("POSTERN_RATE_LIMITS", "off").start().await;
    let (own, receiver, server) = (owner(&app).await, Receiver::start().await, app.rest().server());
    let e = endpoint(&app, &own, &receiver).await;
    let e = id(&e);
    let user = server.post("/users", json!({ "display_name": "0" })).await.json(201);
    for number in 1..120 {
        server.patch(&format!("/users/{}", id(&user)), json!({ "display_name": number.to_string() })).await.json(200);
    }
    receiver.wait_for(120).await;
    let attempts = below(&app, &format!("/attempt/endpoint/{e}"));
    list(&own, &format!("{attempts}?limit=250"), 120).await;
    for path in [attempts.clone(), below(&app, "/msg"), below(&app, &format!("/endpoint/{e}/msg"))] {
        let (all, sizes) = walk(&own, &path, 50).await;
        assert_eq!(sizes, [50, 50, 20], "{path}");
        let ids: std::collections::BTreeSet<_> = all.iter().map(id).collect();
        assert_eq!(ids.len(), 120);
        assert!(all.is_sorted_by(|newer, older| newer["timestamp"].as_str() >= older["timestamp"].as_str()), "{path}");
        let middle = all[60]["timestamp"].as_str().unwrap();
        let is = |wanted: fn(&str, &str) -> bool| {
            all.iter().filter(|one| wanted(one["timestamp"].as_str().unwrap(), middle)).count()
        };
        for (query, count) in [
            ("event_types=user.created".to_owned(), 1),
            ("event_types=user.created,team.created".to_owned(), 1),
            ("event_types=user.created&event_types=user.updated".to_owned(), 120),
            ("event_types=team.created".to_owned(), 0),
            (format!("channel=user:{}", id(&user)), 120),
            ("channel=user:11111111-1111-4111-8111-111111111111".to_owned(), 0),
            ("channel=else".to_owned(), 0),
            ("after=2999-01-01T00:00:00Z".to_owned(), 0),
            ("before=2001-01-01T00:00:00Z".to_owned(), 0),
        ] {
            let found = own.get(&format!("{path}?limit=250&{query}")).await.json(200);
            assert_eq!(found["data"].as_array().unwrap().len(), count, "{path} {query}");
        }
        // The lists of messages of an endpoint go by when they were put in its line, a moment before or after.
        if !path.ends_with(&format!("{e}/msg")) {
            for (query, count) in [("before", is(|at, middle| at < middle)), ("after", is(|at, middle| at > middle))] {
                let found = own.get(&format!("{path}?limit=250&{query}={middle}")).await.json(200);
                assert_eq!(found["data"].as_array().unwrap().len(), count, "{path} {query}");
            }
        }
        for query in ["limit=251", "before=soon", "iterator=x", "more=1", "with_content=perhaps"] {
            invalid(own.get(&format!("{path}?{query}")).await);
        }
    }
    for (query, count) in [
        ("status=0", 120),
        ("status=1", 0),
        ("status=2", 0),
        ("status=3", 0),
        ("status_code_class=200", 120),
        ("status_code_class=500", 0),
        ("status_code_class=0", 0),
    ] {
        let found = own.get(&format!("{attempts}?limit=250&{query}")).await.json(200);
        assert_eq!(found["data"].as_array().unwrap().len(), count, "{query}");
    }
    for query in ["status=9", "status_code_class=201", "status_code_class=600"] {
        invalid(own.get(&format!("{attempts}?{query}")).await);
    }
    app.stop().await;
}

#[tokio::test]
async fn examples_arrive_and_what_was_missed_is_sent_by_the_stretch() {
    let app = App::start().await;
    let (own, receiver, server) = (owner(&app).await, Receiver::start().await, app.rest().server());
    // Messages are kept where anybody could get them.
    endpoint(&app, &own, &Receiver::start().await).await;
    server.post("/users", json!({ "display_name": "before" })).await.json(201);
    let before = list(&own, &below(&app, "/msg"), 1).await.remove(0);
    let made = endpoint(&app, &own, &receiver).await;
    let path = below(&app, &format!("/endpoint/{}", id(&made)));
    let example = own.post(&format!("{path}/send-example"), json!({ "eventType": "team.deleted" })).await.json(200);
    assert_eq!((&example["eventType"], &example["eventId"]), (&json!("team.deleted"), &Value::Null));
    assert_eq!(receiver.wait_for(1).await[0].id(), id(&example));
    for kind in ["stack.test", "key_set.created", "nonsense"] {
        let told = invalid(own.post(&format!("{path}/send-example"), json!({ "eventType": kind })).await);
        assert!(told[0].1.contains(kind), "{told:?}");
    }
    // What happened before the endpoint was there it never got.
    let window = json!({ "since": before["timestamp"] });
    let task = own.post(&format!("{path}/replay-missing"), window.clone()).await.json(202);
    assert_eq!((&task["status"], &task["task"]), (&json!("running"), &json!("endpoint.replay")));
    assert!(task["id"].is_string() && task["updatedAt"].is_string());
    let received = receiver.wait_for(2).await;
    assert_eq!(received[1].json()["data"]["display_name"], "before");
    let task = own.post(&format!("{path}/recover"), window).await.json(202);
    assert_eq!(task["task"], "endpoint.recover");
    for body in [
        json!({}),
        json!({ "since": "soon" }),
        json!({ "since": "2001-01-01T00:00:00Z" }),
        json!({ "since": "2999-01-01T00:00:00Z" }),
    ] {
        invalid(own.post(&format!("{path}/recover"), body).await);
    }
    own.patch(&path, json!({ "disabled": true })).await.json(200);
    refused(own.post(&format!("{path}/send-example"), json!({ "eventType": "team.deleted" })).await, 409, "conflict");
    refused(
        own.post(&below(&app, "/msg"), json!({ "eventType": "x", "payload": {} })).await,
        403,
        "insufficient_permissions",
    );
    app.stop().await;
}

#[tokio::test]
async fn the_test_call_says_what_became_of_its_message() {
    let app = App::start().await;
    let (own, receiver, other) = (owner(&app).await, Receiver::start().await, Receiver::start().await);
    let made = endpoint(&app, &own, &receiver).await;
    endpoint(&app, &own, &other).await;
    let admin = app.rest().admin();
    let call = "/internal/send-test-webhook";
    for client in [app.rest().client(), app.rest().server()] {
        client.post(call, json!({ "endpoint_id": id(&made) })).await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    }
    let uuid = uuid::Uuid::parse_str(id(&made).strip_prefix("ep_").unwrap()).unwrap();
    for text in [id(&made).to_owned(), uuid.to_string()] {
        assert_eq!(admin.post(call, json!({ "endpoint_id": text })).await.json(200), json!({ "success": true }));
    }
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].json()["type"], "stack.test");
    assert_eq!(received[0].json()["data"]["endpointUrl"], receiver.url());
    assert_eq!(other.received().len(), 0);
    receiver.answer_next(Answer::Status(503));
    let answer = admin.post(call, json!({ "endpoint_id": id(&made) })).await.json(200);
    assert_eq!(answer["success"], false);
    assert!(answer["error_message"].as_str().unwrap().contains("503"), "{answer}");
    own.patch(&below(&app, &format!("/endpoint/{}", id(&made))), json!({ "disabled": true })).await.json(200);
    let foreign = app.internal_rest().admin();
    for (client, text) in [
        (&admin, id(&made)),
        (&admin, "ep_00000000000000000000000000000001"),
        (&admin, "nonsense"),
        (&foreign, id(&made)),
    ] {
        let answer = client.post(call, json!({ "endpoint_id": text })).await.json(200);
        assert_eq!(answer["success"], false, "{text}");
        assert!(answer["error_message"].is_string());
    }
    admin.post(call, json!({})).await.refused(400, "SCHEMA_ERROR");
    app.stop().await;
}
