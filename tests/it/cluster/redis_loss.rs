//! Redis goes away, hangs, comes back empty, or with another time: everything stays right, and gets fast again.

use std::time::Duration;

use serde_json::{Value, json};

use super::gateways::{AT_ONCE, until_nobody, user_headers};
use crate::{
    graphql::{data, signed_up},
    support::{App, on_postgres, receiver::Receiver, redis::PrivateRedis, socket::Socket},
};

/// How long a change may go unnoticed elsewhere without Redis (design §3, Live).
const WITHOUT_REDIS: Duration = Duration::from_secs(10);

async fn start(redis: &PrivateRedis) -> App {
    App::builder().set("POSTERN_REDIS_URL", &redis.url()).more_gateways(1).start().await
}

async fn ready_says(app: &App, text: &str) {
    let url = format!("http://{}/readyz", app.running.admin_address);
    loop {
        let answer = reqwest::get(&url).await.unwrap();
        assert_eq!(answer.status(), 200);
        if answer.text().await.unwrap().contains(text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A change at one gateway, with everything that follows from it elsewhere.
async fn everything_works(app: &App, name: &str, noticed_within: Duration) {
    let receiver = Receiver::start().await;
    let endpoint = "mutation($url: String!) { createWebhookEndpoint(input: {url: $url}) { webhookEndpoint { id } } }";
    data(app.rest().admin().graphql(endpoint, json!({"url": receiver.url()})).await.json(200));
    let (ada, payload) = signed_up(app, &format!("{name}@example.com")).await;
    receiver.wait_until("user.created", |hooks| hooks.iter().any(|hook| hook.json()["type"] == "user.created")).await;

    let socket = Socket::connect_at(&app.url_at(0), user_headers(app, &payload)).await;
    let at_other = app.rest_at(0).client().user(payload["accessToken"].as_str().unwrap());
    at_other.get("/users/me").await.json(200);
    data(ada.graphql("mutation { signOut { id } }", Value::Null).await.json(200));
    let closed = tokio::time::timeout(noticed_within, socket.closed()).await;
    assert_eq!(closed.unwrap(), 4403);
    let path = format!("/users/{}", payload["userId"].as_str().unwrap());
    app.rest().server().delete(&path).await.json(200);
    until_nobody(&at_other, noticed_within).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again() {
    if !on_postgres() {
        return;
    }
    let mut redis = PrivateRedis::start("first-password").await;
    let app = start(&redis).await;
    everything_works(&app, "before", AT_ONCE).await;
    redis.kill();
    ready_says(&app, "Redis is away").await;
    everything_works(&app, "without", WITHOUT_REDIS).await;
    redis.start_again().await;
    for process in app.processes() {
        crate::support::until_connected(process).await;
    }
    everything_works(&app, "after", AT_ONCE).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_with_its_connections_open() {
    if !on_postgres() {
        return;
    }
    let redis = PrivateRedis::start("second-password").await;
    let app = start(&redis).await;
    redis.signal("-STOP");
    // Nobody waits for it, from the first request on.
    assert_eq!(guess(&app).await, 400);
    ready_says(&app, "Redis is away").await;
    everything_works(&app, "without", WITHOUT_REDIS).await;
    redis.signal("-CONT");
    for process in app.processes() {
        crate::support::until_connected(process).await;
    }
    everything_works(&app, "after", AT_ONCE).await;
    app.stop().await;
}

/// What is answered to more wrong passwords than may be tried.
async fn guesses(app: &App) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..25 {
        statuses.push(guess(app).await);
    }
    statuses
}

async fn guess(app: &App) -> u16 {
    let body = json!({"email": "ada@example.com", "password": "wrong horse"});
    app.rest().client().post("/auth/password/sign-in", body).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_go_on_within_each_gateway() {
    if !on_postgres() {
        return;
    }
    let mut redis = PrivateRedis::start("third-password").await;
    let app = start(&redis).await;
    redis.kill();
    let statuses = guesses(&app).await;
    assert_eq!((statuses[0], statuses[24]), (400, 429), "{statuses:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn put_back_by_an_hour_its_clock_holds_nobody_up() {
    const AN_HOUR_AHEAD: &str = "for _, key in ipairs(redis.call('KEYS', '*:rate:*')) do
         local ahead = redis.call('GET', key) + 3600 * 1000000
         redis.call('SET', key, string.format('%.0f', ahead), 'PX', 3600 * 1000)
         end
         return redis.status_reply('OK')";
    if !on_postgres() {
        return;
    }
    let redis = PrivateRedis::start("fourth-password").await;
    let app = start(&redis).await;
    assert_eq!(guesses(&app).await[24], 429);
    redis.command(&["EVAL", AN_HOUR_AHEAD, "0"]);
    assert_eq!(guess(&app).await, 400);
    app.stop().await;
}
