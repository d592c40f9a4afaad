//! Calls over HTTP: who may, what was answered before, what is to go wrong.

use std::{
    collections::{HashMap, HashSet},
    io,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    FakeStripe, form,
    params::Params,
    problem::Problem,
    routes,
    state::{Cause, PLATFORM, State},
};

/// How long an idempotency key is remembered.
const KEY_SECONDS: i64 = 86_400;

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, and this status is answered.
    Status(u16),
    /// Nothing is done, and the connection is closed.
    Drop,
    /// It is done, and this status is answered.
    StatusAfterDoing(u16),
    /// It is done, and the connection is closed without an answer.
    DropAfterDoing,
}

/// A call that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedRequest {
    /// `GET`, ….
    pub method: String,
    /// `/v1/…`, without the query.
    pub path: String,
    /// The account of the header.
    pub account: Option<String>,
    /// The key of the header.
    pub idempotency_key: Option<String>,
    /// What was asked for, nested; of a query too.
    pub params: Value,
    /// What was answered; none yet, or the connection was closed.
    pub status: Option<u16>,
}

/// What is between calls and objects.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) requests: Vec<LoggedRequest>,
    pub(crate) faults: Vec<(String, String, Fault)>,
    pub(crate) latency: Duration,
    /// Answers by account and key.
    kept: HashMap<(String, String), Kept>,
    /// Keys whose first call is not answered yet.
    running: HashSet<(String, String)>,
}

#[derive(Debug)]
struct Kept {
    at: i64,
    path: String,
    params: Value,
    answer: Answer,
}

/// Status and body.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    body: Value,
    is_replayed: bool,
}

/// A call that has been read.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) params: Params,
    account: Option<String>,
    idempotency_key: Option<String>,
    request_id: String,
}

impl Call {
    pub(crate) fn account(&self) -> &str {
        self.account.as_deref().unwrap_or(PLATFORM)
    }

    pub(crate) fn cause(&self) -> Cause {
        Cause { request_id: Some(self.request_id.clone()), idempotency_key: self.idempotency_key.clone() }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        Self { status: problem.status, body: problem.body(), is_replayed: false }
    }
}

/// Serves until it is dropped; calls under way end then, too.
pub(crate) async fn serve(listener: TcpListener, fake: FakeStripe) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let fake = fake.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| handle(fake.clone(), request));
            // Ends with an error when a connection is closed on purpose.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

/// hyper closes the connection without an answer when a service fails.
async fn handle(fake: FakeStripe, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    // What was begun is done, whether or not somebody still waits for it.
    let answer = tokio::spawn(async move { respond(&fake, &head, &body).await }).await.map_err(io::Error::other)?;
    let answer = answer.ok_or_else(|| io::Error::other("closed on purpose"))?;
    let mut response = Response::new(Full::from(answer.body.to_string()));
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(io::Error::other)?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if answer.is_replayed {
        headers.insert("idempotent-replayed", header::HeaderValue::from_static("true"));
    }
    Ok(response)
}

async fn respond(fake: &FakeStripe, head: &Parts, body: &Bytes) -> Option<Answer> {
    if let Some(name) = head.uri.path().strip_prefix("/_control/") {
        let arguments = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(body) };
        let done = arguments.map_err(|error| Problem::invalid(None, error.to_string()));
        return Some(match done.and_then(|arguments| fake.control(name, &arguments)) {
            Ok(body) => Answer { status: 200, body, is_replayed: false },
            Err(problem) => problem.into(),
        });
    }
    let (call, place) = match read(fake, head, body) {
        Ok(read) => read,
        Err(problem) => return Some(problem.into()),
    };
    let (fault, latency) = {
        let mut state = fake.state();
        (state.wire.take_fault(&call), state.wire.latency)
    };
    let answer = match fault {
        Some(Fault::Drop) => return None,
        Some(Fault::Status(status)) => {
            tokio::time::sleep(latency).await;
            injected(status).into()
        }
        _ => once(fake, &call, latency).await,
    };
    let answer = match fault {
        Some(Fault::DropAfterDoing) => return None,
        Some(Fault::StatusAfterDoing(status)) => injected(status).into(),
        _ => answer,
    };
    fake.state().wire.answered(place, answer.status);
    Some(answer)
}

