//! `/metrics` on the admin address.

use std::{collections::BTreeSet, sync::Arc};

use postern_domain::{
    Timestamp,
    time::{Clock, SystemClock},
    trace,
};
use reqwest::Method;
use serde_json::json;

use super::exposition::Exposition;
use crate::{
    graphql::signed_up,
    support::{App, process::Process, receiver::Receiver, socket::Socket},
};

/// What a caller may choose, so that it is found again wherever it ends up.
const MARK: &str = "mark7f3a";
/// Names of labels that there may be. Each has few values.
const LABELS: [&str; 12] = [
    "code",
    "consumer",
    "door",
    "kind",
    "le",
    "operation",
    "outcome",
    "pool",
    "state",
    "status",
    "transport",
    "version",
];

async fn scrape(process: &Process) -> Exposition {
    Exposition::of(&process.admin_url).await
}

/// Waits until the series has at least this value.
async fn scrape_until(process: &Process, name: &str, labels: &[(&str, &str)], least: f64) -> Exposition {
    let is_enough = |found: &Exposition| found.value(name, labels).is_some_and(|value| value >= least);
    Exposition::until(&process.admin_url, &format!("{name}{labels:?} of {least}"), is_enough).await
}

#[tokio::test]
async fn requests_and_operations_are_counted_by_what_they_ask_for() {
    let process = Process::start(&[]).await;
    let server = process.rest().server();
    for name in ["Ada", "Grace"] {
        server.post("/users", json!({"display_name": name})).await.json(201);
    }
    server.get("/users/5d9b3b0a-6f0e-4f43-8ea1-6f6d3a9f4a11").await.refused(404, "USER_NOT_FOUND");
    let page = "query Mine { users(first: 1) { edges { node { id } } } }";
    for _ in 0..3 {
        server.graphql(page, json!({})).await.json(200);
    }
    server.graphql("{ users(first: 1) { totalCount } project { id } }", json!({})).await.json(200);
    server.graphql("{ nope }", json!({})).await.json(200);
    process.rest().client().graphql("mutation { updateMe(input: {}) { user { id } } }", json!({})).await.json(200);

    let found = scrape(&process).await;
    let requests = |operation: &str, status: &str| {
        let door = if operation.ends_with("/graphql") { "graphql" } else { "rest" };
        let labels = [("door", door), ("operation", operation), ("status", status)];
        found.value("postern_http_requests_total", &labels)
    };
    assert_eq!(requests("POST /api/v1/users", "201"), Some(2.0));
    assert_eq!(requests("GET /api/v1/users/{user_id}", "404"), Some(1.0));
    assert_eq!(requests("POST /graphql", "200"), Some(6.0));
    let labels = [("door", "rest"), ("operation", "POST /api/v1/users")];
    assert_eq!(found.value("postern_http_request_duration_seconds_count", &labels), Some(2.0));
    let operations = |operation: &str, outcome: &str| {
        found.value("postern_graphql_operations_total", &[("operation", operation), ("outcome", outcome)])
    };
    assert_eq!(operations("query users", "ok"), Some(3.0));
    assert_eq!(operations("query several", "ok"), Some(1.0));
    assert_eq!(operations("invalid", "refused"), Some(1.0));
    assert_eq!(operations("mutation updateMe", "partial"), Some(1.0));
    let errors = |door: &str, code: &str| found.value("postern_errors_total", &[("door", door), ("code", code)]);
    assert_eq!(errors("rest", "USER_NOT_FOUND"), Some(1.0));
    assert_eq!(errors("graphql", "GRAPHQL_VALIDATION_FAILED"), Some(1.0));
    process.stop().await;
}

#[tokio::test]
async fn jobs_mails_and_webhooks_are_counted_by_how_they_end() {
    let process = Process::start(&[]).await;
    let (good, bad) = (Receiver::start().await, Receiver::always(crate::support::receiver::Answer::Status(500)).await);
    for receiver in [&good, &bad] {
        let query = "mutation($url: String!) { createWebhookEndpoint(input: {url: $url}) { secret } }";
        let made = process.rest().admin().graphql(query, json!({"url": receiver.url()})).await.json(200);
        assert!(made.get("errors").is_none(), "{made}");
    }
    let sign_up =
        json!({"email": "ada@example.com", "password": "correct horse", "verification_callback_url": process.url});
    process.rest().client().post("/auth/password/sign-up", sign_up).await.json(200);

    scrape_until(&process, "postern_webhook_attempts_total", &[("outcome", "succeeded")], 1.0).await;
    scrape_until(&process, "postern_webhook_attempts_total", &[("outcome", "refused")], 1.0).await;
    scrape_until(&process, "postern_mails_total", &[("outcome", "caught")], 1.0).await;
    scrape_until(&process, "postern_jobs_total", &[("kind", "send_email"), ("outcome", "done")], 1.0).await;
    scrape_until(&process, "postern_jobs_total", &[("kind", "deliver_webhook_line"), ("outcome", "snoozed")], 1.0)
        .await;
    // What the endpoint refused waits for its next attempt.
    let found = scrape_until(&process, "postern_webhook_deliveries_waiting", &[], 1.0).await;
    assert_eq!(found.value("postern_webhook_endpoints_paused", &[]), Some(0.0));
    assert!(found.value("postern_events_sequenced_total", &[]) >= Some(1.0));
    assert_eq!(found.value("postern_event_log_lag_seconds", &[]), Some(0.0));
    assert_eq!(found.value("postern_event_consumer_lag_events", &[("consumer", "webhooks")]), Some(0.0));
    assert_eq!(found.value("postern_database_up", &[]), Some(1.0));
    assert!(found.value("postern_database_begin_seconds_count", &[]) >= Some(1.0));
    assert_eq!(found.value("postern_password_hashes", &[("state", "running")]), Some(0.0));
    assert!(found.value("process_resident_memory_bytes", &[]) > Some(1_000_000.0));
    process.stop().await;
}

