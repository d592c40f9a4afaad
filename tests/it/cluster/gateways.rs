//! Two gateways hear of each other's changes through Redis.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use postern::{settings::Role, wiring};
use postern_domain::{
    Timestamp,
    time::{Clock, SystemClock},
};
use serde_json::{Value, json};

use crate::{
    graphql::{data, signed_up},
    support::{App, client::Client, on_postgres, socket::Socket},
};

/// Less than it takes to notice anything without a signal (caches live 5 s, sessions are looked at every 5 s).
pub(super) const AT_ONCE: Duration = Duration::from_secs(3);

/// Asks again and again, until the user of the client's access token is gone.
pub(super) async fn until_nobody(client: &Client, patience: Duration) {
    let started = Instant::now();
    loop {
        let answer = client.get("/users/me").await;
        if answer.status != 200 {
            answer.refused(400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
            return;
        }
        assert!(started.elapsed() < patience, "the user is still known");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A session's access token and id at the other gateway.
pub(super) fn user_headers(app: &App, payload: &Value) -> Value {
    json!({"x-stack-project-id": app.demo.project_id, "x-stack-access-type": "client",
        "x-stack-publishable-client-key": app.demo.client, "x-stack-access-token": payload["accessToken"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn config_and_keys_changed_at_one_gateway_hold_at_the_other() {
    if !on_postgres() {
        return;
    }
    let app = App::builder().more_gateways(1).start().await;
    let other = app.rest_at(0);
    // Cached there from now on.
    let shown = other.client().get("/projects/current").await.json(200);
    assert_eq!(shown["config"]["sign_up_enabled"], true);
    app.rest()
        .admin()
        .patch("/internal/projects/current", json!({"config": {"sign_up_enabled": false}}))
        .await
        .json(200);
    let started = Instant::now();
    while other.client().get("/projects/current").await.json(200)["config"]["sign_up_enabled"] == true {
        assert!(started.elapsed() < AT_ONCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    app.stop().await;
}

/// Several times: without a signal a session is looked at every 5 s, which may happen to be now, but not one time after the
/// other. The middle one counts, for a machine with too much to do may be late once or twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_revoked_at_one_gateway_ends_its_sockets_at_the_other_within_a_second() {
    if !on_postgres() {
        return;
    }
    let app = App::builder().more_gateways(1).start().await;
    let mut waits = Vec::new();
    for round in 0..5 {
        let (ada, payload) = signed_up(&app, &format!("ada{round}@example.com")).await;
        let socket = Socket::connect_at(&app.url_at(0), user_headers(&app, &payload)).await;
        data(ada.graphql("mutation { signOut { id } }", Value::Null).await.json(200));
        let started = Instant::now();
        assert_eq!(socket.closed().await, 4403);
        waits.push(started.elapsed());
        // Nor does it open anything there any more, though its access token has not expired.
        let at_other = app.rest_at(0).client().user(payload["accessToken"].as_str().unwrap());
        let refused = at_other.graphql("{ me { id } }", Value::Null).await.json(401);
        assert_eq!(refused["errors"][0]["extensions"]["code"], "ACCESS_TOKEN_EXPIRED");
    }
    waits.sort();
    assert!(waits[2] < Duration::from_secs(1), "{waits:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_deleted_at_one_gateway_is_nobody_at_the_other() {
    if !on_postgres() {
        return;
    }
    let app = App::builder().more_gateways(1).start().await;
    let (_, payload) = signed_up(&app, "ada@example.com").await;
    let at_other = app.rest_at(0).client().user(payload["accessToken"].as_str().unwrap());
    assert_eq!(at_other.get("/users/me").await.json(200)["primary_email"], "ada@example.com");
    let path = format!("/users/{}", payload["userId"].as_str().unwrap());
    app.rest().server().delete(&path).await.json(200);
    until_nobody(&at_other, AT_ONCE).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_gateway_reach_subscribers_of_the_other_in_order() {
    if !on_postgres() {
        return;
    }
    let app = App::builder().more_gateways(1).start().await;
    let headers = json!({"x-stack-access-type": "server", "x-stack-project-id": app.demo.project_id,
        "x-stack-secret-server-key": app.demo.server});
    let mut socket = Socket::connect_at(&app.url_at(0), headers).await;
    socket.subscribe("1", "subscription { events(types: [\"user.created\"]) { type payload } }", json!({})).await;
    for number in 0..20 {
        let gateway = if number % 2 == 0 { app.rest() } else { app.rest_at(0) };
        gateway.server().post("/users", json!({"display_name": number.to_string()})).await.json(201);
    }
    for number in 0..20 {
        let event = socket.hear_data().await;
        assert_eq!(event["events"]["payload"]["display_name"], number.to_string(), "{event}");
    }
    app.stop().await;
}

/// A clock that was set wrong.
struct Skewed {
    seconds: i64,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_seconds(self.seconds)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_clock_is_wrong_is_refused_and_says_so() {
    if !on_postgres() {
        return;
    }
    let app = App::start().await;
    for (seconds, words) in [(3600, "s ahead of the database's"), (-3600, "s behind the database's")] {
        let settings = app.settings(Role::Worker);
        let started = wiring::start(&settings, Role::Worker, Some(Arc::new(Skewed { seconds }))).await;
        let said = started.unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
    wiring::start(&app.settings(Role::Worker), Role::Worker, Some(Arc::new(Skewed { seconds: 5 })))
        .await
        .unwrap()
        .stop()
        .await;
    app.stop().await;
}
