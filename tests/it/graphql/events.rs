//! The event log through GraphQL: by pages and live, from where a reader stopped.

use serde_json::{Value, json};

use super::{ask, codes, data, live::server_headers, signed_up};
use crate::support::{App, client::Client, eventually, socket::Socket};

async fn create(server: &Client, name: &str) -> Value {
    let mutation = "mutation($name: String) { createUser(input: {displayName: $name}) { user { id } } }";
    data(ask(server, mutation, json!({ "name": name })).await)["createUser"]["user"]["id"].clone()
}

#[tokio::test]
async fn a_backend_follows_the_log_in_order_and_goes_on_where_it_stopped() {
    let app = App::start().await;
    let server = app.rest().server();
    let mut socket = Socket::connect(&app, server_headers(&app)).await;
    let query = "subscription($types: [String!], $after: String) { events(types: $types, after: $after) {
        cursor type userId payload user { displayName } } }";
    // A cursor from before, so that nothing depends on when the subscription began.
    let first = create(&server, "First").await;
    let page = "query($id: ID!) { events(userId: $id) { nodes { cursor type } } }";
    let mut found = Value::Null;
    while found.is_null() {
        found = data(ask(&server, page, json!({ "id": first })).await)["events"]["nodes"][0].clone();
    }
    socket.subscribe("all", query, json!({"after": found["cursor"]})).await;
    let ids = [create(&server, "A").await, create(&server, "B").await, create(&server, "C").await];
    let mut cursors = Vec::new();
    for (id, name) in ids.iter().zip(["A", "B", "C"]) {
        let event = socket.hear_data().await["events"].clone();
        assert_eq!((&event["type"], &event["userId"]), (&json!("user.created"), id));
        assert_eq!((&event["payload"]["display_name"], &event["user"]["displayName"]), (&json!(name), &json!(name)));
        cursors.push(event["cursor"].clone());
    }
    let mut again = Socket::connect(&app, server_headers(&app)).await;
    again.subscribe("rest", query, json!({"after": cursors[0]})).await;
    assert_eq!(again.hear_data().await["events"]["userId"], ids[1]);
    assert_eq!(again.hear_data().await["events"]["userId"], ids[2]);
    let mut some = Socket::connect(&app, server_headers(&app)).await;
    some.subscribe("deleted", query, json!({"after": cursors[0], "types": ["user.deleted"]})).await;
    let delete = "mutation($id: ID!) { deleteUser(input: {id: $id}) { id } }";
    data(ask(&server, delete, json!({"id": ids[0]})).await);
    let event = some.hear_data().await["events"].clone();
    assert_eq!((&event["type"], &event["userId"], &event["user"]), (&json!("user.deleted"), &ids[0], &Value::Null));
    app.stop().await;
}

#[tokio::test]
async fn a_user_hears_of_itself_only_and_never_the_servers_view() {
    let app = App::start().await;
    let (ada, payload) = signed_up(&app, "ada@example.com").await;
    let (bob, _) = signed_up(&app, "bob@example.com").await;
    let headers = json!({"x-stack-access-type": "client", "x-stack-project-id": app.demo.project_id,
        "x-stack-access-token": payload["accessToken"]});
    let mut socket = Socket::connect(&app, headers).await;
    let query =
        "subscription { myEvents { type createdAt userId payload teamId user { displayName serverMetadata } } }";
    socket.subscribe("1", query, json!({})).await;
    // Nothing says when the subscription is in force, so changes are made until one is heard.
    let change = "mutation($name: String) { updateMe(input: {displayName: $name}) { user { id } } }";
    let heard = async {
        let mut heard = std::pin::pin!(socket.hear());
        loop {
            data(ask(&bob, change, json!({"name": "Bob"})).await);
            data(ask(&ada, change, json!({"name": "Ada"})).await);
            if let Ok(heard) = tokio::time::timeout(std::time::Duration::from_millis(300), &mut heard).await {
                break heard;
            }
        }
    };
    let answer = heard.await["payload"].clone();
    let event = &answer["data"]["myEvents"];
    assert_eq!((&event["type"], &event["userId"]), (&json!("user.updated"), &payload["userId"]));
    assert_eq!(event["user"], json!({"displayName": "Ada", "serverMetadata": null}));
    assert_eq!((&event["payload"], &event["teamId"]), (&Value::Null, &Value::Null));
    assert!(codes(&answer).iter().all(|(_, code)| code == "FORBIDDEN"));
    assert_eq!(codes(&answer).len(), 3);
    app.stop().await;
}

