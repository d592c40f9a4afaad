//! Calls to providers: through the bounded client for hosts that tenants chose, since an issuer is one of these.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use postern_domain::ports::{
    http::{HttpClient, HttpError, Method, OutgoingRequest},
    oauth::ProviderError,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(8);
/// The longest answer; sets of keys are the longest.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// GitHub answers nobody who does not say what it is.
const USER_AGENT: &str = concat!("postern/", env!("CARGO_PKG_VERSION"));

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("{0}")]
    Http(#[from] HttpError),
    #[error("it answered {0}")]
    Status(u16),
    #[error("the URL cannot be called")]
    Url,
}

impl From<CallError> for ProviderError {
    fn from(error: CallError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

#[derive(Clone)]
pub(super) struct Calls {
    http: Arc<dyn HttpClient>,
    /// What stands in for all hosts that are called by `https`.
    stand_in: Option<Url>,
}

impl Calls {
    pub(super) fn new(http: Arc<dyn HttpClient>, stand_in: Option<Url>) -> Self {
        Self { http, stand_in }
    }

    /// Where `url` is found: itself, but for a stand-in, which serves each host below a path of its name.
    pub(super) fn place_of(&self, url: &str) -> Result<Url, CallError> {
        let place = match (&self.stand_in, url.strip_prefix("https://")) {
            (Some(stand_in), Some(rest)) => Url::parse(&format!("{}/{rest}", stand_in.as_str().trim_end_matches('/'))),
            _ => Url::parse(url),
        };
        place.map_err(|_| CallError::Url)
    }

    /// An answer that says that the provider is in trouble is an error.
    async fn forward(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        let (parts, body) = request.into_parts();
        let method = if parts.method == http::Method::GET { Method::Get } else { Method::Post };
        let headers = parts
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
        self.send(method, &parts.uri.to_string(), headers.collect(), body.into()).await
    }

    /// The same of an endpoint for tokens, whose answers are brought into the form of RFC 6749 where a provider has one of
    /// its own.
    async fn forward_for_tokens(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        let mut response = self.forward(request).await?;
        if let Ok(mut told @ Value::Object(_)) = serde_json::from_slice(response.body()) {
            if !response.status().is_success() {
                name_error(&mut told);
            }
            if tidy(&mut told) && response.status().is_success() {
                *response.status_mut() = StatusCode::BAD_REQUEST;
            }
            *response.body_mut() = told.to_string().into_bytes();
        }
        Ok(response)
    }

    /// A resource that an access token opens. `Refused` when it does not.
    pub(super) async fn resource(
        &self,
        url: &str,
        access_token: &SecretString,
        client_id: Option<&str>,
    ) -> Result<Value, ProviderError> {
        let mut headers = vec![
            (header::ACCEPT.to_string(), "application/json".to_owned()),
            (header::AUTHORIZATION.to_string(), format!("Bearer {}", access_token.expose_secret())),
        ];
        headers.extend(client_id.map(|id| ("client-id".to_owned(), id.to_owned())));
        let response = self.send(Method::Get, url, headers, Bytes::new()).await?;
        match response.status().as_u16() {
            200 => serde_json::from_slice(response.body())
                .map_err(|_| ProviderError::Unavailable(format!("{url} answers something that is no JSON"))),
            // 403 is said for other reasons too, as of whoever asks too often.
            401 => Err(ProviderError::Refused("The provider does not take the access token.".to_owned())),
            400 if is_dead_at_facebook(response.body()) => {
                Err(ProviderError::Refused("The provider does not take the access token.".to_owned()))
            }
            status => Err(CallError::Status(status).into()),
        }
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        mut headers: Vec<(String, String)>,
        body: Bytes,
    ) -> Result<HttpResponse, CallError> {
        headers.push((header::USER_AGENT.to_string(), USER_AGENT.to_owned()));
        let url = self.place_of(url)?;
        let request =
            OutgoingRequest { method, url, headers, body, timeout: TIMEOUT, max_response_bytes: MAX_ANSWER_BYTES };
        let answer = self.http.send(request).await?;
        if answer.status >= 500 || answer.status == 429 {
            return Err(CallError::Status(answer.status));
        }
        let mut response = Response::new(answer.body.to_vec());
        *response.status_mut() = StatusCode::from_u16(answer.status).map_err(|_| CallError::Status(answer.status))?;
        *response.headers_mut() = answer.headers.iter().filter_map(header_field).collect::<HeaderMap>();
        Ok(response)
    }
}

type Answering<'c> = Pin<Box<dyn Future<Output = Result<HttpResponse, CallError>> + Send + 'c>>;

/// What `openidconnect` calls with.
impl<'c> AsyncHttpClient<'c> for Calls {
    type Error = CallError;
    type Future = Answering<'c>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.forward(request))
    }
}

/// What `oauth2` calls endpoints for tokens with.
pub(super) struct TokenCalls<'a>(pub(super) &'a Calls);

