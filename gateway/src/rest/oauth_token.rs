//! `/auth/oauth/token`: the token endpoint of OAuth 2 (RFC 6749 §3.2), by which the official clients refresh.
//!
//! Clients of OAuth send none of our headers: the project is the client id and its publishable key the secret, in the body
//! or as Basic credentials (RFC 6749 §2.3.1). Unknown parameters are ignored, as the RFC asks.

use axum::{
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use postern_domain::{Failure, identity, sessions};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    call::Call,
    reply::{Refusal, Refuses, Reply},
    routes::{About, Routes},
};

/// RFC 6749 §5.1.
const NO_STORE: [(HeaderName, &str); 2] = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
/// What the contract answers, whatever the life of the token; clients read the token itself.
const EXPIRES_IN_SECONDS: u32 = 3600;

pub(super) fn routes() -> Routes {
    Routes::new().post("/auth/oauth/token", token, About::new("Sessions", "Grants an access token (OAuth 2)", &[]))
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GrantedToken")]
struct Granted {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
    scope: &'static str,
    after_callback_redirect_url: Option<String>,
    #[serde(rename = "afterCallbackRedirectUrl")]
    after_callback_redirect_url_alias: Option<String>,
}

/// Why no token was granted: most reasons are those of the contract.
enum NotGranted {
    Refused(Refusal),
    /// In the form of RFC 6749 §5.2.
    NoRefreshToken,
}

/// RFC 6749 §5.2.
#[derive(Debug, Serialize, JsonSchema)]
struct OAuthError {
    error: &'static str,
    error_description: &'static str,
}

impl Refuses for NotGranted {
    fn shape(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [Refusal::shape(generator), generator.subschema_for::<OAuthError>()] })
    }
}

impl<E: Into<Refusal>> From<E> for NotGranted {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

impl IntoResponse for NotGranted {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::NoRefreshToken => {
                let error_description = "The parameter refresh_token is missing.";
                let body = OAuthError { error: "invalid_request", error_description };
                (StatusCode::BAD_REQUEST, NO_STORE, axum::Json(body)).into_response()
            }
        }
    }
}

async fn token(mut call: Call) -> Result<([(HeaderName, &'static str); 2], Reply<Granted>), NotGranted> {
    let parameters = call.any_body();
    let parameter = |name: &str| text(&parameters, name);
    match parameter("grant_type").as_deref() {
        Some("refresh_token") => {}
        _ => {
            return Err(Failure::schema("body.grant_type must be refresh_token").into());
        }
    }
    let (client_id, client_secret) = match basic(&call.headers) {
        Some((id, secret)) => (Some(id), Some(secret)),
        None => (parameter("client_id"), parameter("client_secret")),
    };
    let project = identity::oauth_client(&call.deps, client_id.as_deref(), client_secret.as_deref()).await?;
    let refresh_token = parameter("refresh_token").ok_or(NotGranted::NoRefreshToken)?;
    let refreshed = sessions::refresh(&call.deps, &project, &refresh_token.into(), &call.client).await?;
    let granted = Granted {
        access_token: refreshed.access_token.expose_secret().to_owned(),
        token_type: "Bearer",
        expires_in: EXPIRES_IN_SECONDS,
        scope: "legacy",
        after_callback_redirect_url: None,
        after_callback_redirect_url_alias: None,
    };
    Ok((NO_STORE, Reply::ok(granted)))
}

/// A parameter that is there and not empty.
fn text(parameters: &Map<String, Value>, name: &str) -> Option<String> {
    parameters.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Client id and secret of `Authorization: Basic`, each form-encoded (RFC 6749 §2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| {
        let pair = format!("x={text}");
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((plain(id)?, plain(secret)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_decoded() {
        let mut headers = HeaderMap::new();
        assert_eq!(basic(&headers), None);
        let encoded = STANDARD.encode("my%20id:pck_x%2B");
        headers.insert(header::AUTHORIZATION, format!("basic {encoded}").parse().unwrap());
        assert_eq!(basic(&headers), Some(("my id".to_owned(), "pck_x+".to_owned())));
        headers.insert(header::AUTHORIZATION, "Bearer x".parse().unwrap());
        assert_eq!(basic(&headers), None);
    }
}
