//! Who gets the webhooks of the bench.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use axum::{Router, body::Bytes, extract::State, http::StatusCode, http::Uri};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::Instant};

/// One delivery.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) change: u64,
    pub(super) at: Instant,
}

/// A receiver in this process that notes which change arrived when, and holds its answers back when told to.
pub(super) struct Receiver {
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    noted: Mutex<Noted>,
    held: watch::Sender<bool>,
}

#[derive(Default)]
pub(super) struct Noted {
    pub(super) arrived: Vec<Arrival>,
    /// Of the arrivals: a repeated delivery counts once.
    known: HashSet<(u64, String)>,
    pub(super) sample: Bytes,
}

impl Receiver {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { noted: Mutex::default(), held: watch::Sender::new(false) });
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        // Ends with the run only.
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { address, shared, serving })
    }

    pub(super) fn url(&self, number: u64) -> String {
        format!("http://{}/{number}", self.address)
    }

    pub(super) fn hold(&self, held: bool) {
        self.shared.held.send_replace(held);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Noted> {
        self.shared.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What arrived since the last time.
    pub(super) fn take(&self) -> Vec<Arrival> {
        let mut noted = self.lock();
        noted.known.clear();
        std::mem::take(&mut noted.arrived)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, body: Bytes) -> StatusCode {
    if *shared.held.borrow() && shared.held.subscribe().wait_for(|held| !held).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let at = Instant::now();
    let Some(change) = number_of(&body) else { return StatusCode::BAD_REQUEST };
    let mut noted = shared.noted.lock().unwrap_or_else(PoisonError::into_inner);
    if noted.known.insert((change, uri.path().to_owned())) {
        noted.arrived.push(Arrival { change, at });
    }
    noted.sample = body;
    StatusCode::OK
}

/// The number of the change that a message tells of, found without reading all of it.
fn number_of(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(r#""change":"#)?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_change_is_found_in_a_body() {
        assert_eq!(number_of(br#"{"data":{"server_metadata":{"change":42,"padding":"x"}}}"#), Some(42));
        assert_eq!(number_of(b"{}"), None);
    }
}
