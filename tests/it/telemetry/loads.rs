//! What `/metrics` reads at the moment of the scrape: queue, Redis, database and password hashing.

use std::thread::available_parallelism;

use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    exposition::Exposition,
    installation::{Installation, stop_all},
};
use crate::support::{
    on_postgres,
    process::Process,
    receiver::{Answer, Receiver},
    redis::PrivateRedis,
};

/// How many jobs of a kind are in a state; `None` when there are none.
fn jobs(found: &Exposition, kind: &str, state: &str) -> Option<f64> {
    found.value("postern_queue_jobs", &[("kind", kind), ("state", state)])
}

/// Only where the worker is a process of its own, which may be missing.
#[tokio::test]
async fn jobs_are_due_and_grow_older_until_a_worker_is_there() {
    const KIND: &str = "send_email";
    if !on_postgres() {
        return;
    }
    let installation = Installation::new(&[]).await;
    let gateway = installation.start("gateway").await;
    for name in ["ada", "edith", "grace"] {
        let email = format!("{name}@example.com");
        let sign_up =
            json!({"email": email, "password": "correct horse", "verification_callback_url": installation.url});
        installation.rest().client().post("/auth/password/sign-up", sign_up).await.json(200);
    }
    let age = |found: &Exposition| found.value("postern_queue_oldest_due_seconds", &[("kind", KIND)]);
    let log_lag = |found: &Exposition| found.value("postern_event_log_lag_seconds", &[]);
    let first = Exposition::of(&gateway.admin_url).await;
    assert_eq!(jobs(&first, KIND, "due"), Some(3.0));
    Exposition::until(&gateway.admin_url, "older jobs", |found| age(found) > age(&first)).await;
    Exposition::until(&gateway.admin_url, "events without a place", |found| log_lag(found) > Some(0.0)).await;

    let worker = installation.start("worker").await;
    let is_empty = |found: &Exposition| {
        let left = ["due", "running", "scheduled"].map(|state| jobs(found, KIND, state));
        left.iter().all(Option::is_none) && log_lag(found) == Some(0.0)
    };
    // The gateway sees the same queue and the same log.
    let found = Exposition::until(&gateway.admin_url, "an empty queue", is_empty).await;
    assert_eq!(age(&found), None);
    // What was done is told by who did it.
    let done = [("kind", KIND), ("outcome", "done")];
    assert_eq!(found.value("postern_jobs_total", &done), None);
    let found = Exposition::of(&worker.admin_url).await;
    assert_eq!(found.value("postern_jobs_total", &done), Some(3.0));
    stop_all(vec![gateway, worker]).await;
}

#[tokio::test]
async fn a_job_is_running_while_its_receiver_says_nothing_and_put_off_afterwards() {
    const KIND: &str = "deliver_webhook_line";
    let process = Process::start(&[]).await;
    let receiver = Receiver::always(Answer::Hang).await;
    let query = "mutation($url: String!) { createWebhookEndpoint(input: {url: $url}) { secret } }";
    let made = process.rest().admin().graphql(query, json!({"url": receiver.url()})).await.json(200);
    assert!(made.get("errors").is_none(), "{made}");
    process.rest().server().post("/users", json!({"display_name": "Ada"})).await.json(201);
    receiver.wait_for(1).await;
    let is_running = |found: &Exposition| jobs(found, KIND, "running") == Some(1.0);
    let found = Exposition::until(&process.admin_url, "a running job", is_running).await;
    assert!(found.value("postern_queue_lease_overdue_seconds", &[("kind", KIND)]).is_some());
    drop(receiver);
    let is_put_off =
        |found: &Exposition| jobs(found, KIND, "running").is_none() && jobs(found, KIND, "scheduled") == Some(1.0);
    Exposition::until(&process.admin_url, "a job that is put off", is_put_off).await;
    process.stop().await;
}

#[tokio::test]
async fn every_process_tells_whether_redis_is_up() {
    if !on_postgres() {
        return;
    }
    let mut redis = PrivateRedis::start("password-for-metrics").await;
    let installation = Installation::new(&[("POSTERN_REDIS_URL", redis.url().as_str())]).await;
    let members = installation.start_all().await;
    let until_told = async |up: f64| {
        for member in &members {
            let is_told = |found: &Exposition| found.value("postern_redis_up", &[]) == Some(up);
            Exposition::until(&member.admin_url, &format!("Redis told as {up}"), is_told).await;
        }
    };
    until_told(1.0).await;
    redis.kill();
    until_told(0.0).await;
    redis.start_again().await;
    until_told(1.0).await;
    stop_all(members).await;
}

