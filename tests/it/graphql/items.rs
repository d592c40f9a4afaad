//! Items through GraphQL: the same answers and codes as over REST, and live.

use std::{sync::Arc, time::Duration};

use postern_domain::{
    items,
    time::{Clock, FixedClock, SystemClock},
};
use serde_json::{Value, json};

use super::{ask, codes, data, live::server_headers, signed_up};
use crate::{
    rest::items::configure,
    support::{App, client::Client, socket::Socket},
};

const CHANGE: &str = "mutation($input: ChangeItemQuantityInput!) { changeItemQuantity(input: $input) {
    item { id quantity nonNegativeQuantity } } }";
const ITEM: &str = "query($customer: CustomerInput!, $item: ID!) { item(customer: $customer, itemId: $item) {
    id key displayName quantity nonNegativeQuantity } }";
const LIVE: &str = "subscription($customer: CustomerInput!, $item: ID!) {
    itemChanged(customer: $customer, itemId: $item) { key quantity } }";
const NOBODY: &str = "11111111-1111-4111-8111-111111111111";

fn customer(kind: &str, id: &Value) -> Value {
    json!({"type": kind, "id": id})
}

async fn change(server: &Client, customer: &Value, item: &str, more: Value) -> Value {
    let mut input = json!({"customer": customer, "itemId": item, "allowNegative": true});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask(server, CHANGE, json!({ "input": input })).await
}

/// A team of the demo project with this creator, who administers it.
async fn team(server: &Client, creator: &Value) -> Value {
    let body = json!({"display_name": "Crew", "creator_user_id": creator});
    server.post("/teams", body).await.json(201)["id"].clone()
}

#[tokio::test]
async fn a_server_changes_and_everybody_concerned_reads() {
    let app = App::start().await;
    configure(&app.rest()).await;
    let server = app.rest().server();
    let (ada, payload) = signed_up(&app, "ada@example.com").await;
    let of_ada = customer("USER", &payload["userId"]);
    let end = json!({"delta": 7, "expiresAt": "2999-01-01T00:00:00Z", "description": "welcome"});
    let changed = data(change(&server, &of_ada, "credits", end).await);
    let item = json!({"id": "item:credits", "quantity": 7, "nonNegativeQuantity": 7});
    assert_eq!(changed["changeItemQuantity"]["item"], item);
    let debt = data(change(&server, &of_ada, "item:credits", json!({"delta": -9_007_199_254_740_000_i64})).await);
    let item = json!({"id": "item:credits", "quantity": -9_007_199_254_739_993_i64, "nonNegativeQuantity": 0});
    assert_eq!(debt["changeItemQuantity"]["item"], item);
    for _ in 0..2 {
        let once = json!({"delta": 9_007_199_254_740_000_i64, "idempotencyKey": "once"});
        data(change(&server, &of_ada, "credits", once).await);
    }
    for client in [&ada, &server] {
        let seen = data(ask(client, ITEM, json!({"customer": of_ada, "item": "item:credits"})).await);
        let item = json!({"id": "item:credits", "key": "credits", "displayName": "Credits", "quantity": 7,
            "nonNegativeQuantity": 7});
        assert_eq!(seen["item"], item);
    }
    let all = "query($customer: CustomerInput!) { items(customer: $customer) { totalCount nodes { key quantity } }
        me { items { nodes { key quantity } } } }";
    let seen = data(ask(&ada, all, json!({ "customer": of_ada })).await);
    let expected = json!([{"key": "credits", "quantity": 7}]);
    assert_eq!((&seen["items"]["nodes"], &seen["items"]["totalCount"]), (&expected, &json!(1)));
    assert_eq!(seen["me"]["items"]["nodes"], expected);
    let rest = server.get(&format!("/payments/items/user/{}/credits", payload["userId"].as_str().unwrap())).await;
    assert_eq!(rest.json(200)["quantity"], 7);
    app.stop().await;
}

