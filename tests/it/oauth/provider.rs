//! The sites that people sign in with, scripted: one server that stands in for all of them, each below a path of its host's name,
//! with the wire shapes of each. It checks what it is sent as they do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::{id_tokens, sites::Site};

/// What the sites do instead of what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Whoever comes refuses.
    Denies,
    /// Everything that is called answers 503.
    Down,
    /// Everything that is called answers a page.
    Html,
    /// Everything that is called answers JSON of another sort.
    Garbage,
    /// Codes are not taken.
    RefusesCodes,
    /// The resource does not say whose it is.
    Nameless,
    /// Refresh tokens are not taken.
    Revoked,
    /// The ID token repeats another nonce.
    ForeignNonce,
    /// The ID token is for somebody else.
    ForeignAudience,
    /// The ID token belongs to another access token.
    ForeignAtHash,
    /// The ID token is signed by a key that nobody knows.
    UnknownKey,
}

/// What was asked of whoever came, until the code is taken.
#[derive(Clone, Debug)]
struct Asked {
    client_id: String,
    redirect_uri: String,
    challenge: Option<String>,
    nonce: Option<String>,
    scope: String,
}

#[derive(Default)]
struct Memory {
    fault: Option<Fault>,
    codes: HashMap<String, Asked>,
    /// Scopes by refresh token.
    refreshes: HashMap<String, String>,
    access_tokens: Vec<String>,
    made: usize,
    /// What was called, oldest first.
    calls: Vec<String>,
}

/// The running server.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) url: String,
    memory: Arc<Mutex<Memory>>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider = Self { url, memory: Arc::default() };
        let router = Router::new().fallback(serve).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        provider
    }

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.memory.lock().unwrap().fault = fault;
    }

    fn has(&self, fault: Fault) -> bool {
        self.memory.lock().unwrap().fault == Some(fault)
    }

    /// Takes no access token any more that was given so far.
    pub(crate) fn expire_tokens(&self) {
        self.memory.lock().unwrap().access_tokens.clear();
    }

    /// The paths that were called since the last time.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.memory.lock().unwrap().calls)
    }

    /// What a browser gets that goes to `location`: the way back, with a code or a refusal.
    pub(crate) fn visit(&self, location: &str) -> Back {
        let location: Url = location.parse().unwrap();
        assert!(location.as_str().starts_with(&self.url), "{location} is not the stand-in");
        let place = location.path().trim_start_matches('/').to_owned();
        let site = Site::of(|site| site.authorize == place);
        let query: HashMap<String, String> = location.query_pairs().into_owned().collect();
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["client_id"], site.client_id());
        assert_eq!(query["scope"].split(' ').take(site.scopes.len()).collect::<Vec<_>>(), site.scopes, "{}", site.kind);
        assert_eq!(query.contains_key("code_challenge"), site.kind != "linkedin");
        for (name, value) in site.parameters {
            assert_eq!(query[*name], *value, "{}", site.kind);
        }
        let mut back =
            Back { url: query["redirect_uri"].parse().unwrap(), fields: Vec::new(), is_form: site.kind == "apple" };
        back.fields.push(("state".to_owned(), query["state"].clone()));
        let mut memory = self.memory.lock().unwrap();
        if memory.fault == Some(Fault::Denies) {
            back.fields.push(("error".to_owned(), "access_denied".to_owned()));
            return back;
        }
        memory.made += 1;
        let code = format!("{}-code-{}", site.kind, memory.made);
        let asked = Asked {
            client_id: query["client_id"].clone(),
            redirect_uri: query["redirect_uri"].clone(),
            challenge: query.get("code_challenge").cloned(),
            nonce: query.get("nonce").cloned(),
            scope: query["scope"].clone(),
        };
        memory.codes.insert(code.clone(), asked);
        back.fields.push(("code".to_owned(), code));
        if site.kind == "apple" {
            back.fields.push(("user".to_owned(), r#"{"name":{"firstName":"Ada","lastName":"Lovelace"}}"#.to_owned()));
        }
        back
    }

    /// The endpoint for tokens of a site.
    fn grant(&self, site: &Site, headers: &HeaderMap, form: &HashMap<String, String>) -> Response {
        let credentials = if site.wants_basic {
            let value = headers[header::AUTHORIZATION].to_str().unwrap().trim_start_matches("Basic ").to_owned();
            String::from_utf8(BASE64_STANDARD.decode(value).unwrap()).unwrap()
        } else {
            assert!(!headers.contains_key(header::AUTHORIZATION), "{}", site.kind);
            format!("{}:{}", form["client_id"], form["client_secret"])
        };
        site.check_credentials(&credentials);
        let mut memory = self.memory.lock().unwrap();
        let (scope, nonce) = match form["grant_type"].as_str() {
            "authorization_code" => {
                let asked = memory.codes.remove(&form["code"]).filter(|_| memory.fault != Some(Fault::RefusesCodes));
                let Some(asked) = asked else { return site.refused("invalid_grant") };
                assert_eq!(
                    (asked.redirect_uri.as_str(), asked.client_id.as_str()),
                    (form["redirect_uri"].as_str(), site.client_id())
                );
                let proof = form.get("code_verifier").map(|v| BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(v)));
                assert_eq!(asked.challenge, proof, "{}", site.kind);
                (asked.scope, asked.nonce)
            }
            "refresh_token" => {
                let scope = memory.refreshes.remove(&form["refresh_token"]);
                let Some(scope) = scope.filter(|_| memory.fault != Some(Fault::Revoked)) else {
                    return site.refused("invalid_grant");
                };
                (scope, None)
            }
            other => panic!("grant {other}"),
        };
        memory.made += 1;
        let (access, refresh) = (format!("{}-access-{}", site.kind, memory.made), format!("refresh-{}", memory.made));
        memory.access_tokens.push(access.clone());
        memory.refreshes.insert(refresh.clone(), scope.clone());
        let mut told = site.tokens(&access, &refresh, &scope);
        if site.kind == "apple" {
            told["id_token"] = id_tokens::of_apple(site.client_id(), nonce.as_deref(), &access, memory.fault).into();
        }
        json_answer(200, &told)
    }
}