#[tokio::test]
async fn live_connections_and_subscriptions_are_counted_while_they_live() {
    let process = Process::start(&[]).await;
    let keys = &process.demo;
    let headers = json!({"x-stack-access-type": "server", "x-stack-project-id": keys.project_id,
        "x-stack-secret-server-key": keys.server});
    let subscriptions = [("operation", "subscription events")];
    let mut socket = Socket::connect_at(&process.url, headers).await;
    socket.subscribe("1", "subscription { events { type } }", json!({})).await;
    let found = scrape_until(&process, "postern_graphql_subscriptions", &subscriptions, 1.0).await;
    assert_eq!(found.value("postern_live_connections", &[("transport", "websocket")]), Some(1.0));
    drop(socket);
    let ended = [("operation", "subscription events"), ("outcome", "ok")];
    let found = scrape_until(&process, "postern_graphql_operations_total", &ended, 1.0).await;
    assert_eq!(found.value("postern_graphql_subscriptions", &subscriptions), Some(0.0));
    process.stop().await;
}

#[tokio::test]
async fn callers_choose_no_label_and_no_number_of_series() {
    let process = Process::start(&[]).await;
    let ask = async |number: usize| {
        let mark = format!("{MARK}{number}");
        let client = process.rest().server().with("x-stack-random-nonce", &mark).with("user-agent", &mark);
        client.raw(Method::GET, &format!("/{mark}"), None).await;
        client.raw(Method::GET, &format!("/api/v1/{mark}"), None).await;
        client.raw(Method::from_bytes(mark.to_uppercase().as_bytes()).unwrap(), "/api/v1/users", None).await;
        client.get(&format!("/users/{mark}")).await;
        client.raw(Method::GET, &format!("/verify/{mark}"), None).await;
        client
            .graphql(&format!("query {mark} {{ {mark}: users(first: 1) {{ {mark}: totalCount }} }}"), json!({}))
            .await;
        client.graphql(&format!("{{ {mark} }}"), json!({})).await;
        client.graphql(&format!("mutation {{ {mark}(input: {{}}) {{ id }} }}"), json!({})).await;
        client.graphql(&mark, json!({})).await;
        let sign_in = json!({"email": format!("{mark}@example.com"), "password": mark});
        client.client().post("/auth/password/sign-in", sign_in).await;
    };
    ask(0).await;
    let first = scrape(&process).await;
    for number in 1..20 {
        ask(number).await;
    }
    let found = scrape(&process).await;
    let new = |found: &Exposition| found.labels().map(|(_, value)| value.to_owned()).collect::<BTreeSet<_>>();
    // Pools and queue may come and go meanwhile, but nothing else does.
    assert!(found.series() <= first.series() + 10, "{:?}", new(&found).difference(&new(&first)).collect::<Vec<_>>());
    let keys = &process.demo;
    for (name, value) in found.labels() {
        assert!(LABELS.contains(&name), "{name} is a label");
        let value = value.to_lowercase();
        for secret in [MARK, &keys.client, &keys.server, &keys.admin, &keys.project_id, "@"] {
            assert!(!value.contains(secret), "{name}={value}");
        }
    }
    process.stop().await;
}

/// The trace of those for whom a [`BreakingClock`] breaks.
const BREAKING_TRACE: u128 = 0x0bad_c10c_0bad_c10c_0bad_c10c_0bad_c10c;

/// The system's clock. Panics where it is asked in the midst of a request of that trace.
struct BreakingClock;

impl Clock for BreakingClock {
    fn now(&self) -> Timestamp {
        let breaks = trace::current().is_some_and(|context| context.trace_id == BREAKING_TRACE);
        assert!(!breaks, "the clock broke");
        SystemClock.now()
    }
}

#[tokio::test]
async fn a_panic_ends_its_request_only_and_is_counted_as_our_fault() {
    let app = App::builder().clock(Arc::new(BreakingClock)).start().await;
    let (ada, _) = signed_up(&app, "ada@example.com").await;
    let admin_url = format!("http://{}", app.running.admin_address);
    // Counted together with all other servers of this process. None of them has requests that panic.
    let faults = async || {
        let labels = [("door", "http"), ("code", "INTERNAL_SERVER_ERROR")];
        Exposition::of(&admin_url).await.value("postern_errors_total", &labels).unwrap_or_default()
    };
    let before = faults().await;
    let broken = ada.with("traceparent", &format!("00-{BREAKING_TRACE:032x}-00f067aa0ba902b7-01"));
    let by_rest = broken.get("/users/me").await;
    by_rest.header("x-stack-request-id");
    assert!(!by_rest.refused_with_text(500).contains("clock"));
    broken.graphql("{ me { id } }", json!({})).await.refused_with_text(500);
    assert_eq!(faults().await, before + 2.0);
    ada.get("/users/me").await.json(200);
    app.stop().await;
}