#[tokio::test]
async fn codes_are_those_of_rest() {
    let app = App::start().await;
    configure(&app.rest()).await;
    let server = app.rest().server();
    let (_, payload) = signed_up(&app, "ada@example.com").await;
    let (bob, _) = signed_up(&app, "bob@example.com").await;
    let team = team(&server, &payload["userId"]).await;
    let (of_ada, of_team) = (customer("USER", &payload["userId"]), customer("TEAM", &team));
    let (nobody, calls) = (json!(NOBODY), customer("CUSTOM", &json!("acme")));
    for (client, customer, item, code) in [
        (&server, &of_ada, "gone", "ITEM_NOT_FOUND"),
        (&server, &of_ada, "seats", "ITEM_CUSTOMER_TYPE_DOES_NOT_MATCH"),
        (&server, &customer("USER", &nobody), "credits", "USER_NOT_FOUND"),
        (&server, &customer("TEAM", &nobody), "seats", "TEAM_NOT_FOUND"),
        (&bob, &of_ada, "credits", "FORBIDDEN"),
        (&bob, &calls, "calls", "FORBIDDEN"),
        (&bob, &of_team, "seats", "TEAM_PERMISSION_REQUIRED"),
        (&app.rest().client(), &of_ada, "credits", "USER_AUTHENTICATION_REQUIRED"),
    ] {
        let answer = ask(client, ITEM, json!({"customer": customer, "item": item})).await;
        assert_eq!(codes(&answer), [("item".to_owned(), code.to_owned())], "{answer}");
    }
    let input = json!({"customer": of_ada, "itemId": "credits", "delta": -1});
    let refused = ask(&server, CHANGE, json!({ "input": input })).await;
    assert_eq!(codes(&refused)[0].1, "ITEM_QUANTITY_INSUFFICIENT_AMOUNT");
    let details = json!({"item_id": "credits", "customer_id": payload["userId"], "quantity": -1});
    assert_eq!(refused["errors"][0]["extensions"]["details"], details);
    assert_eq!(codes(&ask(&bob, CHANGE, json!({ "input": input })).await)[0].1, "FORBIDDEN");
    // A member who does not administer the team sees the team, and not what it has.
    let id = team.as_str().unwrap();
    let bob_id = data(ask(&bob, "{ me { id } }", Value::Null).await)["me"]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/team-memberships/{id}/{bob_id}"), json!({})).await.json(201);
    let query = "query($id: ID!) { team(id: $id) { id items { nodes { key } } } }";
    let seen = ask(&bob, query, json!({ "id": id })).await;
    assert_eq!(seen["data"]["team"], json!({"id": id, "items": null}));
    assert_eq!(codes(&seen), [("team.items".to_owned(), "TEAM_PERMISSION_REQUIRED".to_owned())]);
    let seen = data(ask(&server, query, json!({ "id": id })).await);
    assert_eq!(seen["team"]["items"]["nodes"], json!([{"key": "seats"}]));
    app.stop().await;
}

/// Adds until the socket hears of it, because nothing says when a subscription is in force.
async fn heard(socket: &mut Socket, server: &Client, customer: &Value, item: &str) -> Value {
    let mut heard = std::pin::pin!(socket.hear_data());
    loop {
        data(change(server, customer, item, json!({"delta": 1})).await);
        if let Ok(heard) = tokio::time::timeout(Duration::from_millis(300), &mut heard).await {
            break heard["itemChanged"].clone();
        }
    }
}

