//! A receiver of webhooks on a free port: keeps what it is sent, and misbehaves on the paths where it is told to.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use standardwebhooks::Webhook;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::ports::free_port;

/// What becomes of requests to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answered with this status.
    Status(u16),
    /// Answered with 200 after this time.
    Slow(Duration),
    /// Not answered while the receiver is there.
    Hang,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Where it was sent to.
    pub path: String,
    /// The header `webhook-id`.
    pub id: String,
    /// All headers.
    pub headers: HeaderMap,
    /// As it was signed.
    pub body: Bytes,
    /// When it arrived.
    pub at: Instant,
}

impl Hook {
    /// Checks the signature, whenever it was made: the clocks of a drill may be wrong, and its end is late.
    ///
    /// # Errors
    /// When it is not by this secret.
    pub fn verify(&self, secret: &str) -> Result<()> {
        let header = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let expected = Webhook::new(secret)?.sign(&self.id, header("webhook-timestamp").parse()?, &self.body)?;
        let given = header("webhook-signature");
        ensure!(given.split(' ').any(|signature| signature == expected), "{given} is no signature by the secret");
        Ok(())
    }
}

/// A running receiver; gone when dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// `None` while nobody listens.
    serving: Option<Serving>,
}

#[derive(Debug)]
struct Serving {
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    received: Mutex<Vec<Hook>>,
    manners: Mutex<BTreeMap<String, Manner>>,
    is_gone: watch::Sender<bool>,
}

impl Receiver {
    /// One that answers 200 unless told otherwise.
    ///
    /// # Errors
    /// When no address is free.
    pub async fn start() -> Result<Self> {
        // Not one that the kernel hands out: it must stay free while nobody listens.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut receiver = Self { address, shared: Arc::default(), serving: None };
        receiver.open().await?;
        Ok(receiver)
    }

    /// Listens again.
    ///
    /// # Errors
    /// When somebody else has taken its address.
    pub async fn open(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address).await.context("an address for the receiver")?;
        let router = Router::new().fallback(take).with_state(Arc::clone(&self.shared));
        let (stop, mut stopped) = watch::channel(());
        let task = tokio::spawn(async move {
            let until = async move { drop(stopped.changed().await) };
            // Ends with the receiver only.
            drop(axum::serve(listener, router).with_graceful_shutdown(until).await);
        });
        self.serving = Some(Serving { stop, task });
        Ok(())
    }

    /// From now on nobody listens. What is being answered is answered first, and idle connections are closed.
    pub async fn close(&mut self) {
        if let Some(Serving { stop, task }) = self.serving.take() {
            drop(stop);
            // It has nothing to tell.
            drop(task.await);
        }
    }

    /// Where to send to.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on, on this path.
    pub fn behave(&self, path: &str, manner: Manner) {
        lock(&self.shared.manners).insert(path.to_owned(), manner);
    }

    /// What has arrived so far, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Hook> {
        lock(&self.shared.received).clone()
    }

    /// What has arrived behind the first `seen`, in order.
    #[must_use]
    pub fn received_since(&self, seen: usize) -> Vec<Hook> {
        lock(&self.shared.received).get(seen..).unwrap_or_default().to_vec()
    }

    /// How much has arrived so far.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.shared.received).len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.is_gone.send_replace(true);
        if let Some(Serving { task, .. }) = &self.serving {
            task.abort();
        }
    }
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let path = uri.path().to_owned();
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let manner = lock(&shared.manners).get(&path).copied().unwrap_or(Manner::Status(200));
    lock(&shared.received).push(Hook { path, id, headers, body, at: Instant::now() });
    match manner {
        Manner::Status(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        Manner::Slow(time) => {
            sleep(time).await;
            StatusCode::OK
        }
        Manner::Hang => {
            // Whoever sent it may end then.
            drop(shared.is_gone.subscribe().wait_for(|is_gone| *is_gone).await);
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
