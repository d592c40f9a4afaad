//! From an HTTP request to a GraphQL request, as "GraphQL over HTTP" says: one JSON object by POST, or the same members as
//! query parameters by GET. Anything that a browser would send without asking first (simple content types) is refused.

use async_graphql::{Extensions, Request, Variables};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use url::form_urlencoded;

use super::{
    error::DoorCode,
    persisted::{DOCUMENT_ID, PERSISTED_QUERY},
};

/// A request that is no GraphQL request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) status: StatusCode,
    pub(crate) code: DoorCode,
    pub(crate) message: String,
}

impl Malformed {
    fn new(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: DoorCode::MalformedRequest, message: message.into() }
    }
}

/// The members of a request; others are ignored, as the specification asks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    document_id: Option<String>,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<Variables>,
    #[serde(default)]
    extensions: Option<Extensions>,
}

impl Members {
    fn into_request(self) -> Result<Request, Malformed> {
        let mut extensions = self.extensions.unwrap_or_default();
        if let Some(id) = self.document_id {
            extensions.insert(DOCUMENT_ID.to_owned(), id.into());
        }
        let query = match self.query {
            Some(query) => query,
            None if [PERSISTED_QUERY, DOCUMENT_ID].iter().any(|name| extensions.contains_key(*name)) => String::new(),
            None => return Err(Malformed::new("The request has no `query`.")),
        };
        let mut request = Request::new(query).variables(self.variables.unwrap_or_default());
        request.operation_name = self.operation_name.filter(|name| !name.is_empty());
        request.extensions = extensions;
        Ok(request)
    }
}

/// Checks that the body is declared to be JSON.
///
/// # Errors
/// 415 for every other content type, and when there is none.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), Malformed> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
            matches!(charset.trim().trim_matches('"').to_ascii_lowercase().as_str(), "utf-8" | "utf8")
        }
        _ => true,
    });
    if is_json && is_utf8 {
        Ok(())
    } else {
        Err(Malformed {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: DoorCode::UnsupportedMediaType,
            message: "A GraphQL request is sent as `Content-Type: application/json`, in UTF-8.".to_owned(),
        })
    }
}

/// Reads the body of a POST.
///
/// # Errors
/// When it is not one JSON object with a `query`.
pub(crate) fn from_body(body: &[u8]) -> Result<Request, Malformed> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Err(Malformed::new("The request has no body.")),
        Some(b'[') => return Err(Malformed::new("Requests are sent one by one, not in arrays.")),
        Some(_) => {}
    }
    let members: Members = serde_json::from_slice(body)
        .map_err(|error| Malformed::new(format!("The body is no GraphQL request: {error}.")))?;
    members.into_request()
}

/// Reads the payload of a message of a socket.
///
/// # Errors
/// When it is not one object with a `query`.
pub(crate) fn from_json(payload: serde_json::Value) -> Result<Request, Malformed> {
    let members: Members = serde_json::from_value(payload)
        .map_err(|error| Malformed::new(format!("The payload is no GraphQL request: {error}.")))?;
    members.into_request()
}

/// Reads the query parameters of a GET; `variables` and `extensions` are JSON.
///
/// # Errors
/// When there is no `query`, or a parameter is not what it should be.
pub(crate) fn from_query(parameters: &str) -> Result<Request, Malformed> {
    fn json<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<Option<T>, Malformed> {
        serde_json::from_str(text).map_err(|error| Malformed::new(format!("The parameter `{name}`: {error}.")))
    }
    let mut members =
        Members { query: None, document_id: None, operation_name: None, variables: None, extensions: None };
    for (name, value) in form_urlencoded::parse(parameters.as_bytes()) {
        match name.as_ref() {
            "query" => members.query = Some(value.into_owned()),
            "documentId" => members.document_id = Some(value.into_owned()),
            "operationName" => members.operation_name = Some(value.into_owned()),
            "variables" => members.variables = json("variables", &value)?,
            "extensions" => members.extensions = json("extensions", &value)?,
            _ => {}
        }
    }
    members.into_request()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        from_body(body.as_bytes()).map(|_| ()).unwrap_err().message
    }

    #[test]
    fn a_body_is_one_object_with_a_query() {
        let body = r#"{"query": "{a}", "operationName": null, "variables": {"x-y": 1}, "more": 1}"#;
        let request = from_body(body.as_bytes()).unwrap();
        assert_eq!((request.query.as_str(), request.variables.len()), ("{a}", 1));
        assert!(refused(r#"[{"query": "{a}"}]"#).contains("one by one"));
        assert!(refused(" ").contains("no body"));
        assert!(refused("{}").contains("no `query`"));
        for body in [
            "nope",
            "1",
            r#"{"query": 1}"#,
            r#"{"query": ["{a}"]}"#,
            r#"{"query": "{a}", "variables": "{}"}"#,
            r#"{"query": "{a}", "variables": []}"#,
            r#"{"query": "{a}", "operationName": 1}"#,
            r#"{"query": "{a}", "extensions": 1}"#,
        ] {
            assert!(refused(body).contains("no GraphQL request"), "{body}");
        }
    }

    #[test]
    fn a_persisted_query_needs_no_text() {
        let body = r#"{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "x"}}}"#;
        assert_eq!(from_body(body.as_bytes()).unwrap().query, "");
        assert_eq!(from_body(br#"{"documentId": "x"}"#).unwrap().query, "");
        assert_eq!(from_query("documentId=x").unwrap().query, "");
    }

    #[test]
    fn parameters_of_a_get_carry_the_same() {
        let request =
            from_query("query=query+Q%7Ba%7D&operationName=Q&variables=%7B%22x%22%3A1%7D&extensions=null&z=1").unwrap();
        assert_eq!(request.query, "query Q{a}");
        assert_eq!(request.operation_name.as_deref(), Some("Q"));
        assert_eq!(request.variables.len(), 1);
        assert!(from_query("variables=%7B%7D").is_err());
        assert!(from_query("query=%7Ba%7D&variables=x").unwrap_err().message.contains("`variables`"));
    }

    #[test]
    fn only_json_in_utf8_is_read() {
        let check = |value: &'static str| {
            check_content_type(&HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())])).is_ok()
        };
        for good in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
            assert!(check(good), "{good}");
        }
        for bad in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "text/plain; application/json",
        ] {
            assert!(!check(bad), "{bad}");
        }
        assert!(check_content_type(&HeaderMap::new()).is_err());
    }
}