#[tokio::test]
async fn connections_are_told_by_pool_and_state() {
    let installation = Installation::new(&[("POSTERN_DATABASE_CONNECTIONS", "7")]).await;
    let members = installation.start_all().await;
    let pools: &[(&str, f64)] = if on_postgres() { &[("shared", 7.0)] } else { &[("reader", 7.0), ("writer", 1.0)] };
    let writing = pools.last().unwrap().0;
    let connections = |found: &Exposition, pool: &str, state: &str| {
        found.value("postern_database_connections", &[("pool", pool), ("state", state)])
    };
    for member in &members {
        let found = Exposition::of(&member.admin_url).await;
        assert_eq!(found.value("postern_database_up", &[]), Some(1.0));
        assert_eq!(found.value("postern_redis_up", &[]).is_some(), on_postgres());
        for &(pool, max) in pools {
            assert_eq!(found.value("postern_database_connections_max", &[("pool", pool)]), Some(max));
            let [used, idle] = ["used", "idle"].map(|state| connections(&found, pool, state).unwrap());
            assert!((1.0..=max).contains(&(used + idle)), "{pool}: {used} and {idle}");
        }
    }

    let doors = &members[0].admin_url;
    let held = installation.hold("user").await;
    let server = installation.rest().server();
    let asking = tokio::spawn(async move { server.post("/users", json!({})).await });
    // Whoever looks at the queue on PostgreSQL has a connection of the same pool.
    let scrapes = if on_postgres() { Some(1.0) } else { Some(0.0) };
    let is_used = |found: &Exposition| {
        // On SQLite the connection is taken to wait for the transaction, on PostgreSQL the transaction waits for the table.
        let waiting = found.value("postern_database_transactions_waiting", &[]);
        connections(found, writing, "used") > scrapes && (on_postgres() || waiting >= Some(1.0))
    };
    Exposition::until(doors, "a connection in use", is_used).await;
    held.release().await;
    asking.await.unwrap();
    let is_unused = |found: &Exposition| connections(found, writing, "used") <= scrapes;
    Exposition::until(doors, "a connection given back", is_unused).await;
    stop_all(members).await;
}

/// SQLite's file does not go away, and who reads it waits for nobody.
#[tokio::test]
async fn a_database_that_does_not_answer_is_told_as_down_beside_what_needs_none() {
    if !on_postgres() {
        return;
    }
    let installation = Installation::new(&[]).await;
    let gateway = installation.start("gateway").await;
    let up = |found: &Exposition| found.value("postern_database_up", &[]);
    let held = installation.hold("job").await;
    let found = Exposition::until(&gateway.admin_url, "a database that is down", |found| up(found) == Some(0.0)).await;
    assert_eq!(found.value("postern_event_log_lag_seconds", &[]), None);
    assert_eq!(found.value("postern_database_connections_max", &[("pool", "shared")]), Some(10.0));
    assert_eq!(found.value("postern_password_hashes", &[("state", "running")]), Some(0.0));
    held.release().await;
    let found = Exposition::until(&gateway.admin_url, "a database that is up", |found| up(found) == Some(1.0)).await;
    assert!(found.value("postern_event_log_lag_seconds", &[]).is_some());
    gateway.stop().await;
}

#[tokio::test]
async fn password_hashes_wait_and_run_during_a_burst_of_sign_ins() {
    let process = Process::start(&[("POSTERN_RATE_LIMITS", "off")]).await;
    let slots = available_parallelism().unwrap().get();
    let is_over = CancellationToken::new();
    let mut burst = JoinSet::new();
    for _ in 0..3 * slots {
        let (client, is_over) = (process.rest().client(), is_over.clone());
        burst.spawn(async move {
            while !is_over.is_cancelled() {
                let body = json!({"email": "ada@example.com", "password": "wrong horse"});
                assert_eq!(client.post("/auth/password/sign-in", body).await.status, 400);
            }
        });
    }
    let hashes = |found: &Exposition, state: &str| found.value("postern_password_hashes", &[("state", state)]).unwrap();
    let is_busy = |found: &Exposition| hashes(found, "waiting") > 0.0 && hashes(found, "running") > 0.0;
    let found = Exposition::until(&process.admin_url, "hashes that wait and hashes that run", is_busy).await;
    assert_eq!(found.value("postern_password_hashes_max", &[]), Some(slots as f64));
    assert!(hashes(&found, "running") <= slots as f64);
    is_over.cancel();
    burst.join_all().await;
    // Whoever was answered has given its slot back.
    let found = Exposition::of(&process.admin_url).await;
    assert_eq!((hashes(&found, "waiting"), hashes(&found, "running")), (0.0, 0.0));
    process.stop().await;
}