#[tokio::test]
async fn a_cursor_that_leads_nowhere_is_refused_never_a_silent_gap() {
    let app = App::start().await;
    let server = app.rest().server();
    create(&server, "A").await;
    // A position far beyond the end of the log.
    let beyond = "MTAwMDAwMDAwMDAw";
    let query = "query($after: String) { events(after: $after) { nodes { type } } }";
    let refused = ask(&server, query, json!({ "after": beyond })).await;
    assert_eq!(codes(&refused), [("events".to_owned(), "CURSOR_EXPIRED".to_owned())]);
    let mut socket = Socket::connect(&app, server_headers(&app)).await;
    socket
        .subscribe("1", "subscription($after: String) { events(after: $after) { type } }", json!({ "after": beyond }))
        .await;
    let refused = socket.hear().await;
    assert_eq!(refused["type"], "error");
    assert_eq!(refused["payload"][0]["extensions"]["code"], "CURSOR_EXPIRED");
    for (bad, code) in [(json!({"after": "nope"}), "BAD_USER_INPUT"), (json!({"types": ["nope"]}), "BAD_USER_INPUT")] {
        let query =
            "query($after: String, $types: [String!]) { events(after: $after, types: $types) { nodes { type } } }";
        assert_eq!(codes(&ask(&server, query, bad).await)[0].1, code);
    }
    app.stop().await;
}

const TEAM_LIVE: &str = "subscription($team: ID!, $after: String) { teamEvents(teamId: $team, after: $after) {
    cursor type createdAt teamId userId team { displayName serverMetadata } member { userId displayName user { id } } } }";

/// The place in the log of the event that tells of the making of a team.
async fn made_at(server: &Client, team: &str) -> Value {
    let page = "{ events(first: 200, types: [\"team.created\"]) { nodes { cursor teamId } } }";
    eventually("the event of the team", async || {
        let events = data(ask(server, page, Value::Null).await)["events"]["nodes"].clone();
        let made = events.as_array().unwrap().iter().find(|event| event["teamId"] == team);
        made.map(|event| event["cursor"].clone())
    })
    .await
}

