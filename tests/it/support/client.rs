//! A small REST client that sends what the official ones send.

use postern_domain::{ProjectId, projects};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

/// A project with its keys in the clear.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) project_id: String,
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) admin: String,
}

impl Keys {
    pub(crate) fn of(project_id: &ProjectId, keys: &projects::Keys) -> Self {
        let key = |key: &Option<String>| key.clone().unwrap();
        Self {
            project_id: project_id.to_string(),
            client: key(&keys.publishable_client_key),
            server: key(&keys.secret_server_key),
            admin: key(&keys.super_secret_admin_key),
        }
    }
}

/// Calls one project. Starts without any header; add a level with [`Client::client`], [`Client::server`], [`Client::admin`].
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    keys: Keys,
    headers: Vec<(String, String)>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Client {
    pub(crate) fn new(url: &str, keys: &Keys) -> Self {
        Self { http: reqwest::Client::new(), url: url.to_owned(), keys: keys.clone(), headers: Vec::new() }
    }

    /// The same with one more header.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.retain(|(known, _)| known != name);
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// As a client of the project.
    pub(crate) fn client(&self) -> Self {
        self.level("client").with("x-stack-publishable-client-key", &self.keys.client)
    }

    /// As a server of the project.
    pub(crate) fn server(&self) -> Self {
        self.level("server").with("x-stack-secret-server-key", &self.keys.server)
    }

    /// As the project's administration.
    pub(crate) fn admin(&self) -> Self {
        self.level("admin").with("x-stack-super-secret-admin-key", &self.keys.admin)
    }

    fn level(&self, level: &str) -> Self {
        self.with("x-stack-access-type", level).with("x-stack-project-id", &self.keys.project_id)
    }

    /// As this user.
    pub(crate) fn user(&self, access_token: &str) -> Self {
        self.with("x-stack-access-token", access_token)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// One GraphQL operation with these variables.
    pub(crate) async fn graphql(&self, query: &str, variables: Value) -> Answer {
        let body = serde_json::json!({ "query": query, "variables": variables });
        self.raw(Method::POST, "/graphql", Some(("application/json", body.to_string()))).await
    }

    /// A call below `/api/v1`.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.raw(method, &format!("/api/v1{path}"), body).await
    }

    /// A call with any body.
    pub(crate) async fn raw(&self, method: Method, path: &str, body: Option<(&str, String)>) -> Answer {
        Answer::read(self.begin(method, path, body).await).await
    }

    /// A POST whose answer is read bit by bit.
    pub(crate) async fn stream(&self, path: &str, body: (&str, String)) -> reqwest::Response {
        self.begin(Method::POST, path, Some(body)).await
    }

    /// A POST below `/api/v1` whose body never comes.
    pub(crate) async fn post_endlessly(&self, path: &str) -> Answer {
        let never = reqwest::Body::wrap_stream(futures::stream::pending::<std::io::Result<bytes::Bytes>>());
        let body = Some(("application/json", never));
        Answer::read(self.begin(Method::POST, &format!("/api/v1{path}"), body).await).await
    }

    async fn begin(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, impl Into<reqwest::Body>)>,
    ) -> reqwest::Response {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some((content_type, body)) = body {
            request = request.header("content-type", content_type).body(body);
        }
        request.send().await.unwrap()
    }
}

impl Answer {
    /// Reads an answer whole.
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    /// A header that must be there.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {} {}", self.status, self.text));
        value.to_str().unwrap().to_owned()
    }

    /// The code of a refusal that clients know.
    #[track_caller]
    pub(crate) fn known_error(&self) -> String {
        self.header("x-stack-known-error")
    }

    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub(crate) fn json(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Checks for a refusal with a code that clients know; answers its details.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!(self.headers.get("x-stack-known-error").map(|v| v.to_str().unwrap()), Some(code), "{}", self.text);
        assert_eq!(self.headers.get("x-hexclave-known-error"), self.headers.get("x-stack-known-error"));
        let body = self.json(status);
        assert_eq!(body["code"], code);
        assert!(body["error"].is_string());
        body["details"].clone()
    }

    /// Checks for a refusal that has only a text on the wire.
    #[track_caller]
    pub(crate) fn refused_with_text(self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert!(self.headers.get("x-stack-known-error").is_none(), "{}", self.text);
        self.text
    }
}
