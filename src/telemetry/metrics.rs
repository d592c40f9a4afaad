//! `/metrics`: what the process counted since it started, and what is read at the moment of asking (queue, log, pools,
//! password hashing, the process itself), in the text format of Prometheus.

use std::{sync::OnceLock, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderName, header},
    routing::get,
};
use metrics::{
    SetRecorderError, Unit, describe_counter, describe_gauge, describe_histogram, gauge, set_global_recorder,
    with_local_recorder,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use postern_domain::{
    Deps, Error, Result, events,
    events::LogLag,
    queue::{self, Depth},
    webhooks::{self, Backlog},
};
use postern_outside::redis::Link;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use crate::wiring::Readiness;

/// Upper bounds in seconds: from a cached read to the longest that a request may take.
const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// How often measured times are put into their buckets. Until then each of them takes memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How long an answer waits for the database. Then it says that the database is away, and all that needs none.
const PATIENCE: Duration = Duration::from_secs(3);
const CONTENT_TYPE: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");

/// Begins to count. What is counted before the first call is lost; a second call changes nothing.
///
/// # Errors
/// Internal, when something else collects the metrics of this process.
pub fn install() -> Result<&'static PrometheusHandle> {
    static INSTALLED: OnceLock<std::result::Result<PrometheusHandle, String>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let recorder = recorder().map_err(|error| error.to_string())?;
        let handle = recorder.handle();
        set_global_recorder(recorder).map_err(|error: SetRecorderError<_>| error.to_string())?;
        describe_counted();
        Ok(handle)
    });
    installed.as_ref().map_err(|reason| Error::internal(reason.clone()))
}

fn recorder() -> std::result::Result<PrometheusRecorder, BuildError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    Ok(PrometheusBuilder::new().set_buckets_for_metric(seconds, &BUCKETS)?.build_recorder())
}

/// Keeps what was measured small, until `stop`.
#[postern_domain::boxed]
pub async fn keep_up(handle: &'static PrometheusHandle, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        handle.run_upkeep();
    }
}

/// `GET /metrics`.
pub fn router(handle: &'static PrometheusHandle, readiness: Readiness) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state((handle, readiness))
}

