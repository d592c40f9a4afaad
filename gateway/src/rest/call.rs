//! One REST request on its way in: body parsed first, then authentication, then the access type, then the schema, as the
//! contract orders its refusals (wire requests-and-errors §3).

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, OriginalUri, Path, Request},
    http::{HeaderMap, Method, header},
};
use postern_domain::{
    Actor, Code, Deps, Failure, Level,
    actor::IdempotencyKey,
    error::refuse,
    identity::{self, Identified},
    sessions::ClientInfo,
};
use serde_json::{Map, Value};

use super::{
    input::{Object, Violations},
    reply::Refusal,
};
use crate::{
    app::{Gateway, MAX_BODY_BYTES},
    identity::credentials,
};

/// For every access type.
pub(crate) const OPEN: &[Level] = &[Level::Client, Level::Server, Level::Admin];
/// For servers and administrators.
pub(crate) const SERVER: &[Level] = &[Level::Server, Level::Admin];
/// For administrators.
pub(crate) const ADMIN: &[Level] = &[Level::Admin];

/// A parsed and authenticated request.
#[derive(Debug)]
pub(crate) struct Call {
    /// What operations are handed.
    pub(crate) deps: Arc<Deps>,
    /// The headers, for the few handlers that read one of their own.
    pub(crate) headers: HeaderMap,
    /// The body as it came, for what is signed.
    pub(crate) bytes: Bytes,
    /// From where it came.
    pub(crate) client: ClientInfo,
    identified: Option<Identified>,
    idempotency: Option<IdempotencyKey>,
    request: String,
    path: Map<String, Value>,
    query: Map<String, Value>,
    body: Option<Value>,
}

impl FromRequest<Gateway> for Call {
    type Rejection = Refusal;

    async fn from_request(request: Request, gateway: &Gateway) -> Result<Self, Refusal> {
        let client = gateway.client_info(&request);
        let (mut parts, body) = request.into_parts();
        let path = Path::<HashMap<String, String>>::from_request_parts(&mut parts, gateway).await;
        let path = path.map(|path| path.0).unwrap_or_default();
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        // A repeated key keeps its last value.
        let query = query.map(|(key, value)| (key.into_owned(), Value::String(value.into_owned()))).collect();
        // The whole path, which nesting has cut from the request's own.
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
        let name = format!("{} {}", parts.method, uri.path());
        let query_text = uri.query().unwrap_or_default().to_owned();
        let headers = parts.headers;
        let bytes = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
            Failure::new(Code::PayloadTooLarge, format!("The body is cut short or longer than {MAX_BODY_BYTES} bytes."))
        })?;
        let body = parse_body(&parts.method, &headers, &bytes)?;
        let mut identified = identity::identify(&gateway.deps, &credentials(&headers)).await?;
        let idempotency = idempotency_key(&headers, &name, &query_text, &bytes);
        if let Some(identified) = &mut identified {
            identified.actor.idempotency.clone_from(&idempotency);
        }
        Ok(Self {
            deps: Arc::clone(&gateway.deps),
            headers,
            bytes,
            client,
            identified,
            idempotency,
            request: name,
            path: path.into_iter().map(|(key, value)| (key, Value::String(value))).collect(),
            query,
            body,
        })
    }
}

impl Call {
    /// The caller, if its access type is one of `allowed`.
    ///
    /// # Errors
    /// `ACCESS_TYPE_REQUIRED`, `INSUFFICIENT_ACCESS_TYPE`.
    pub(crate) fn actor(&mut self, allowed: &[Level]) -> Result<Actor, Refusal> {
        Ok(self.identified(allowed)?.actor)
    }

    /// The same with all that is known of the caller.
    ///
    /// # Errors
    /// `ACCESS_TYPE_REQUIRED`, `INSUFFICIENT_ACCESS_TYPE`.
    pub(crate) fn identified(&mut self, allowed: &[Level]) -> Result<Identified, Refusal> {
        let identified = identity::require_auth(self.identified.take())?;
        identity::require_level(&identified.actor, allowed)?;
        Ok(identified)
    }

    /// What makes the request repeatable, for callers who are known by other means than the headers of the contract.
    pub(crate) fn idempotency(&self) -> Option<IdempotencyKey> {
        self.idempotency.clone()
    }

    /// A path parameter, before the input is read.
    pub(crate) fn path_text(&self, name: &str) -> Option<&str> {
        self.path.get(name).and_then(Value::as_str)
    }

