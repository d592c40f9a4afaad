//! Builds the router of all doors, with what every request passes through: an id, limits of size and time, CORS, and the
//! rewriting of statuses that clients ask for. Each layer is paid for by every request, so there are few. The root serves it; tests call it too.

use std::sync::{Arc, OnceLock};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::header,
    middleware::{from_fn, from_fn_with_state},
    routing::get,
};
use postern_domain::{Deps, sessions::ClientInfo};
use serde_json::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{Any, CorsLayer},
};

use crate::{
    graphql,
    identity::{Proxies, client_info},
    layers, pages,
    rest::{self, reply::Refusal},
    telemetry::Requests,
};

/// The longest body that any door reads.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub(crate) deps: Arc<Deps>,
    proxies: Arc<Proxies>,
    /// Cancelled when the process is to stop: live connections end then, plain requests may finish.
    pub(crate) stopping: CancellationToken,
    /// Those whose sockets are open.
    pub(crate) sockets: TaskTracker,
    /// Counts what is asked.
    pub(crate) requests: Requests,
    /// How the GraphQL door is set up.
    pub(crate) graphql: graphql::Options,
}

impl Gateway {
    /// A gateway over these parts. The headers of trusted proxies tell where a request came from.
    #[must_use]
    pub fn new(deps: Deps, proxies: Proxies, stopping: CancellationToken) -> Self {
        Self {
            deps: Arc::new(deps),
            proxies: Arc::new(proxies),
            stopping,
            sockets: TaskTracker::new(),
            requests: Requests::default(),
            graphql: graphql::Options::default(),
        }
    }

    /// The same with the GraphQL door set up like this.
    #[must_use]
    pub fn with_graphql(mut self, options: graphql::Options) -> Self {
        self.graphql = options;
        self
    }

    /// The sockets that are open. Whoever stops the process waits for them: to the server of the router they are no requests
    /// under way, and their callers are still to hear that they may go elsewhere.
    #[must_use]
    pub fn sockets(&self) -> &TaskTracker {
        &self.sockets
    }

    /// Where `request` came from.
    pub(crate) fn client_info(&self, request: &Request) -> ClientInfo {
        client_info(request, &self.proxies)
    }
}

/// The router of all doors. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, or clients have no address.
pub fn router(gateway: Gateway) -> Router {
    let plain = rest::router()
        .merge(pages::router(&gateway).layer(DefaultBodyLimit::max(MAX_BODY_BYTES)))
        .route("/health", get(health).layer(CorsLayer::new().allow_origin(Any).allow_methods(Any)))
        .route("/openapi.json", get(openapi).layer(CorsLayer::new().allow_origin(Any).allow_methods(Any)))
        .layer(from_fn(layers::in_time));
    Router::new()
        .merge(plain)
        .merge(graphql::router(gateway.clone()))
        .fallback(layers::unknown_path)
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(from_fn_with_state(gateway.clone(), layers::every_request))
        .with_state(gateway)
}

/// The OpenAPI document, which stays the same while the program runs.
async fn openapi() -> Result<([(header::HeaderName, &'static str); 1], String), Refusal> {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = match TEXT.get() {
        Some(text) => text.clone(),
        None => {
            let text = crate::openapi()?;
            TEXT.get_or_init(|| text).clone()
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json; charset=utf-8")], text))
}

async fn health() -> ([(header::HeaderName, &'static str); 1], Json<serde_json::Value>) {
    ([(header::CACHE_CONTROL, "no-store, max-age=0")], Json(json!({ "status": "ok" })))
}
