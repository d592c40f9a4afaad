//! The doors for operators on an address of their own: is the process alive, can it do its work.

use axum::{Router, extract::State, http::StatusCode, routing::get};
use postern_domain::Deps;

/// `/healthz`: this process runs. `/readyz`: it can reach what it needs.
pub fn router(deps: Deps) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(deps)
}

async fn ready(State(deps): State<Deps>) -> (StatusCode, &'static str) {
    match deps.db.ping().await {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
        }
    }
}
