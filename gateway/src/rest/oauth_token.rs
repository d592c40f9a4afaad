//! `/auth/oauth/token`: the token endpoint of OAuth 2 (RFC 6749 §3.2), by which the official clients refresh, and
//! get a session over from another origin.
//!
//! Clients of OAuth send none of our headers: the project is the client id and its publishable key the secret, in the body
//! or as Basic credentials (RFC 6749 §2.3.1). Unknown parameters are ignored, as the RFC asks.

use axum::{
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use postern_domain::{
    Failure,
    authorization_codes::{self, Exchange},
    identity,
    projects::NO_PUBLISHABLE_CLIENT_KEY,
    sessions,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
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
    /// Only for a code, and so the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_new_user: Option<bool>,
    #[serde(rename = "newUser", skip_serializing_if = "Option::is_none")]
    new_user: Option<bool>,
}

/// Why no token was granted: most reasons are those of the contract.
enum NotGranted {
    Refused(Refusal),
    /// In the form of RFC 6749 §5.2.
    Missing(&'static str),
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
            Self::Missing(error_description) => {
                let body = OAuthError { error: "invalid_request", error_description };
                (StatusCode::BAD_REQUEST, NO_STORE, axum::Json(body)).into_response()
            }
        }
    }
}

type Granting = Result<([(HeaderName, &'static str); 2], Reply<Granted>), NotGranted>;

async fn token(mut call: Call) -> Granting {
    let parameters = call.any_body();
    let parameter = |name: &str| text(&parameters, name);
    let client = match basic(&call.headers) {
        Some((id, secret)) => (Some(id), Some(secret)),
        None => (parameter("client_id"), parameter("client_secret")),
    };
    match parameter("grant_type").as_deref() {
        Some("refresh_token") => by_refresh_token(&call, client, parameter("refresh_token")).await,
        Some("authorization_code") => {
            let exchange = parameter("code").map(|code| Exchange {
                code,
                redirect_uri: parameter("redirect_uri"),
                code_verifier: parameter("code_verifier").map(Into::into),
            });
            by_code(&call, client, exchange).await
        }
        _ => Err(Failure::schema("body.grant_type must be refresh_token or authorization_code").into()),
    }
}

/// Id and secret of the client.
type Client = (Option<String>, Option<String>);

async fn by_refresh_token(call: &Call, (id, secret): Client, refresh_token: Option<String>) -> Granting {
    let project = identity::oauth_client(&call.deps, id.as_deref(), secret.as_deref()).await?;
    let refresh_token = refresh_token.ok_or(NotGranted::Missing("The parameter refresh_token is missing."))?;
    let refreshed = sessions::refresh(&call.deps, &project, &refresh_token.into(), &call.client).await?;
    Ok((NO_STORE, Reply::ok(Granted::new(&refreshed.access_token))))
}

async fn by_code(call: &Call, (id, secret): Client, exchange: Option<Exchange>) -> Granting {
    // A client that holds no key needs none where the project wants none (wire/auth §11).
    let secret = secret.as_deref().unwrap_or(NO_PUBLISHABLE_CLIENT_KEY);
    let project = identity::oauth_client(&call.deps, id.as_deref(), Some(secret)).await?;
    let exchange = exchange.ok_or(NotGranted::Missing("The parameter code is missing."))?;
    let exchanged = authorization_codes::exchange(&call.deps, &project, exchange, &call.client).await?;
    let signed_in = exchanged.signed_in;
    let granted = Granted {
        after_callback_redirect_url: exchanged.after_callback_redirect_url.clone(),
        after_callback_redirect_url_alias: exchanged.after_callback_redirect_url,
        refresh_token: Some(signed_in.refresh_token.expose_secret().to_owned()),
        is_new_user: Some(signed_in.is_new_user),
        new_user: Some(signed_in.is_new_user),
        ..Granted::new(&signed_in.access_token)
    };
    Ok((NO_STORE, Reply::ok(granted)))
}

impl Granted {
    fn new(access_token: &SecretString) -> Self {
        Self {
            access_token: access_token.expose_secret().to_owned(),
            token_type: "Bearer",
            expires_in: EXPIRES_IN_SECONDS,
            scope: "legacy",
            after_callback_redirect_url: None,
            after_callback_redirect_url_alias: None,
            refresh_token: None,
            is_new_user: None,
            new_user: None,
        }
    }
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
