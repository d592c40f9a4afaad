//! What REST handlers answer: JSON with a status, or a refusal in the form of the contract.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use postern_domain::{Error, Failure, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

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

    /// Status 202: something was begun.
    pub(crate) fn accepted(value: T) -> Self {
        Self(StatusCode::ACCEPTED, value)
    }
}

/// Status 204: done, and nothing to tell.
#[derive(Debug)]
pub(crate) struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl<E: Refuses> Answers for Result<NoContent, E> {
    const MEDIA_TYPE: Option<&'static str> = None;

    fn shape(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<()>()
    }

    fn refusal(generator: &mut SchemaGenerator) -> Schema {
        E::shape(generator)
    }
}

/// A handler's answer, told by its type: what the OpenAPI document says of it cannot differ from what is sent.
pub(crate) trait Answers: IntoResponse {
    /// The media type of an answer that is no refusal; none when it has no body.
    const MEDIA_TYPE: Option<&'static str>;

    /// Its shape, with all that it is made of added to the generator's definitions.
    fn shape(generator: &mut SchemaGenerator) -> Schema;

    /// The shape of a refusal that is JSON.
    fn refusal(generator: &mut SchemaGenerator) -> Schema {
        Refusal::shape(generator)
    }
}

/// A refusal, told by its type.
pub(crate) trait Refuses: IntoResponse {
    /// The shape of those that are JSON.
    fn shape(generator: &mut SchemaGenerator) -> Schema;
}

impl Refuses for Refusal {
    fn shape(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<KnownError<'_>>()
    }
}

impl<T: JsonSchema + Serialize, E: Refuses> Answers for Result<Reply<T>, E> {
    const MEDIA_TYPE: Option<&'static str> = Some("application/json");

    fn shape(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }

    fn refusal(generator: &mut SchemaGenerator) -> Schema {
        E::shape(generator)
    }
}

/// With headers of its own.
impl<H, T, E> Answers for Result<(H, Reply<T>), E>
where
    Result<Reply<T>, E>: Answers,
    Self: IntoResponse,
{
    const MEDIA_TYPE: Option<&'static str> = <Result<Reply<T>, E> as Answers>::MEDIA_TYPE;

    fn shape(generator: &mut SchemaGenerator) -> Schema {
        <Result<Reply<T>, E> as Answers>::shape(generator)
    }

    fn refusal(generator: &mut SchemaGenerator) -> Schema {
        <Result<Reply<T>, E> as Answers>::refusal(generator)
    }
}

/// Words for people.
#[derive(Debug)]
pub(crate) struct PlainText(pub(crate) String);

impl IntoResponse for PlainText {
    fn into_response(self) -> Response {
        text(StatusCode::OK, &self.0)
    }
}

impl Answers for Result<PlainText, Refusal> {
    const MEDIA_TYPE: Option<&'static str> = Some("text/plain");

    fn shape(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<String>()
    }
}

/// A page for people.
#[derive(Debug)]
pub(crate) struct Page(pub(crate) Response);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Answers for Result<Page, Refusal> {
    const MEDIA_TYPE: Option<&'static str> = Some("text/html");

    fn shape(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<String>()
    }
}

/// The answer of actions and deletions: `{"success": true}`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Success {
    success: bool,
}

/// `{"success": true}` with status 200.
pub(crate) fn success() -> Reply<Success> {
    Reply::ok(Success { success: true })
}

/// The answer of actions that have nothing to tell: `{}`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Nothing {}

/// A list in the envelope of the contract.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub(crate) struct List<T> {
    items: Vec<T>,
    is_paginated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
}

#[derive(Debug, Serialize, JsonSchema)]
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

/// An instant as the contract writes those that are no numbers.
pub(crate) fn iso(at: Timestamp) -> String {
    at.to_utc().unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(crate) fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
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

/// The body of a refusal whose code clients know (wire requests-and-errors §6).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KnownError<'a> {
    code: &'a str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Value>,
}

/// A code that clients know: in the body and in the header of both families.
fn known(status: StatusCode, failure: &Failure) -> Response {
    let Failure { code, message, details, .. } = failure;
    let body = KnownError { code: code.as_str(), error: message, details: details.as_ref() };
    let body = match serde_json::to_vec(&body) {
        Ok(body) => body,
        Err(error) => return internal(&Error::internal(error)),
    };
    let mut response = json_response(status, body);
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

/// Logs and counts what is our own fault.
pub(crate) fn log_internal(error: &Error) {
    count_error("rest", "INTERNAL_SERVER_ERROR");
    tracing::error!(error = error as &dyn std::error::Error, "a request failed");
}

/// Our own fault: logged here, once, with its chain. The id by which to find it is added by the request-id layer.
fn internal(error: &Error) -> Response {
    log_internal(error);
    text(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The server could not do this. The header x-stack-request-id says which entry of its log tells why.",
    )
}