#[tokio::test]
async fn members_hear_of_their_team_as_profiles_until_they_lose_the_right() {
    let app = App::start().await;
    let server = app.rest().server();
    let people = [
        signed_up(&app, "ada@example.com").await,
        signed_up(&app, "bob@example.com").await,
        signed_up(&app, "eve@example.com").await,
    ];
    let [ada, bob, eve] = people.each_ref().map(|(_, payload)| payload["userId"].as_str().unwrap());
    let headers = |payload: &Value| {
        json!({"x-stack-access-type": "client", "x-stack-project-id": app.demo.project_id,
            "x-stack-access-token": payload["accessToken"]})
    };
    let team = server.post("/teams", json!({"display_name": "Crew", "creator_user_id": ada})).await.json(201);
    let team = team["id"].as_str().unwrap().to_owned();
    let start = made_at(&server, &team).await;
    let mut mine = Socket::connect(&app, headers(&people[0].1)).await;
    mine.subscribe("1", TEAM_LIVE, json!({"team": team, "after": start})).await;
    // Who does not belong to the team is told nothing, and others' sockets live on.
    let mut foreign = Socket::connect(&app, headers(&people[2].1)).await;
    foreign.subscribe("1", TEAM_LIVE, json!({"team": team, "after": start})).await;
    let refused = foreign.hear().await;
    assert_eq!((&refused["type"], codes_of(&refused)), (&json!("error"), vec![json!("TEAM_MEMBERSHIP_NOT_FOUND")]));

    server.patch(&format!("/users/{bob}"), json!({"display_name": "Bob"})).await.json(200);
    server.post(&format!("/team-memberships/{team}/{bob}"), json!({})).await.json(201);
    server.patch(&format!("/teams/{team}"), json!({"display_name": "Pirates"})).await.json(200);
    let mut heard = Vec::new();
    while heard.last().is_none_or(|event: &Value| event["type"] != "team.updated") {
        let answer = mine.hear().await["payload"].clone();
        // Of each event only what servers see is refused.
        assert!(
            codes(&answer).iter().all(|(path, code)| code == "FORBIDDEN"
                && ["teamEvents.team.serverMetadata", "teamEvents.member.user"].contains(&path.as_str())),
            "{answer}"
        );
        heard.push(answer["data"]["teamEvents"].clone());
    }
    let joined = heard.iter().find(|event| event["type"] == "team_membership.created").unwrap();
    assert_eq!((&joined["teamId"], &joined["userId"]), (&json!(team), &json!(bob)));
    assert_eq!(joined["member"], json!({"userId": bob, "displayName": "Bob", "user": null}));
    assert_eq!(heard.last().unwrap()["team"], json!({"displayName": "Pirates", "serverMetadata": null}));

    // Bob follows too, and is then thrown out: his subscription ends, his socket and Ada's subscription do not.
    let mut his = Socket::connect(&app, headers(&people[1].1)).await;
    his.subscribe("1", TEAM_LIVE, json!({"team": team, "after": heard.last().unwrap()["cursor"]})).await;
    his.subscribe("2", "{ me { displayName } }", json!({})).await;
    assert_eq!(his.hear_data().await["me"]["displayName"], "Bob");
    assert_eq!(his.hear().await["type"], "complete");
    server.delete(&format!("/team-memberships/{team}/{bob}")).await.json(200);
    server.post(&format!("/team-memberships/{team}/{eve}"), json!({})).await.json(201);
    let ended = loop {
        let heard = his.hear().await;
        if heard["type"] != "next" || heard["payload"].get("errors").is_some() {
            break heard;
        }
    };
    let failures = if ended["type"] == "next" { codes_in(&ended["payload"]["errors"]) } else { codes_of(&ended) };
    assert_eq!(failures, ["TEAM_MEMBERSHIP_NOT_FOUND"], "{ended}");
    his.subscribe("3", "{ me { displayName } }", json!({})).await;
    while his.hear().await["id"] != "3" {}
    loop {
        let event = mine.hear().await["payload"]["data"]["teamEvents"].clone();
        if event["type"] == "team_membership.created" && event["userId"] == eve {
            break;
        }
    }

    // A server, whose right does not hang on the team, hears of its end; of a team that is not there nobody hears.
    let mut backend = Socket::connect(&app, server_headers(&app)).await;
    let live = "subscription($team: ID!, $after: String) { teamEvents(teamId: $team, after: $after) { type } }";
    backend.subscribe("1", live, json!({"team": team, "after": start})).await;
    server.delete(&format!("/teams/{team}")).await.json(200);
    while backend.hear_data().await["teamEvents"]["type"] != "team.deleted" {}
    backend.subscribe("2", live, json!({ "team": team })).await;
    let refused = backend.hear().await;
    assert_eq!((&refused["id"], codes_of(&refused)), (&json!("2"), vec![json!("TEAM_NOT_FOUND")]));
    app.stop().await;
}

fn codes_of(refused: &Value) -> Vec<Value> {
    codes_in(&refused["payload"])
}

fn codes_in(errors: &Value) -> Vec<Value> {
    errors.as_array().unwrap().iter().map(|error| error["extensions"]["code"].clone()).collect()
}
