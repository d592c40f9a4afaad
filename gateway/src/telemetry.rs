//! What the gateway counts. No label is chosen by a caller: operations are named by the templates of our routes and the
//! root fields of our schema, errors by our codes. Names and meanings are listed in `docs/observability.md`.
//!
//! Handles are made once for each operation and kept, so that counting a request allocates nothing.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
};
use metrics::{Counter, Gauge, Histogram, SharedString, counter, gauge, histogram};

/// Methods that are told apart; all others are `OTHER`.
const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
/// Stands for every path that no route knows.
const UNKNOWN_ROUTE: &str = "unknown";
/// The status of a request whose caller went away before the answer, as nginx logs it.
const CALLER_GONE: u16 = 499;

/// The requests of this process, by route. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests(Arc<RwLock<HashMap<Box<str>, Arc<Methods>>>>);

/// One operation for each method, made when it is first asked for.
type Methods = [OnceLock<Arc<Operation>>; METHODS.len() + 1];

impl Requests {
    /// What `request` asks for. Known once the router has found the route.
    pub(crate) fn operation(&self, request: &Request) -> Arc<Operation> {
        let matched = request.extensions().get::<MatchedPath>();
        let route = matched.map_or(UNKNOWN_ROUTE, MatchedPath::as_str);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(route).cloned();
        let methods = known.unwrap_or_else(|| {
            let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(routes.entry(route.into()).or_default())
        });
        let index = METHODS.iter().position(|method| method == request.method()).unwrap_or(METHODS.len());
        let make = || Arc::new(Operation::new(METHODS.get(index), route));
        methods.get(index).map_or_else(make, |operation| Arc::clone(operation.get_or_init(make)))
    }
}

/// A method of a route.
pub(crate) struct Operation {
    /// `GET /api/v1/users/{user_id}`.
    name: Arc<str>,
    door: &'static str,
    duration: Histogram,
    /// By status. Few, so that they are found faster here than in a map.
    answers: RwLock<Vec<(u16, Counter)>>,
}

impl Operation {
    fn new(method: Option<&Method>, route: &str) -> Self {
        let name: Arc<str> = match (method, route) {
            (_, UNKNOWN_ROUTE) => UNKNOWN_ROUTE.into(),
            (method, route) => format!("{} {route}", method.map_or("OTHER", Method::as_str)).into(),
        };
        let door = match route {
            UNKNOWN_ROUTE => "none",
            route if route.starts_with("/api/") => "rest",
            "/graphql" => "graphql",
            _ => "pages",
        };
        let operation = SharedString::from(Arc::clone(&name));
        let duration = histogram!("postern_http_request_duration_seconds", "door" => door, "operation" => operation);
        Self { name, door, duration, answers: RwLock::default() }
    }

    /// `GET /api/v1/users/{user_id}`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The template alone.
    pub(crate) fn route(&self) -> &str {
        self.name.split_once(' ').map_or(UNKNOWN_ROUTE, |(_, route)| route)
    }

    /// Begins to count a request, which ends with [`Underway::answered`].
    pub(crate) fn begin(self: &Arc<Self>) -> Underway {
        Underway { operation: Arc::clone(self), started: Instant::now(), status: CALLER_GONE }
    }

    fn count(&self, status: u16) {
        let find = |answers: &[(u16, Counter)]| {
            answers.iter().find(|(known, _)| *known == status).map(|(_, counter)| counter.increment(1)).is_some()
        };
        if find(&self.answers.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let counter = counter!(
            "postern_http_requests_total",
            "door" => self.door,
            "operation" => SharedString::from(Arc::clone(&self.name)),
            "status" => status.to_string(),
        );
        counter.increment(1);
        self.answers.write().unwrap_or_else(PoisonError::into_inner).push((status, counter));
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Operation").field(&self.name).finish()
    }
}

/// A request that is being answered; counted when dropped.
pub(crate) struct Underway {
    operation: Arc<Operation>,
    started: Instant,
    status: u16,
}

impl Underway {
    /// Notes how it was answered.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.operation.duration.record(self.started.elapsed());
        self.operation.count(self.status);
    }
}

/// Counts a refusal or fault by its code. `code` is one of ours.
pub(crate) fn count_error(door: &'static str, code: impl Into<SharedString>) {
    counter!("postern_errors_total", "door" => door, "code" => code.into()).increment(1);
}

/// One more of something that lives for a while; one less when dropped.
#[derive(Debug)]
pub(crate) struct Alive(Gauge);

impl Alive {
    /// A connection that answers many times.
    pub(crate) fn connection(transport: &'static str) -> Self {
        Self::new(gauge!("postern_live_connections", "transport" => transport))
    }

    /// One more of `gauge`.
    pub(crate) fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
