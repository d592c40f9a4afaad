//! Making, changing and reading endpoints by the Svix API.

use serde_json::{Value, json};

use super::{below, id, invalid, owner, refused, walk};
use crate::support::App;

const URL: &str = "https://example.com/hook";

#[tokio::test]
async fn an_endpoint_is_made_replaced_changed_and_deleted() {
    let app = App::start().await;
    let own = owner(&app).await;
    let all = below(&app, "/endpoint");
    let made = own.post(&all, json!({ "url": URL })).await.json(201);
    let path = format!("{all}/{}", id(&made));
    let mut expected = json!({
        "id": id(&made),
        "uid": null,
        "url": URL,
        "version": 1,
        "description": "",
        "filterTypes": null,
        "channels": null,
        "disabled": false,
        "rateLimit": null,
        "throttleRate": null,
        "metadata": {},
        "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"],
        "inOrder": false,
        "selection": null,
    });
    assert_eq!(made, expected);
    assert_eq!(own.get(&path).await.json(200), made);

    let changed = own
        .patch(
            &path,
            json!({
                "description": "Billing", "filterTypes": ["user.created"], "channels": ["user:1"], "rateLimit": 5,
                "inOrder": true, "selection": "{ type }", "disabled": true, "metadata": {}, "uid": null,
            }),
        )
        .await
        .json(200);
    for (name, value) in [
        ("description", json!("Billing")),
        ("filterTypes", json!(["user.created"])),
        ("channels", json!(["user:1"])),
        ("rateLimit", json!(5)),
        ("throttleRate", json!(5)),
        ("inOrder", json!(true)),
        ("selection", json!("{ type }")),
        ("disabled", json!(true)),
    ] {
        expected[name] = value;
    }
    expected["updatedAt"] = changed["updatedAt"].clone();
    assert_eq!(changed, expected);
    let same = own.patch(&path, json!({ "channels": null, "throttleRate": null })).await.json(200);
    assert_eq!(
        (&same["channels"], &same["rateLimit"], &same["description"]),
        (&Value::Null, &Value::Null, &json!("Billing"))
    );

    // Replaced: what clients of Svix can name is as it is on a new one.
    let replaced = own.put(&path, json!({ "url": "https://example.com/two" })).await.json(200);
    for (name, value) in [
        ("url", json!("https://example.com/two")),
        ("description", json!("")),
        ("filterTypes", Value::Null),
        ("channels", Value::Null),
        ("rateLimit", Value::Null),
        ("throttleRate", Value::Null),
        ("disabled", json!(false)),
    ] {
        expected[name] = value;
    }
    expected["updatedAt"] = replaced["updatedAt"].clone();
    assert_eq!(replaced, expected);

    let gone = own.delete(&path).await;
    assert_eq!((gone.status.as_u16(), gone.text.as_str()), (204, ""));
    refused(own.get(&path).await, 404, "not_found");
    refused(own.delete(&path).await, 404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_is_named() {
    let app = App::start().await;
    let own = owner(&app).await;
    let all = below(&app, "/endpoint");
    for (body, at, words) in [
        (json!({}), "body.url", "required"),
        (json!({ "url": 5 }), "body.url", "absolute URL"),
        (json!({ "url": "ftp://example.com" }), "body.url", "http"),
        (json!({ "url": "http://10.0.0.1/" }), "body.url", "address"),
        (json!({ "url": URL, "filterTypes": ["user.exploded"] }), "body.filterTypes", "user.exploded"),
        (json!({ "url": URL, "filterTypes": [] }), "body.filterTypes", "at least one"),
        (json!({ "url": URL, "filterTypes": [["x"]] }), "body.filterTypes.0", "string"),
        (json!({ "url": URL, "channels": ["a b"] }), "body.channels", "letters"),
        (json!({ "url": URL, "rateLimit": 0 }), "body.rateLimit", "deliveries a second"),
        (json!({ "url": URL, "throttleRate": 99_999_999_999_i64 }), "body.rateLimit", "deliveries a second"),
        (json!({ "url": URL, "metadata": { "a": "b" } }), "body.metadata", "no metadata"),
        (json!({ "url": URL, "uid": "mine" }), "body.uid", "null"),
        (json!({ "url": URL, "headers": { "svix-id": "x" } }), "body.headers", "svix-id"),
        (json!({ "url": URL, "headers": { "x": 5 } }), "body.headers", "strings"),
        (json!({ "url": URL, "secret": "short" }), "body.secret", "whsec_"),
        (json!({ "url": URL, "selection": "{ nothing" }), "body.selection", ""),
        (json!({ "url": URL, "surplus": 1 }), "body", "surplus"),
    ] {
        let told = invalid(own.post(&all, body.clone()).await);
        assert!(told.iter().any(|(loc, msg)| loc == at && msg.contains(words)), "{body}: {told:?}");
    }
    assert_eq!(own.get(&all).await.json(200)["data"], json!([]));
    for query in ["limit=0", "limit=251", "limit=x", "iterator=nonsense", "order=descending", "surplus=1"] {
        invalid(own.get(&format!("{all}?{query}")).await);
    }
    let several = invalid(own.post(&all, json!({ "description": 1, "disabled": "perhaps", "channels": 5 })).await);
    assert_eq!(
        several.iter().map(|(at, _)| at.as_str()).collect::<Vec<_>>(),
        ["body.url", "body.channels", "body.disabled"]
    );
    app.stop().await;
}

#[tokio::test]
async fn as_many_endpoints_as_there_may_be_are_walked_in_pages() {
    let app = App::builder().set("POSTERN_RATE_LIMITS", "off").start().await;
    let own = owner(&app).await;
    let all = below(&app, "/endpoint");
    let mut made = Vec::new();
    for number in 0..100 {
        let body = json!({ "url": URL, "description": format!("no. {number}") });
        made.push(own.post(&all, body).await.json(201));
    }
    refused(own.post(&all, json!({ "url": URL })).await, 400, "limit_reached");
    for (limit, sizes) in [(30, vec![30, 30, 30, 10]), (50, vec![50, 50]), (250, vec![100])] {
        let (found, of_pages) = walk(&own, &all, limit).await;
        assert_eq!(of_pages, sizes);
        // In the order of their making; those of one millisecond as it comes.
        let ids = |list: &[Value]| list.iter().map(|one| id(one).to_owned()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(ids(&found), ids(&made));
        assert!(found.is_sorted_by_key(|one| one["createdAt"].as_str().unwrap().to_owned()));
    }
    assert_eq!(own.get(&all).await.json(200)["data"].as_array().unwrap().len(), 50);
    app.stop().await;
}

#[tokio::test]
async fn secrets_are_shown_and_replaced_and_sensitive_headers_are_not_shown() {
    let app = App::start().await;
    let own = owner(&app).await;
    let all = below(&app, "/endpoint");
    let chosen = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let body = json!({ "url": URL, "secret": chosen, "headers": { "X-One": "1", "Authorization": "hidden" } });
    let path = format!("{all}/{}", id(&own.post(&all, body).await.json(201)));
    let (secret, rotate, headers) =
        (format!("{path}/secret"), format!("{path}/secret/rotate"), format!("{path}/headers"));
    assert_eq!(own.get(&secret).await.json(200), json!({ "key": chosen }));

    assert_eq!(own.post(&rotate, json!({})).await.status, 204);
    assert_ne!(own.get(&secret).await.json(200), json!({ "key": chosen }));
    assert_eq!(own.post(&rotate, json!({ "key": chosen, "gracePeriodSeconds": 0 })).await.status, 204);
    assert_eq!(own.get(&secret).await.json(200), json!({ "key": chosen }));
    for body in [
        json!({ "gracePeriodSeconds": 604_801 }),
        json!({ "gracePeriodSeconds": -1 }),
        json!({ "key": "whsec_x" }),
        json!({ "more": 1 }),
    ] {
        invalid(own.post(&rotate, body).await);
    }
    // One old secret is left of the first change.
    for _ in 0..9 {
        assert_eq!(own.post(&rotate, json!({})).await.status, 204);
    }
    refused(own.post(&rotate, json!({})).await, 400, "limit_reached");

    assert_eq!(
        own.get(&headers).await.json(200),
        json!({ "headers": { "x-one": "1" }, "sensitive": ["authorization"] })
    );
    assert_eq!(own.patch(&headers, json!({ "headers": { "x-two": "2", "X-One": null } })).await.status, 204);
    assert_eq!(
        own.get(&headers).await.json(200),
        json!({ "headers": { "x-two": "2" }, "sensitive": ["authorization"] })
    );
    assert_eq!(own.patch(&headers, json!({ "deleteHeaders": ["Authorization"] })).await.status, 204);
    assert_eq!(own.get(&headers).await.json(200), json!({ "headers": { "x-two": "2" }, "sensitive": [] }));
    assert_eq!(own.put(&headers, json!({ "headers": { "x-three": "3" } })).await.status, 204);
    assert_eq!(own.get(&headers).await.json(200), json!({ "headers": { "x-three": "3" }, "sensitive": [] }));
    for body in [json!({}), json!({ "headers": { "content-type": "x" } }), json!({ "headers": { "x": "a\nb" } })] {
        invalid(own.put(&headers, body).await);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_request_with_a_key_is_done_once() {
    let app = App::start().await;
    let own = owner(&app).await.with("idempotency-key", "once");
    let all = below(&app, "/endpoint");
    let first = own.post(&all, json!({ "url": URL })).await.json(201);
    assert_eq!(own.post(&all, json!({ "url": URL })).await.json(201), first);
    refused(own.post(&all, json!({ "url": "https://example.com/two" })).await, 409, "conflict");
    assert_eq!(own.get(&all).await.json(200)["data"].as_array().unwrap().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn types_of_events_are_listed_with_examples() {
    let app = App::start().await;
    let own = owner(&app).await;
    let (all, _) = walk(&own, "/event-type", 7).await;
    let names: Vec<_> = all.iter().map(|kind| kind["name"].as_str().unwrap()).collect();
    for name in ["user.created", "team_permission.deleted", "session.created"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for name in ["stack.test", "key_set.created"] {
        assert!(!names.contains(&name), "{names:?}");
    }
    assert!(all.iter().all(|kind| kind["archived"] == false && kind["schemas"].is_null()));
    let told = own.get("/event-type?with_content=true&include_archived=true").await.json(200);
    assert_eq!(told["data"][0]["schemas"]["1"]["examples"][0]["type"], told["data"][0]["name"]);
    assert_eq!(
        own.get("/event-type/user.deleted").await.json(200)["schemas"]["1"]["examples"][0]["type"],
        "user.deleted"
    );
    for name in ["user.exploded", "stack.test"] {
        refused(own.get(&format!("/event-type/{name}")).await, 404, "not_found");
    }
    app.stop().await;
}