/// A browser on its way back.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) url: Url,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) is_form: bool,
}

async fn serve(
    State(provider): State<Provider>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let place = uri.to_string().trim_start_matches('/').to_owned();
    provider.memory.lock().unwrap().calls.push(format!("{method} {place}"));
    if provider.has(Fault::Down) {
        return (StatusCode::SERVICE_UNAVAILABLE, "busy").into_response();
    }
    if provider.has(Fault::Html) {
        return (StatusCode::OK, [(header::CONTENT_TYPE, "text/html")], "<html>Welcome</html>").into_response();
    }
    if provider.has(Fault::Garbage) {
        return json_answer(200, &json!(["nothing", "of", "use"]));
    }
    if place == "appleid.apple.com/auth/keys" {
        return json_answer(200, &id_tokens::keys());
    }
    if let Some(site) = Site::find(|site| site.token == place) {
        assert_eq!(method, Method::POST);
        let form = url::form_urlencoded::parse(&body).into_owned().collect();
        return provider.grant(site, &headers, &form);
    }
    let Some((site, told)) = Site::resource(&place) else { return StatusCode::NOT_FOUND.into_response() };
    assert!(headers.get(header::USER_AGENT).is_some_and(|agent| agent.to_str().unwrap().starts_with("postern/")));
    assert_eq!(headers.get("client-id").is_some(), site.kind == "twitch", "{}", site.kind);
    let token = headers[header::AUTHORIZATION].to_str().unwrap().trim_start_matches("Bearer ").to_owned();
    if !provider.memory.lock().unwrap().access_tokens.contains(&token) {
        return json_answer(401, &json!({ "error": "invalid_token" }));
    }
    json_answer(200, &if provider.has(Fault::Nameless) { json!({ "login": "ada" }) } else { told })
}

pub(super) fn json_answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
