//! A receiver of webhooks on a free port of this machine: keeps what it is sent, and misbehaves where it is told to.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use standardwebhooks::{Webhook, WebhookError};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// How long a test waits for something to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the receiver does with a request once it has read it.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// To this URL.
    Redirect(String),
    /// Says nothing more.
    Hang,
    /// Closes the connection.
    Close,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Hook {
    pub(crate) fn id(&self) -> &str {
        &self.headers["svix-id"]
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Checks the signature of one of the families, `svix` or `webhook`, as a receiver would.
    pub(crate) fn verify(&self, secret: &str, family: &str) -> Result<(), WebhookError> {
        let names = ["id", "timestamp", "signature"];
        let headers = names.map(|name| {
            let value = self.headers[&format!("{family}-{name}")].parse().unwrap();
            (format!("webhook-{name}").parse::<http::HeaderName>().unwrap(), value)
        });
        Webhook::new(secret).unwrap().verify(&self.body, &http::HeaderMap::from_iter(headers))
    }
}

/// A running receiver; gone when dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    received: Mutex<Vec<Hook>>,
    script: Mutex<VecDeque<Answer>>,
    otherwise: Mutex<Answer>,
    arrived: Notify,
}

impl Receiver {
    /// One that answers 200 unless told otherwise.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            script: Mutex::default(),
            otherwise: Mutex::new(Answer::Status(200)),
            arrived: Notify::new(),
        });
        let serve = Arc::clone(&shared);
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(Arc::clone(&serve), stream));
            }
        });
        Self { address, shared, serving }
    }

    /// One whose every answer is `answer`.
    pub(crate) async fn always(answer: Answer) -> Self {
        let receiver = Self::start().await;
        receiver.otherwise(answer);
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers one more of the coming requests with this.
    pub(crate) fn answer_next(&self, answer: Answer) {
        self.shared.script.lock().unwrap().push_back(answer);
    }

    /// Answers every request with this for which nothing else was said.
    pub(crate) fn otherwise(&self, answer: Answer) {
        *self.shared.otherwise.lock().unwrap() = answer;
    }

    /// What arrived so far, oldest first.
    pub(crate) fn received(&self) -> Vec<Hook> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Waits until so many requests have arrived, and answers all of them.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Hook> {
        self.wait_until(&format!("{count} requests"), |received| received.len() >= count).await
    }

    /// Waits until what arrived is as `wanted` says, and answers all of it.
    pub(crate) async fn wait_until(&self, what: &str, wanted: impl Fn(&[Hook]) -> bool) -> Vec<Hook> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let arrived = self.shared.arrived.notified();
            let received = self.received();
            if wanted(&received) {
                return received;
            }
            let in_time = timeout_at(deadline, arrived).await.is_ok();
            assert!(in_time, "waited in vain for {what}; {} requests arrived", received.len());
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let mut stream = BufStream::new(stream);
    while let Some(hook) = read(&mut stream).await {
        shared.received.lock().unwrap().push(hook);
        shared.arrived.notify_waiters();
        let scripted = shared.script.lock().unwrap().pop_front();
        let answer = scripted.unwrap_or_else(|| shared.otherwise.lock().unwrap().clone());
        let head = match answer {
            Answer::Status(status) => format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n\r\n"),
            Answer::Redirect(url) => format!("HTTP/1.1 301 Moved\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n"),
            Answer::Hang => std::future::pending().await,
            Answer::Close => return,
        };
        if stream.write_all(head.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// One request; `None` at the end of the connection.
async fn read(stream: &mut BufStream<TcpStream>) -> Option<Hook> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    assert!(line.is_empty() || line == "POST /hook HTTP/1.1\r\n", "{line}");
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        let known = headers.insert(name.to_ascii_lowercase(), value.to_owned());
        assert!(known.is_none(), "{name} twice");
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Hook { headers, body })
}
