//! The doors for operators on an address of their own: is the process alive, can it do its work.

use axum::{Router, extract::State, http::StatusCode, routing::get};

use metrics_exporter_prometheus::PrometheusHandle;

use crate::{telemetry, wiring::Readiness};

/// `/healthz`: this process runs. `/readyz`: it can do its work, else 503 and why not. `/metrics`: how it fares.
pub fn router(readiness: Readiness, metrics: &'static PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(readiness.clone())
        .merge(telemetry::metrics::router(metrics, readiness))
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    match readiness.check().await {
        Ok(remark) => (StatusCode::OK, remark + "\n"),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    }
}
