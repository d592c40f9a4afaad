//! From a GraphQL answer to an HTTP answer: the media type that the caller accepts, and the status that goes with it.
//!
//! With `application/graphql-response+json` the status tells how the request fared. With `application/json`, which clients
//! of old read, a well-formed request answers 200 even if its document is refused. An answer that was executed is 200
//! always. Who is not let in at all gets the status of the refusal either way.

use async_graphql::{Response, ServerError, Value};
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::error::{self, DoorCode};

/// What an answer is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `application/graphql-response+json`.
    GraphqlResponse,
    /// `application/json`.
    Json,
    /// `text/event-stream`: answers as they come.
    EventStream,
}

impl Format {
    /// The best of the formats that the `Accept` headers name; JSON when there is none or it takes anything.
    /// None when the caller takes none of ours.
    pub(crate) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let mut ranges = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter(|range| !range.trim().is_empty())
            .peekable();
        if ranges.peek().is_none() {
            return Some(Self::Json);
        }
        let mut best: Option<(Self, f32)> = None;
        for (format, quality) in ranges.filter_map(Self::of_range) {
            // Of equal quality the more telling format wins; a range that takes anything counts as JSON.
            let is_better = best.is_none_or(|(known, known_quality)| {
                quality > known_quality || (quality == known_quality && format.rank() > known.rank())
            });
            if quality > 0.0 && is_better {
                best = Some((format, quality));
            }
        }
        best.map(|(format, _)| format)
    }

    fn of_range(range: &str) -> Option<(Self, f32)> {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next()?.to_ascii_lowercase().as_str() {
            "application/graphql-response+json" => Self::GraphqlResponse,
            "application/json" | "application/*" | "*/*" => Self::Json,
            "text/event-stream" => Self::EventStream,
            _ => return None,
        };
        let quality = parts.find_map(|parameter| parameter.strip_prefix("q=").or(parameter.strip_prefix("Q=")));
        Some((format, quality.map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0))))
    }

    fn rank(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::GraphqlResponse => 1,
            Self::EventStream => 2,
        }
    }

    fn content_type(self) -> HeaderValue {
        match self {
            Self::GraphqlResponse => HeaderValue::from_static("application/graphql-response+json; charset=utf-8"),
            Self::Json | Self::EventStream => HeaderValue::from_static("application/json; charset=utf-8"),
        }
    }
}

/// An answer as JSON: without `data` when nothing was executed (specification, section "Response Format").
pub(crate) struct Body<'a>(pub(crate) &'a Response);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.0.errors.is_empty() {
            map.serialize_entry("errors", &self.0.errors)?;
        }
        if !error::is_request_error(self.0) {
            map.serialize_entry("data", &self.0.data)?;
        }
        if !self.0.extensions.is_empty() {
            map.serialize_entry("extensions", &self.0.extensions)?;
        }
        map.end()
    }
}

/// The answer to a request that reached the executor. `response` must be complete (see [`error::complete`]).
pub(crate) fn executed(format: Format, response: &Response) -> axum::response::Response {
    let status = match refused_status(response) {
        None => StatusCode::OK,
        Some(StatusCode::BAD_REQUEST) if format == Format::Json => StatusCode::OK,
        Some(status) => status,
    };
    write(format, status, response)
}

/// The answer to a request that was refused before; `status` holds for every format.
pub(crate) fn refused(format: Format, status: StatusCode, error: ServerError) -> axum::response::Response {
    let mut response = Response::from_errors(vec![error]);
    error::complete(&mut response, None, true);
    write(format, status, &response)
}

/// The answer to a request that is no GraphQL request.
pub(crate) fn malformed(format: Format, status: StatusCode, code: DoorCode, message: &str) -> axum::response::Response {
    refused(format, status, error::Error::door(code, message).into_server_error())
}

/// The status of a refusal, as its first error has it; none when something was executed.
fn refused_status(response: &Response) -> Option<StatusCode> {
    if !error::is_request_error(response) {
        return None;
    }
    let status = response.errors.first().and_then(error::status_of).unwrap_or(StatusCode::BAD_REQUEST);
    Some(status)
}

fn write(format: Format, status: StatusCode, response: &Response) -> axum::response::Response {
    let body = match serde_json::to_vec(&Body(response)) {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "a GraphQL answer could not be written");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut answer = (status, body).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, format.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, max-age=0"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    if let Some(seconds) = response.errors.iter().find_map(retry_after) {
        headers.insert(header::RETRY_AFTER, seconds);
    }
    for (name, value) in &response.http_headers {
        headers.append(HeaderName::clone(name), value.clone());
    }
    answer
}

fn retry_after(error: &ServerError) -> Option<HeaderValue> {
    match error.extensions.as_ref()?.get("retryAfterSeconds")? {
        Value::Number(seconds) => HeaderValue::from_str(&seconds.to_string()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: &str) -> Option<Format> {
        Format::accepted(&HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())]))
    }

    #[test]
    fn the_format_is_what_the_caller_takes() {
        use Format::{EventStream, GraphqlResponse, Json};
        assert_eq!(Format::accepted(&HeaderMap::new()), Some(Json));
        for (accept, expected) in [
            ("*/*", Some(Json)),
            ("application/json", Some(Json)),
            ("application/graphql-response+json", Some(GraphqlResponse)),
            (
                "application/graphql-response+json; charset=utf-8, application/json; charset=utf-8",
                Some(GraphqlResponse),
            ),
            ("application/graphql-response+json;q=0.9, application/json", Some(Json)),
            ("application/graphql-response+json, application/json;q=0.9, */*;q=0.1", Some(GraphqlResponse)),
            ("text/event-stream", Some(EventStream)),
            ("text/event-stream, application/json", Some(EventStream)),
            ("text/html, */*;q=0.8", Some(Json)),
            ("text/html", None),
            ("application/json;q=0", None),
            ("", Some(Json)),
        ] {
            assert_eq!(accepted(accept), expected, "{accept}");
        }
    }

    #[test]
    fn a_refused_request_has_no_data_and_a_status_by_format() {
        let refused = || {
            let mut response = Response::from_errors(vec![ServerError::new("no", None)]);
            error::complete(&mut response, None, true);
            response
        };
        assert_eq!(executed(Format::Json, &refused()).status(), StatusCode::OK);
        assert_eq!(executed(Format::GraphqlResponse, &refused()).status(), StatusCode::BAD_REQUEST);
        let body = serde_json::to_value(Body(&refused())).unwrap();
        assert!(body.get("data").is_none() && body.get("errors").is_some(), "{body}");
    }

    #[test]
    fn an_executed_answer_is_200_and_has_data_even_if_null() {
        let mut response = Response::from_errors(vec![
            ServerError::new("no", None).with_path(vec![async_graphql::PathSegment::Field("me".to_owned())]),
        ]);
        error::complete(&mut response, None, true);
        assert_eq!(executed(Format::GraphqlResponse, &response).status(), StatusCode::OK);
        assert_eq!(serde_json::to_value(Body(&response)).unwrap()["data"], serde_json::Value::Null);
    }
}
