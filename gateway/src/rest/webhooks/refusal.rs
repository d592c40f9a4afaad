//! Refusals as clients of Svix know them: `{code, detail}`, or what is wrong with each field of an input.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use postern_domain::{Code, Error, Failure, codes::Kind};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::{
    rest::reply::{Refusal, Refuses, Reply, json_response, log_internal},
    telemetry::count_error,
};

/// What the Svix routes answer.
pub(super) type AppAnswer<T> = Result<Reply<T>, AppRefusal>;

/// A failed request to a Svix route.
#[derive(Debug)]
pub(crate) struct AppRefusal(Error);

impl<E: Into<Error>> From<E> for AppRefusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl AppRefusal {
    /// The same refusal as the other routes make it.
    pub(super) fn of(refusal: Refusal) -> Self {
        Self(refusal.0)
    }
}

impl Refuses for AppRefusal {
    fn shape(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Body>()
    }
}

/// A refusal of the Svix routes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "SvixError")]
enum Body {
    Told { code: String, detail: String },
    Invalid { detail: Vec<Invalid> },
}

/// What is wrong with one field.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "SvixValidationError")]
struct Invalid {
    loc: Vec<String>,
    msg: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl IntoResponse for AppRefusal {
    fn into_response(self) -> Response {
        let (status, body, retry_after) = match self.0.told() {
            Ok(failure) => {
                count_error("rest", failure.code.as_str());
                let (status, body) = told(&failure);
                (status, body, failure.retry_after_seconds)
            }
            Err(error) => {
                log_internal(&error);
                let detail = "The header x-stack-request-id says which entry of the log tells why.".to_owned();
                (500, Body::Told { code: "server_error".to_owned(), detail }, None)
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json_response(status, serde_json::to_vec(&body).unwrap_or_default());
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn told(failure: &Failure) -> (u16, Body) {
    if failure.code == Code::SchemaError {
        return (422, Body::Invalid { detail: violations(&failure.message) });
    }
    let reason = failure.details.as_ref().and_then(|details| details.get("reason")?.as_str());
    let (status, code) = match (failure.kind(), reason) {
        (_, Some(reason)) => (failure.code.status(), reason),
        (Kind::Unauthenticated, _) => (401, "authentication_failed"),
        (Kind::Forbidden, _) => (403, "insufficient_permissions"),
        (Kind::NotFound, _) => (404, "not_found"),
        (Kind::Conflict, _) => (409, "conflict"),
        (Kind::Invalid, _) => (400, "bad_request"),
        (Kind::Limit, _) => (failure.code.status(), "limit_reached"),
        (Kind::Unavailable, _) => (503, "unavailable"),
    };
    (status, Body::Told { code: code.to_owned(), detail: failure.message.to_string() })
}

/// The door names each violation on a line of its own, with the whole way to its field; the domain in one sentence that
/// begins with the field, which is one of the body.
fn violations(message: &str) -> Vec<Invalid> {
    let mut lines = message.split("\n  - ");
    let first = lines.next().unwrap_or_default();
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() { vec![violation(first)] } else { lines.into_iter().map(violation).collect() }
}

fn violation(text: &str) -> Invalid {
    let (at, what) = text.split_once(' ').unwrap_or(("", text));
    let mut loc: Vec<_> = at.split(['.', '[']).map(|part| part.trim_end_matches(']').to_owned()).collect();
    if !matches!(loc.first().map(String::as_str), Some("path" | "query" | "body")) {
        loc.insert(0, "body".to_owned());
    }
    Invalid { loc, msg: what.to_owned(), kind: "value_error" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(loc: &[&str], msg: &str) -> Invalid {
        Invalid { loc: loc.iter().map(ToString::to_string).collect(), msg: msg.to_owned(), kind: "value_error" }
    }

    #[test]
    fn violations_of_door_and_domain_have_a_place() {
        let door = "POST /x: the request does not fit its schema:\n  - body.url is required\n  - body.channels[2] must be \
                    a string\n  - query.limit must be 1 to 250";
        assert_eq!(
            violations(door),
            [
                at(&["body", "url"], "is required"),
                at(&["body", "channels", "2"], "must be a string"),
                at(&["query", "limit"], "must be 1 to 250"),
            ]
        );
        assert_eq!(violations("url must be absolute"), [at(&["body", "url"], "must be absolute")]);
    }

    #[test]
    fn codes_are_those_of_svix() {
        let gone = Failure::bad_request("Gone.").with(serde_json::json!({ "reason": "missing_payload" }));
        for (failure, status, code) in [
            (Failure::not_found("x"), 404, "not_found"),
            (Failure::forbidden("x"), 403, "insufficient_permissions"),
            (Failure::new(Code::InsufficientAccessType, "x"), 401, "authentication_failed"),
            (Failure::new(Code::RateLimited, "x"), 429, "limit_reached"),
            (Failure::new(Code::Conflict, "x"), 409, "conflict"),
            (gone, 400, "missing_payload"),
        ] {
            let (found, body) = told(&failure);
            assert_eq!(found, status);
            assert_eq!(serde_json::to_value(body).unwrap()["code"], code);
        }
    }
}
