//! What requests pass through on their way in and out, around every handler.

use std::{any::Any, sync::LazyLock, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use postern_domain::{
    random::{base32, random_bytes},
    running_time::within,
    trace::{self, TRACEPARENT, TraceContext},
};
use tracing::field;

use crate::{
    app::Gateway,
    identity::{self, HEADER_FAMILIES, both_families},
    rest::reply::text,
    telemetry::count_error,
};

/// How long a request over plain HTTP may take. Live connections end by rules of their own.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Request headers that browsers may send, without the prefix of their family.
const ALLOWED_FAMILY_HEADERS: [&str; 16] = [
    "project-id",
    "branch-id",
    "override-error-status",
    "random-nonce",
    "client-version",
    "disable-artificial-development-delay",
    "access-type",
    "publishable-client-key",
    "secret-server-key",
    "super-secret-admin-key",
    "admin-access-token",
    "refresh-token",
    "access-token",
    "api-key",
    "allow-anonymous-user",
    "allow-restricted-user",
];
/// Answer headers that browsers may read, likewise.
const EXPOSED_FAMILY_HEADERS: [&str; 2] = ["actual-status", "known-error"];
/// The same for those that stand alone.
const ALLOWED_HEADERS: [&str; 8] = [
    "content-type",
    "authorization",
    "idempotency-key",
    "baggage",
    "sentry-trace",
    "traceparent",
    "x-vercel-protection-bypass",
    "ngrok-skip-browser-warning",
];

const REQUEST_ID: [HeaderName; 2] = both_families!("request-id");
const OVERRIDE_ERROR_STATUS: [HeaderName; 2] = both_families!("override-error-status");
const ACTUAL_STATUS: [HeaderName; 2] = both_families!("actual-status");

/// The id of a request, for handlers that tell it.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// Gives the request an id (16 characters of base32, in the answer's `x-stack-request-id` and on every line of its log), puts
/// it into the caller's trace, and counts it. Where it came from is not logged: that is the address of a person.
/// The answer is not to be cached unless it says so.
pub(crate) async fn every_request(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    let id = random_bytes::<10>().map(|bytes| base32(&bytes)).unwrap_or_default();
    let operation = gateway.requests.operation(&request);
    let underway = operation.begin();
    let span = postern_domain::work_span!(
        "request",
        otel.name = operation.name(),
        otel.kind = "server",
        otel.status_code = field::Empty,
        request.id = id,
        http.request.method = %request.method(),
        http.route = operation.route(),
        http.response.status_code = field::Empty,
        graphql.operation = field::Empty,
        trace_id = field::Empty,
    );
    let traced = trace::begin(span.clone(), traceparent(request.headers()));
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = traced.run(next.run(request)).await;
    let status = response.status();
    underway.answered(status);
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    span.in_scope(|| tracing::debug!("answered"));
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        insert_both(headers, REQUEST_ID, &value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store, max-age=0"));
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    response
}

fn traceparent(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get(TRACEPARENT)?.to_str().ok()?.trim().parse().ok()
}

/// Cuts off a request over plain HTTP that takes too long. The caller learns no more than that; the log says which one it was.
pub(crate) async fn in_time(request: Request, next: Next) -> Response {
    match within(REQUEST_TIMEOUT, next.run(request)).await {
        Some(response) => response,
        None => {
            tracing::warn!(limit_seconds = REQUEST_TIMEOUT.as_secs(), "a request took too long and was cut off");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// CORS as in the REST contract (wire requests-and-errors §7): any origin, never credentials. What browsers read of answers to
/// preflights only (Fetch standard, "CORS protocol") is on those only: it is two kilobytes.
pub(crate) async fn cors(request: Request, next: Next) -> Response {
    with_cors(request, next, &CORS_OF_ANSWERS).await
}

async fn with_cors(request: Request, next: Next, of_answers: &HeaderMap) -> Response {
    let (mut response, headers) = if request.method() == Method::OPTIONS {
        (StatusCode::OK.into_response(), &*CORS)
    } else {
        (next.run(request).await, of_answers)
    };
    response.headers_mut().extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    response
}

/// What browsers read of every answer.
static CORS_OF_ANSWERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let read = [header::ACCESS_CONTROL_ALLOW_ORIGIN, header::ACCESS_CONTROL_EXPOSE_HEADERS];
    CORS.iter().filter(|(name, _)| read.contains(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
});

/// Made once: every answer of the REST API carries them.
static CORS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let of_both = |names: &'static [&str]| {
        HEADER_FAMILIES.iter().flat_map(move |family| names.iter().map(move |name| format!("{family}-{name}")))
    };
    let allowed: Vec<_> =
        ALLOWED_HEADERS.iter().map(ToString::to_string).chain(of_both(&ALLOWED_FAMILY_HEADERS)).collect();
    let exposed: Vec<_> = std::iter::once("content-type".to_owned()).chain(of_both(&EXPOSED_FAMILY_HEADERS)).collect();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("access-control-allow-origin", "*".to_owned()),
        ("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS".to_owned()),
        ("access-control-max-age", "86400".to_owned()),
        ("access-control-allow-headers", allowed.join(", ")),
        ("access-control-expose-headers", exposed.join(", ")),
        ("vary", allowed.join(", ")),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
});

/// The manners of the REST contract: all headers of CORS on every answer; refusals as 200 with the real status in a header for clients that ask for it, so
/// that browsers do not log them as errors (wire requests-and-errors §6; 5xx stay as they are); and JSON indented for
/// people, which is who sends `Accept: text/html`.
pub(crate) async fn rest_manners(request: Request, next: Next) -> Response {
    let overrides_status = identity::either(request.headers(), OVERRIDE_ERROR_STATUS).is_some();
    let for_people = mentions(request.headers(), &header::ACCEPT, "text/html");
    let mut response = with_cors(request, next, &CORS).await;
    if overrides_status && response.status().is_client_error() {
        let real = HeaderValue::from(response.status().as_u16());
        insert_both(response.headers_mut(), ACTUAL_STATUS, &real);
        *response.status_mut() = StatusCode::OK;
    }
    if for_people { indented(response).await } else { response }
}

async fn indented(response: Response) -> Response {
    if !mentions(response.headers(), &header::CONTENT_TYPE, "application/json") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let indented =
        serde_json::from_slice::<serde_json::Value>(&bytes).and_then(|value| serde_json::to_vec_pretty(&value));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(indented.unwrap_or_else(|_| bytes.to_vec())))
}

/// A path that no door knows.
pub(crate) async fn unknown_path() -> Response {
    text(StatusCode::NOT_FOUND, "There is nothing at this path.")
}

/// A path that is known, with a method that is not.
pub(crate) async fn unknown_method() -> Response {
    text(StatusCode::METHOD_NOT_ALLOWED, "This path does not know this method.")
}

/// A handler that panicked: our fault; the caller learns nothing more than of any other.
pub(crate) fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let cause = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(cause, "a handler panicked");
    count_error("http", "INTERNAL_SERVER_ERROR");
    text(StatusCode::INTERNAL_SERVER_ERROR, "The server could not do this.")
}

fn mentions(headers: &HeaderMap, name: &HeaderName, what: &str) -> bool {
    headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(what))
}

/// Sets the header of both families.
pub(crate) fn insert_both(headers: &mut HeaderMap, names: [HeaderName; 2], value: &HeaderValue) {
    for name in names {
        headers.insert(name, value.clone());
    }
}