#[tokio::test]
async fn what_changes_is_heard_by_whom_it_concerns() {
    let app = App::start().await;
    configure(&app.rest()).await;
    let server = app.rest().server();
    let (_, payload) = signed_up(&app, "ada@example.com").await;
    let (_, other) = signed_up(&app, "bob@example.com").await;
    let headers = |payload: &Value| {
        json!({"x-stack-access-type": "client", "x-stack-project-id": app.demo.project_id,
            "x-stack-access-token": payload["accessToken"]})
    };
    let (of_ada, of_custom) = (customer("USER", &payload["userId"]), customer("CUSTOM", &json!("acme")));
    let mut own = Socket::connect(&app, headers(&payload)).await;
    own.subscribe("1", LIVE, json!({"customer": of_ada, "item": "credits"})).await;
    let item = heard(&mut own, &server, &of_ada, "credits").await;
    assert_eq!(item["key"], "credits");
    assert!(item["quantity"].as_i64().unwrap() >= 1);
    let mut any = Socket::connect(&app, server_headers(&app)).await;
    any.subscribe("1", LIVE, json!({"customer": of_custom, "item": "calls"})).await;
    assert_eq!(heard(&mut any, &server, &of_custom, "calls").await["key"], "calls");

    let mut foreign = Socket::connect(&app, headers(&other)).await;
    for (customer, item, code) in [
        (&of_ada, "credits", "FORBIDDEN"),
        (&of_custom, "calls", "FORBIDDEN"),
        (&customer("TEAM", &json!(NOBODY)), "seats", "TEAM_PERMISSION_REQUIRED"),
    ] {
        foreign.subscribe(item, LIVE, json!({"customer": customer, "item": item})).await;
        let refused = foreign.hear().await;
        assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!(item)), "{refused}");
        assert_eq!(refused["payload"][0]["extensions"]["code"], code);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_right_that_ends_ends_the_subscription() {
    let app = App::start().await;
    configure(&app.rest()).await;
    let server = app.rest().server();
    let (_, payload) = signed_up(&app, "ada@example.com").await;
    let id = team(&server, &payload["userId"]).await;
    let of_team = customer("TEAM", &id);
    let headers = json!({"x-stack-access-type": "client", "x-stack-project-id": app.demo.project_id,
        "x-stack-access-token": payload["accessToken"]});
    let mut socket = Socket::connect(&app, headers).await;
    socket.subscribe("1", LIVE, json!({"customer": of_team, "item": "seats"})).await;
    assert_eq!(heard(&mut socket, &server, &of_team, "seats").await["key"], "seats");
    let (team, user) = (id.as_str().unwrap(), payload["userId"].as_str().unwrap());
    server.delete(&format!("/team-permissions/{team}/{user}/team_admin")).await.json(200);
    let ended = loop {
        let heard = socket.hear().await;
        if heard["type"] != "next" || heard["payload"].get("errors").is_some() {
            break heard;
        }
    };
    let errors = if ended["type"] == "next" { &ended["payload"]["errors"] } else { &ended["payload"] };
    assert_eq!(errors[0]["extensions"]["code"], "TEAM_PERMISSION_REQUIRED", "{ended}");
    app.stop().await;
}

#[tokio::test]
async fn what_ends_by_itself_is_heard_once_it_is_written_down() {
    let clock = Arc::new(FixedClock::at(SystemClock.now()));
    let app = App::builder().clock(clock.clone()).start().await;
    configure(&app.rest()).await;
    let server = app.rest().server();
    let of_custom = customer("CUSTOM", &json!("acme"));
    let mut socket = Socket::connect(&app, server_headers(&app)).await;
    socket.subscribe("1", LIVE, json!({"customer": of_custom, "item": "calls"})).await;
    heard(&mut socket, &server, &of_custom, "calls").await;
    let end = clock.now().plus_seconds(3600).to_utc().unwrap().to_rfc3339();
    let before = data(change(&server, &of_custom, "calls", json!({"delta": 100, "expiresAt": end})).await);
    let before = before["changeItemQuantity"]["item"]["quantity"].as_i64().unwrap();
    clock.advance_seconds(7200);
    while items::fold_step(app.deps()).await.unwrap() {}
    while socket.hear_data().await["itemChanged"]["quantity"] != json!(before - 100) {}
    app.stop().await;
}