impl<'c> AsyncHttpClient<'c> for TokenCalls<'_> {
    type Error = CallError;
    type Future = Answering<'c>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.0.forward_for_tokens(request))
    }
}

fn header_field((name, value): &(String, String)) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, value.parse().ok()?))
}

/// Facebook's way to say that an access token is over (Graph API, error 190).
fn is_dead_at_facebook(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|told| told.pointer("/error/code") == Some(&json!(190)))
}

/// Gives a refusal a name where it has none in the form of RFC 6749 §5.2: Facebook's is an object, Twitch's only a sentence.
/// GitHub calls what is over by names of its own.
fn name_error(told: &mut Value) {
    let name = match told.get("error") {
        Some(Value::String(name)) if name.starts_with("bad_") => "invalid_grant".to_owned(),
        Some(Value::String(_)) => return,
        Some(error) => error.get("type").and_then(Value::as_str).unwrap_or("invalid_request").to_owned(),
        None => {
            let sentence = told.get("message").and_then(Value::as_str).unwrap_or_default().to_lowercase();
            let is_over = ["authorization code", "refresh token"].iter().any(|what| sentence.contains(what));
            if is_over { "invalid_grant" } else { "invalid_request" }.to_owned()
        }
    };
    told["error"] = name.into();
}

/// Brings an answer into the form of RFC 6749 §5, and tells whether it is an error: GitHub sends errors with status 200 and
/// separates scopes by commas, Twitch lists them, Bitbucket calls them otherwise, LinkedIn has left the type out.
fn tidy(told: &mut Value) -> bool {
    let is_error = told.get("error").is_some_and(Value::is_string);
    if is_error {
        name_error(told);
    }
    if !is_error && told.get("access_token").is_some() {
        if told.get("token_type").is_none_or(Value::is_null) {
            told["token_type"] = json!("bearer");
        }
        let scope = match told.get("scope").or(told.get("scopes")) {
            Some(Value::String(scope)) => Some(scope.replace(',', " ")),
            Some(Value::Array(scopes)) => Some(scopes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")),
            _ => None,
        };
        // Some send nulls and numbers as texts.
        let lifetime = match told.get("expires_in") {
            Some(Value::String(text)) => text.parse::<u64>().ok().map(Value::from),
            Some(Value::Number(number)) => Some(Value::Number(number.clone())),
            _ => None,
        };
        for (name, value) in [("scope", scope.map(Value::from)), ("expires_in", lifetime)] {
            match (value, told.as_object_mut()) {
                (Some(value), _) => told[name] = value,
                (None, Some(told)) => drop(told.remove(name)),
                (None, None) => {}
            }
        }
    }
    is_error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_all_sorts_get_the_form_of_the_standard() {
        let tidied = |mut told: Value| (tidy(&mut told), told);
        let (is_error, github) =
            tidied(json!({ "access_token": "a", "token_type": "bearer", "scope": "repo,user:email" }));
        assert_eq!((is_error, &github["scope"]), (false, &json!("repo user:email")));
        let (_, twitch) = tidied(json!({ "access_token": "a", "token_type": "bearer", "scope": ["a", "b"] }));
        assert_eq!(twitch["scope"], "a b");
        let (_, bitbucket) = tidied(json!({ "access_token": "a", "scopes": "account", "expires_in": "7200" }));
        assert_eq!(
            (&bitbucket["scope"], &bitbucket["token_type"], &bitbucket["expires_in"]),
            (&json!("account"), &json!("bearer"), &json!(7200))
        );
        let (_, bare) = tidied(json!({ "access_token": "a", "scope": null, "expires_in": null }));
        assert_eq!(bare, json!({ "access_token": "a", "token_type": "bearer" }));
        let (is_error, over) = tidied(json!({ "error": "bad_verification_code" }));
        assert_eq!((is_error, &over["error"]), (true, &json!("invalid_grant")));
        let named = |mut told: Value| {
            name_error(&mut told);
            told["error"].clone()
        };
        let facebook = json!({ "error": { "message": "…", "type": "OAuthException", "code": 100, "fbtrace_id": "A" } });
        assert_eq!(named(facebook), "OAuthException");
        assert_eq!(named(json!({ "status": 400, "message": "Invalid authorization code" })), "invalid_grant");
        assert_eq!(named(json!({ "status": 403, "message": "invalid client secret" })), "invalid_request");
        assert_eq!(named(json!({ "error": "invalid_client" })), "invalid_client");
    }
}