    /// The caller, whoever it is.
    pub(crate) fn caller(&self) -> Option<&Actor> {
        self.identified.as_ref().map(|identified| &identified.actor)
    }

    /// Reads path parameters, query and body, and refuses with all that is wrong in them.
    ///
    /// # Errors
    /// `SCHEMA_ERROR`.
    pub(crate) fn read<P: Object, Q: Object, B: Object>(&mut self) -> Result<(P, Q, B), Refusal> {
        let mut violations = Violations::default();
        let path = P::read_object(std::mem::take(&mut self.path), "path", &mut violations);
        let query = Q::read_object(std::mem::take(&mut self.query), "query", &mut violations);
        let body = match self.body.take() {
            Some(Value::Object(body)) => B::read_object(body, "body", &mut violations),
            _ if B::MAY_BE_ABSENT => B::read_object(Map::new(), "body", &mut violations),
            Some(_) => {
                violations.note("body", "must be an object");
                None
            }
            None => {
                violations.note("body", "is required; send it with the header content-type: application/json");
                None
            }
        };
        match (violations.into_failure(&self.request), path, query, body) {
            (None, Some(path), Some(query), Some(body)) => Ok((path, query, body)),
            (Some(failure), ..) => Err(failure.into()),
            (None, ..) => Err(postern_domain::Error::internal("an input was not read and nothing was noted").into()),
        }
    }

    /// Only the body: neither path parameters nor query are looked at.
    ///
    /// # Errors
    /// `SCHEMA_ERROR`.
    pub(crate) fn body<B: Object>(&mut self) -> Result<B, Refusal> {
        let (_, _, body) = self.read::<super::input::Ignored, super::input::Ignored, B>()?;
        Ok(body)
    }

    /// Only the body, which may be left out: then as if it were empty.
    ///
    /// # Errors
    /// `SCHEMA_ERROR`.
    pub(crate) fn optional_body<B: Object>(&mut self) -> Result<B, Refusal> {
        self.body.get_or_insert_with(|| Value::Object(Map::new()));
        self.body()
    }

    /// Leaves out query parameters that are none of `Q`, for endpoints that take any (RFC 6749 §3.1).
    pub(crate) fn ignore_unknown_query<Q: Object>(&mut self) {
        let known = Q::fields();
        self.query.retain(|key, _| known.iter().any(|(name, ..)| name == key));
    }

    /// The query as it is, for an endpoint that takes any parameters.
    pub(crate) fn any_query(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.query)
    }

    /// The body as it is, for an endpoint that takes any keys; empty when there is none.
    pub(crate) fn any_body(&mut self) -> Map<String, Value> {
        match self.body.take() {
            Some(Value::Object(body)) => body,
            _ => Map::new(),
        }
    }
}

/// What makes the request repeatable, if it asks to be.
fn idempotency_key(headers: &HeaderMap, name: &str, query: &str, body: &[u8]) -> Option<IdempotencyKey> {
    let key = headers.get("idempotency-key")?.to_str().ok().filter(|key| !key.is_empty())?;
    // A request without a query is hashed as it was before queries counted, so that kept answers stay good.
    let asked = if query.is_empty() { name.to_owned() } else { format!("{name}?{query}") };
    Some(IdempotencyKey::new(key, &[asked.as_bytes(), body]))
}

fn parse_body(method: &Method, headers: &HeaderMap, bytes: &[u8]) -> Result<Option<Value>, Refusal> {
    if method == Method::GET || method == Method::HEAD {
        return Ok(None);
    }
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
    let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let unparsed = |message: String| refuse(Failure::new(Code::BodyParsingError, message));
    match essence {
        "application/json" => match serde_json::from_slice(bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Ok(unparsed(format!("The body is not JSON: {error}."))?),
        },
        "application/x-www-form-urlencoded" => {
            let fields = url::form_urlencoded::parse(bytes);
            Ok(Some(fields.map(|(key, value)| (key.into_owned(), Value::String(value.into_owned()))).collect()))
        }
        "text/plain" | "application/octet-stream" => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(Value::String(text.to_owned()))),
            Err(_) => Ok(unparsed("The body is not UTF-8 text.".to_owned())?),
        },
        _ => Ok(unparsed(
            "The content type is none of application/json, application/x-www-form-urlencoded, text/plain, \
             application/octet-stream."
                .to_owned(),
        )?),
    }
}
