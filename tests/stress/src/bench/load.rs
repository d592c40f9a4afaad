//! A closed loop of requests: so many keep-alive connections, each sending its next request when the answer to the last one
//! is there. Written here because the load generators on crates.io bring their own command line and run one target at a
//! time, while every speed here is a ratio of two servers measured in turns by one process; hyper does the HTTP,
//! hdrhistogram the percentiles.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

/// The longest latency that is told apart, in microseconds.
const MAX_LATENCY_US: u64 = 60_000_000;

/// Makes the request with this number; numbers never repeat within a run of the bench.
pub(crate) type Make = Arc<dyn Fn(u64) -> Result<Request<Full<Bytes>>> + Send + Sync>;

/// What is sent where, and what a good answer looks like.
#[derive(Clone)]
pub(crate) struct Load {
    /// The server.
    pub(crate) address: SocketAddr,
    /// Makes requests.
    pub(crate) make: Make,
    /// The status of every answer.
    pub(crate) status: StatusCode,
    /// A text that every answer contains.
    pub(crate) proof: &'static str,
    sent: Arc<AtomicU64>,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Answers.
    pub(crate) requests: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// Microseconds from request to whole answer.
    pub(crate) latency: Histogram<u64>,
}

impl Slice {
    /// Answers per second.
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

impl Load {
    /// A load on `address`.
    pub(crate) fn new(address: SocketAddr, status: StatusCode, proof: &'static str, make: Make) -> Self {
        Self { address, make, status, proof, sent: Arc::default() }
    }

    /// Keeps `connections` busy for `duration`.
    ///
    /// # Errors
    /// The first answer that is not as it should be, told with its text.
    pub(crate) async fn run(&self, connections: usize, duration: Duration) -> Result<Slice> {
        let mut opened = Vec::with_capacity(connections);
        for _ in 0..connections {
            opened.push(connect(self.address).await?);
        }
        let started = Instant::now();
        let deadline = started + duration;
        let mut tasks = JoinSet::new();
        for connection in opened {
            tasks.spawn(self.clone().keep_busy(connection, deadline));
        }
        let mut latency = histogram()?;
        while let Some(done) = tasks.join_next().await {
            latency.add(done??)?;
        }
        Ok(Slice { requests: latency.len(), elapsed: started.elapsed(), latency })
    }

    async fn keep_busy(self, mut connection: SendRequest<Full<Bytes>>, deadline: Instant) -> Result<Histogram<u64>> {
        let mut latency = histogram()?;
        loop {
            let request = (self.make)(self.sent.fetch_add(1, Ordering::Relaxed))?;
            let sent = Instant::now();
            if sent >= deadline {
                return Ok(latency);
            }
            connection.ready().await?;
            let response = connection.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            let took = u64::try_from(sent.elapsed().as_micros()).unwrap_or(MAX_LATENCY_US);
            latency.record(took.clamp(1, MAX_LATENCY_US))?;
            let good = status == self.status && std::str::from_utf8(&body).is_ok_and(|text| text.contains(self.proof));
            if !good {
                let text: String = String::from_utf8_lossy(&body).chars().take(500).collect();
                bail!("{} answered {status}, expected {} with {:?}: {text}", self.address, self.status, self.proof);
            }
        }
    }
}

/// An empty histogram of microseconds with three digits.
///
/// # Errors
/// None in practice.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, MAX_LATENCY_US, 3)?)
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Whoever sends on it sees the failure.
        drop(connection.await);
    });
    Ok(sender)
}