async fn scrape(
    State((handle, readiness)): State<(&'static PrometheusHandle, Readiness)>,
) -> ([(HeaderName, &'static str); 1], String) {
    let mut text = handle.render();
    text.push_str(&read(&readiness).await);
    ([CONTENT_TYPE], text)
}

/// What the database tells.
struct Told {
    depths: Vec<Depth>,
    lag: LogLag,
    webhooks: Backlog,
}

async fn ask(deps: &Deps) -> Result<Told> {
    let (depths, lag) = (queue::depths(deps).await?, events::lag(deps).await?);
    Ok(Told { depths, lag, webhooks: webhooks::backlog(deps).await? })
}

/// What is read at this moment. Collected anew each time, so that what no longer is is no longer told.
async fn read(readiness: &Readiness) -> String {
    let deps = readiness.deps();
    let told = match deps {
        Some(deps) => ask_patiently(deps).await,
        None => None,
    };
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        describe_read();
        gauge!("postern_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!("postern_database_up").set(if told.is_some() { 1.0 } else { 0.0 });
        if let Some(link) = readiness.redis() {
            gauge!("postern_redis_up").set(if link == Link::Up { 1.0 } else { 0.0 });
            gauge!("postern_redis_refuses").set(if matches!(link, Link::Refused(_)) { 1.0 } else { 0.0 });
        }
        if let Some(told) = &told {
            set_told(told);
        }
        if let Some(deps) = deps {
            set_loads(deps);
        }
        let process = metrics_process::Collector::default();
        process.describe();
        process.collect();
    });
    recorder.handle().render()
}

async fn ask_patiently(deps: &Deps) -> Option<Told> {
    match timeout(PATIENCE, ask(deps)).await {
        Ok(Ok(told)) => Some(told),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the queue could not be measured");
            None
        }
        Err(_) => {
            tracing::warn!("the queue could not be measured in time");
            None
        }
    }
}

fn set_told(told: &Told) {
    for depth in &told.depths {
        let labels = [("kind", depth.kind.clone()), ("state", depth.state.clone())];
        gauge!("postern_queue_jobs", &labels).set(number(depth.jobs));
        match depth.state.as_str() {
            "due" => gauge!("postern_queue_oldest_due_seconds", "kind" => depth.kind.clone()),
            "running" => gauge!("postern_queue_lease_overdue_seconds", "kind" => depth.kind.clone()),
            _ => continue,
        }
        .set(seconds(depth.lag_millis));
    }
    gauge!("postern_webhook_deliveries_waiting").set(number(told.webhooks.waiting));
    gauge!("postern_webhook_endpoints_paused").set(number(told.webhooks.paused));
    gauge!("postern_event_log_lag_seconds").set(seconds(told.lag.waiting_millis));
    for (consumer, events) in &told.lag.consumers {
        gauge!("postern_event_consumer_lag_events", "consumer" => consumer.clone()).set(number(*events));
    }
}

fn set_loads(deps: &Deps) {
    for load in deps.db.pools() {
        gauge!("postern_database_connections", "pool" => load.pool, "state" => "idle").set(count(load.idle));
        let used = load.size.saturating_sub(load.idle);
        gauge!("postern_database_connections", "pool" => load.pool, "state" => "used").set(count(used));
        gauge!("postern_database_connections_max", "pool" => load.pool).set(count(load.max));
    }
    gauge!("postern_database_transactions_waiting").set(count(deps.db.waiting_transactions()));
    let hashing = deps.passwords.load();
    gauge!("postern_password_hashes", "state" => "waiting").set(count(hashing.waiting));
    gauge!("postern_password_hashes", "state" => "running").set(count(hashing.running));
    gauge!("postern_password_hashes_max").set(count(hashing.slots));
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and a rounded count beyond")]
fn number(value: u64) -> f64 {
    value as f64
}

fn count(value: usize) -> f64 {
    number(u64::try_from(value).unwrap_or(u64::MAX))
}

fn seconds(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

fn describe_counted() {
    describe_counter!("postern_http_requests_total", "Requests answered, by door, route and status.");
    describe_histogram!("postern_http_request_duration_seconds", Unit::Seconds, "Time to answer a request.");
    describe_counter!("postern_graphql_operations_total", "GraphQL operations that ended, whatever they came by.");
    describe_histogram!(
        "postern_graphql_operation_duration_seconds",
        Unit::Seconds,
        "Time to execute a GraphQL query or mutation."
    );
    describe_counter!("postern_errors_total", "Refusals and faults told to callers, by code.");
    describe_gauge!("postern_live_connections", "Open WebSockets and event streams.");
    describe_gauge!("postern_graphql_subscriptions", "Running GraphQL subscriptions.");
    describe_counter!("postern_jobs_total", "Runs of jobs that ended, by kind and outcome.");
    describe_histogram!("postern_job_duration_seconds", Unit::Seconds, "Time of one run of a job.");
    describe_counter!("postern_webhook_attempts_total", "Attempts to deliver a webhook.");
    describe_histogram!("postern_webhook_attempt_duration_seconds", Unit::Seconds, "Time of one such attempt.");
    describe_counter!("postern_mails_total", "What became of mails.");
    describe_counter!("postern_events_sequenced_total", "Events given their place in the log by this process.");
    describe_histogram!(
        "postern_database_begin_seconds",
        Unit::Seconds,
        "Time until a writing operation has a connection and its transaction has begun."
    );
}

fn describe_read() {
    describe_gauge!("postern_build_info", "1, with the version.");
    describe_gauge!("postern_database_up", "Whether the database answered this scrape.");
    describe_gauge!("postern_redis_up", "Whether Redis is connected; no series without Redis.");
    describe_gauge!("postern_redis_refuses", "Whether Redis is there and does not let this process in.");
    describe_gauge!("postern_queue_jobs", "Jobs in the queue of the installation.");
    describe_gauge!("postern_queue_oldest_due_seconds", Unit::Seconds, "For how long the oldest due job has waited.");
    describe_gauge!(
        "postern_queue_lease_overdue_seconds",
        Unit::Seconds,
        "For how long the lease of a running job has been over: its worker is gone."
    );
    describe_gauge!(
        "postern_event_log_lag_seconds",
        Unit::Seconds,
        "Age of the oldest event without a place in the log."
    );
    describe_gauge!("postern_event_consumer_lag_events", "Placed events that a follower of the log has not passed.");
    describe_gauge!("postern_webhook_deliveries_waiting", "Deliveries of webhooks that wait for an attempt.");
    describe_gauge!("postern_webhook_endpoints_paused", "Webhook endpoints at which nobody answers.");
    describe_gauge!("postern_database_connections", "Connections to the database, by pool.");
    describe_gauge!("postern_database_connections_max", "How many there may be.");
    describe_gauge!("postern_database_transactions_waiting", "Writing operations whose transaction has not begun yet.");
    describe_gauge!("postern_password_hashes", "Password hashes waiting for a slot or under way.");
    describe_gauge!("postern_password_hashes_max", "How many may be under way at a time.");
}
