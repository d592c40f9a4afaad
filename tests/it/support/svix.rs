//! A Svix server on a free port of this machine, as far as Postern calls one: keeps what it is sent, and misbehaves where it is
//! told to. What it answers when is a fact of the real one (wire/webhooks §5).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// How long a test waits for something to arrive.
const PATIENCE: Duration = Duration::from_secs(60);
const TIME: &str = "2026-01-02T03:04:05.678Z";

/// What it does with a message instead of taking it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Answers this status and keeps nothing.
    Status(u16),
    /// Keeps it and closes the connection before it has answered.
    CloseAfterKeeping,
}

/// A message that it has.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) application: String,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) payload: Value,
}

/// Everything it knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) messages: Vec<Message>,
    /// Their uids; each is its name, too.
    pub(crate) applications: BTreeSet<String>,
    /// How often an application was asked for that is not there.
    pub(crate) missed_applications: usize,
    /// How often a message was sent that it had.
    pub(crate) conflicts: usize,
    /// How often the token was wrong.
    pub(crate) strangers: usize,
    faults: VecDeque<Fault>,
    /// Good answers by idempotency key and path.
    kept: BTreeMap<(String, String), (u16, Value)>,
}

/// A running server; gone when dropped.
#[derive(Debug)]
pub(crate) struct SvixServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    token: String,
    state: Mutex<State>,
    changed: Notify,
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

impl SvixServer {
    /// One that takes this token.
    pub(crate) async fn start(token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { token: token.to_owned(), state: Mutex::default(), changed: Notify::new() });
        let serve = Arc::clone(&shared);
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(Arc::clone(&serve), stream));
            }
        });
        Self { address, shared, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this with one more of the coming messages of applications that are there.
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// Waits until it knows what `wanted` says.
    pub(crate) async fn wait_until(&self, what: &str, wanted: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let changed = self.shared.changed.notified();
            if wanted(&self.state()) {
                return;
            }
            let in_time = timeout_at(deadline, changed).await.is_ok();
            assert!(in_time, "waited in vain for {what}: {:?}", self.state());
        }
    }
}

impl Drop for SvixServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let mut stream = BufStream::new(stream);
    while let Some(request) = read(&mut stream).await {
        let answer = shared.answer(&request);
        shared.changed.notify_waiters();
        let Some((status, body)) = answer else { return };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let written = stream.write_all([head, body].concat().as_bytes()).await;
        if written.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

fn problem(status: u16, code: &str, detail: &str) -> Option<(u16, Value)> {
    Some((status, json!({ "code": code, "detail": detail })))
}

impl Shared {
    /// Status and body; `None` closes the connection.
    fn answer(&self, request: &Request) -> Option<(u16, Value)> {
        let mut state = self.state.lock().unwrap();
        if request.headers.get("authorization") != Some(&format!("Bearer {}", self.token)) {
            state.strangers += 1;
            return problem(401, "authentication_failed", "Invalid token");
        }
        if request.method == "GET" {
            assert_eq!(request.path, "/api/v1/app");
            return Some((200, json!({ "data": [], "iterator": null, "prevIterator": null, "done": true })));
        }
        let key = (request.headers["idempotency-key"].clone(), request.path.clone());
        if let Some(kept) = state.kept.get(&key) {
            return Some(kept.clone());
        }
        let answer = state.post(request);
        if let Some((status @ 200..300, body)) = &answer {
            state.kept.insert(key, (*status, body.clone()));
        }
        answer
    }
}

impl State {
    fn post(&mut self, request: &Request) -> Option<(u16, Value)> {
        let path = request.path.strip_prefix("/api/v1/").unwrap();
        match path.split('/').collect::<Vec<_>>()[..] {
            ["app"] => self.make_application(request),
            ["app", application, "msg"] => self.take(application, &request.body),
            ["auth", "app-portal-access", application] => {
                if !self.applications.contains(application) {
                    return problem(404, "not_found", "Entity not found");
                }
                let token = format!("appsk_{application}");
                Some((200, json!({ "url": format!("https://app.svix.com/login#key={token}"), "token": token })))
            }
            _ => panic!("POST {}", request.path),
        }
    }

    fn make_application(&mut self, request: &Request) -> Option<(u16, Value)> {
        let (uid, name) = (request.body["uid"].as_str().unwrap(), request.body["name"].as_str().unwrap());
        assert_eq!(uid, name);
        let is_new = self.applications.insert(uid.to_owned());
        if !is_new && !request.query.split('&').any(|pair| pair == "get_if_exists=true") {
            return problem(409, "conflict", "An application of this uid exists");
        }
        let application = json!({
            "uid": uid, "name": name, "id": format!("app_{uid}"), "metadata": {}, "createdAt": TIME, "updatedAt": TIME,
        });
        Some((if is_new { 201 } else { 200 }, application))
    }

    fn take(&mut self, application: &str, body: &Value) -> Option<(u16, Value)> {
        if !self.applications.contains(application) {
            self.missed_applications += 1;
            return problem(404, "not_found", "Entity not found");
        }
        let fault = self.faults.pop_front();
        if let Some(Fault::Status(status)) = fault {
            return problem(status, "server_error", "as the test wants it");
        }
        let text = |name: &str| {
            let text = body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}"));
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            assert!(text.len() <= 256 && text.chars().all(fits), "{text}");
            text.to_owned()
        };
        let (event_id, event_type, payload) = (text("eventId"), text("eventType"), body["payload"].clone());
        assert!(payload.is_object(), "{body}");
        if self.messages.iter().any(|known| known.application == application && known.event_id == event_id) {
            self.conflicts += 1;
            // It has been kept before: the fault is for another one.
            fault.into_iter().for_each(|fault| self.faults.push_front(fault));
            return problem(409, "conflict", "A message of this eventId exists");
        }
        let id = format!("msg_{}", self.messages.len());
        let answer = json!({
            "eventId": event_id, "eventType": event_type, "payload": {}, "id": id, "timestamp": TIME,
        });
        self.messages.push(Message { application: application.to_owned(), event_id, event_type, payload });
        match fault {
            Some(Fault::CloseAfterKeeping) => None,
            _ => Some((202, answer)),
        }
    }
}

/// One request; `None` at the end of the connection.
async fn read(stream: &mut BufStream<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = BTreeMap::new();
    loop {
        line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}