fn injected(status: u16) -> Problem {
    let code = (status == 429).then_some("rate_limit");
    let kind = if status >= 500 { "api_error" } else { "invalid_request_error" };
    Problem::new(status, kind, code, "As the test wants it")
}

/// The call, and its place in the log.
fn read(fake: &FakeStripe, head: &Parts, body: &Bytes) -> Result<(Call, usize), Problem> {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let encoded = if head.method == Method::POST { body } else { query };
    let params = form::parse(encoded).map_err(|message| Problem::invalid(None, message));
    let mut state = fake.state();
    let call = Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        params: Params(params.clone().unwrap_or_default()),
        account: header("stripe-account"),
        idempotency_key: header("idempotency-key"),
        request_id: state.ids.next("req"),
    };
    let place = state.wire.requests.len();
    state.wire.requests.push(LoggedRequest {
        method: call.method.clone(),
        path: call.path.clone(),
        account: call.account.clone(),
        idempotency_key: call.idempotency_key.clone(),
        params: call.params.0.clone(),
        status: None,
    });
    let refusal = if header("authorization") == Some(format!("Bearer {}", fake.secret_key())) {
        params.err()
    } else {
        Some(Problem::new(401, "invalid_request_error", None, "Invalid API Key provided: sk_****"))
    };
    match refusal {
        None => Ok((call, place)),
        Some(problem) => {
            state.wire.answered(place, problem.status);
            Err(problem)
        }
    }
}

/// Does a call whose key is new, and answers one whose key is known as before.
async fn once(fake: &FakeStripe, call: &Call, latency: Duration) -> Answer {
    let key = call.idempotency_key.clone().filter(|_| call.method == "POST");
    let Some(key) = key.map(|key| (call.account().to_owned(), key)) else {
        tokio::time::sleep(latency).await;
        return perform(&mut fake.state(), call);
    };
    {
        let mut state = fake.state();
        let now = state.clock.now();
        if let Some(known) = state.wire.known(&key, call, now) {
            return known;
        }
        state.wire.running.insert(key.clone());
    }
    tokio::time::sleep(latency).await;
    let mut state = fake.state();
    let answer = perform(&mut state, call);
    state.wire.running.remove(&key);
    // What never began is not kept.
    if !matches!(answer.status, 401 | 403 | 404 | 409 | 429) {
        let kept = Answer { is_replayed: true, ..answer.clone() };
        let at = state.clock.now();
        let kept = Kept { at, path: call.path.clone(), params: call.params.0.clone(), answer: kept };
        state.wire.kept.insert(key, kept);
    }
    answer
}

fn perform(state: &mut State, call: &Call) -> Answer {
    match routes::answer(state, call) {
        Ok(body) => Answer { status: 200, body, is_replayed: false },
        Err(problem) => problem.into(),
    }
}

impl Wire {
    fn answered(&mut self, place: usize, status: u16) {
        if let Some(logged) = self.requests.get_mut(place) {
            logged.status = Some(status);
        }
    }

    fn take_fault(&mut self, call: &Call) -> Option<Fault> {
        let fits = |(method, path, _): &(String, String, Fault)| *method == call.method && call.path.starts_with(path);
        let place = self.faults.iter().position(fits)?;
        Some(self.faults.remove(place).2)
    }

    /// The answer to a call whose key was used before.
    fn known(&self, key: &(String, String), call: &Call, now: i64) -> Option<Answer> {
        if self.running.contains(key) {
            let message = "There is currently another in-progress request using this Idempotent Key.";
            return Some(Problem::new(409, "idempotency_error", Some("idempotency_key_in_use"), message).into());
        }
        let kept = self.kept.get(key).filter(|kept| kept.at + KEY_SECONDS > now)?;
        if kept.path == call.path && kept.params == call.params.0 {
            return Some(kept.answer.clone());
        }
        let message =
            "Keys for idempotent requests can only be used with the same parameters they were first used with.";
        Some(Problem::new(400, "idempotency_error", None, message).into())
    }
}

/// Keeps the serving task alive.
#[derive(Debug)]
pub(crate) struct Serving(pub(crate) tokio::task::JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}
