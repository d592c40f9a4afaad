//! What REST handlers answer: JSON with a status, or a refusal in the form of the contract.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use postern_domain::{Error, Failure};
use serde::Serialize;
use serde_json::json;

use crate::{identity::both_families, layers::insert_both, telemetry::count_error};

/// A JSON answer.
#[derive(Debug)]
pub(crate) struct Reply<T>(StatusCode, T);

impl<T> Reply<T> {
    /// Status 200.
    pub(crate) const fn ok(value: T) -> Self {
        Self(StatusCode::OK, value)
    }

    /// Status 201: something was made.
    pub(crate) fn created(value: T) -> Self {
        Self(StatusCode::CREATED, value)
    }
}

/// The answer of actions and deletions: `{"success": true}`.
#[derive(Debug, Serialize)]
pub(crate) struct Success {
    success: bool,
}

/// `{"success": true}` with status 200.
pub(crate) fn success() -> Reply<Success> {
    Reply::ok(Success { success: true })
}

/// The answer of actions that have nothing to tell: `{}`.
#[derive(Debug, Serialize)]
pub(crate) struct Nothing {}

/// A list in the envelope of the contract.
#[derive(Debug, Serialize)]
pub(crate) struct List<T> {
    items: Vec<T>,
    is_paginated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
}

#[derive(Debug, Serialize)]
struct Pagination {
    next_cursor: Option<String>,
}

impl<T> List<T> {
    /// All there is.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        Self { items, is_paginated: false, pagination: None }
    }

    /// One page; `next_cursor` names the first element of the next one, or nothing at the end.
    pub(crate) fn page(items: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { items, is_paginated: true, pagination: Some(Pagination { next_cursor }) }
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.1) {
            Ok(body) => json_response(self.0, body),
            Err(error) => Refusal(Error::internal(error)).into_response(),
        }
    }
}

fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// A failed request: the one translator from domain errors to REST.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) Error);

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// What every handler answers.
pub(crate) type Answer<T> = Result<Reply<T>, Refusal>;

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let failure = match self.0.told() {
            Ok(failure) => failure,
            Err(error) => return internal(&error),
        };
        count_error("rest", failure.code.as_str());
        let status = StatusCode::from_u16(failure.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after_seconds = failure.retry_after_seconds;
        let mut response =
            if failure.code.is_wire() { known(status, &failure) } else { text(status, &failure.message) };
        if let Some(seconds) = retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A code that clients know: in the body and in the header of both families.
fn known(status: StatusCode, failure: &Failure) -> Response {
    let mut body = json!({ "code": failure.code.as_str(), "error": failure.message });
    if let (Some(details), Some(body)) = (&failure.details, body.as_object_mut()) {
        body.insert("details".to_owned(), details.clone());
    }
    let mut response = json_response(status, body.to_string().into_bytes());
    insert_both(
        response.headers_mut(),
        both_families!("known-error"),
        &HeaderValue::from_static(failure.code.as_str()),
    );
    response
}

/// A refusal that has no code on the wire.
pub(crate) fn text(status: StatusCode, message: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], message.to_owned()).into_response()
}

/// Our own fault: logged here, once, with its chain. The id by which to find it is added by the request-id layer.
fn internal(error: &Error) -> Response {
    count_error("rest", "INTERNAL_SERVER_ERROR");
    tracing::error!(error = error as &dyn std::error::Error, "a request failed");
    text(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The server could not do this. The header x-stack-request-id says which entry of its log tells why.",
    )
}
