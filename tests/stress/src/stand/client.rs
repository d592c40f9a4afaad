//! Calling a project over REST and GraphQL, one gateway after the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Longer than anything that a gateway waits for before it gives up.
const TIMEOUT: Duration = Duration::from_secs(40);

/// A project with its keys in the clear.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// `internal` or a UUID.
    pub project_id: String,
    /// `pck_…`
    pub client: String,
    /// `ssk_…`
    pub server: String,
    /// `sak_…`
    pub admin: String,
}

/// Calls one project. Starts without any header; add a level with [`Client::client`], [`Client::server`], [`Client::admin`].
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    urls: Arc<[String]>,
    turn: Arc<AtomicUsize>,
    keys: Arc<Keys>,
    headers: Vec<(String, String)>,
}

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Lost {
    /// Whether it never reached a gateway, so that nothing can have happened.
    pub never_sent: bool,
    why: String,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Of HTTP.
    pub status: StatusCode,
    /// The header `retry-after`.
    pub retry_after: Option<String>,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The JSON of an answer that must be a success.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        ensure!(self.status.is_success(), "{}: {}", self.status, self.text);
        serde_json::from_str(&self.text).with_context(|| self.text.clone())
    }

    /// The data of a GraphQL answer that must have no errors.
    ///
    /// # Errors
    /// When it has any.
    pub fn data(&self) -> Result<Value> {
        let mut body = self.json()?;
        ensure!(body.get("errors").is_none(), "{body}");
        Ok(body.get_mut("data").map(Value::take).unwrap_or_default())
    }
}

impl Client {
    /// Asks these gateways, in turn.
    #[must_use]
    pub fn new(urls: Vec<String>, keys: &Keys) -> Self {
        super::install_crypto_provider();
        Self {
            http: reqwest::Client::builder().timeout(TIMEOUT).build().unwrap_or_default(),
            urls: urls.into(),
            turn: Arc::default(),
            keys: Arc::new(keys.clone()),
            headers: Vec::new(),
        }
    }

    /// The same gateways for another project, without any header.
    #[must_use]
    pub fn of(&self, keys: &Keys) -> Self {
        Self { keys: Arc::new(keys.clone()), headers: Vec::new(), ..self.clone() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.retain(|(known, _)| known != name);
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// As a client of the project.
    #[must_use]
    pub fn client(&self) -> Self {
        self.level("client").with("x-stack-publishable-client-key", &self.keys.client)
    }

    /// As a server of the project.
    #[must_use]
    pub fn server(&self) -> Self {
        self.level("server").with("x-stack-secret-server-key", &self.keys.server)
    }

    /// As the project's administration.
    #[must_use]
    pub fn admin(&self) -> Self {
        self.level("admin").with("x-stack-super-secret-admin-key", &self.keys.admin)
    }

    /// With an access type, without a key.
    #[must_use]
    pub fn level(&self, level: &str) -> Self {
        self.with("x-stack-access-type", level).with("x-stack-project-id", &self.keys.project_id)
    }

    /// As this user.
    #[must_use]
    pub fn user(&self, access_token: &str) -> Self {
        self.with("x-stack-access-token", access_token)
    }

    /// `GET` below `/api/v1`.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn get(&self, path: &str) -> Result<Answer, Lost> {
        self.send(Method::GET, &format!("/api/v1{path}"), None).await
    }

    /// `POST` below `/api/v1`.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, Lost> {
        self.send(Method::POST, &format!("/api/v1{path}"), Some(body)).await
    }

    /// `PATCH` below `/api/v1`.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer, Lost> {
        self.send(Method::PATCH, &format!("/api/v1{path}"), Some(body)).await
    }

    /// One GraphQL operation with these variables.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn graphql(&self, query: &str, variables: Value) -> Result<Answer, Lost> {
        self.send(Method::POST, "/graphql", Some(&json!({ "query": query, "variables": variables }))).await
    }

    /// A GraphQL subscription as an event stream, for as long as it lasts.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn subscribe(&self, query: &str, variables: Value) -> Result<reqwest::Response, Lost> {
        let body = json!({ "query": query, "variables": variables });
        let request = self.request(Method::POST, "/graphql", Some(&body)).timeout(Duration::MAX);
        Ok(request.header("accept", "text/event-stream").send().await?)
    }

    /// A request of whatever method, to a whole path.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Lost> {
        let response = self.request(method, path, body).send().await?;
        let status = response.status();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // An answer that was cut off in the middle says nothing.
        Ok(Answer { status, retry_after, text: response.text().await? })
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> reqwest::RequestBuilder {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let url = self.urls.get(turn % self.urls.len().max(1)).map_or("", String::as_str);
        let mut request = self.http.request(method, format!("{url}{path}"));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = body { request.json(body) } else { request }
    }
}

impl From<reqwest::Error> for Lost {
    fn from(error: reqwest::Error) -> Self {
        Self { never_sent: error.is_connect(), why: chain(&error) }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
