//! Outgoing webhooks: whether one worker keeps up with the design's rate, how long from a change to its arrival, and how
//! fast a backlog drains beside a bare loop that posts the same bodies.

use std::{
    collections::HashSet,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use axum::{Router, body::Bytes, extract::State, http::StatusCode, http::Uri};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::{
    net::TcpListener,
    process::Command,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use super::{
    bare::SLOTS,
    compare::Spread,
    load::histogram,
    report::{Budget, Row},
    scene::{Scene, text},
};

const ENDPOINTS: u64 = 10;
const CHANGES_PER_SECOND: u64 = 200;
const WARM_UP_SECONDS: u64 = 5;
const WINDOW_SECONDS: u64 = 5;
/// Changes of one backlog; ten times as many deliveries.
const BACKLOG: u64 = 500;
/// Makes the body of a message about 1 KB.
const PADDING: usize = 180;
/// How long the last delivery may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// All figures about webhooks.
pub(crate) async fn measure(scene: &Scene, rounds: usize) -> Result<Vec<Row>> {
    let receiver = Receiver::start().await?;
    let admin = scene.stand.client().admin();
    let mut endpoints = Vec::new();
    for number in 0..ENDPOINTS {
        let query =
            "mutation Make($url: String!) { createWebhookEndpoint(input: {url: $url}) { webhookEndpoint { id } } }";
        let made = admin.graphql(query, json!({ "url": receiver.url(number) })).await?.data()?;
        let endpoint = made.pointer("/createWebhookEndpoint/webhookEndpoint").context("no endpoint was made")?;
        endpoints.push(text(endpoint, "id")?);
    }
    let mut bench = Bench { scene, receiver, next: 0 };
    let mut rows = bench.steady(rounds).await?;
    rows.push(bench.backlog(rounds).await?);
    for id in endpoints {
        let query = "mutation End($id: ID!) { deleteWebhookEndpoint(input: {id: $id}) { __typename } }";
        admin.graphql(query, json!({ "id": id })).await?.data()?;
    }
    Ok(rows)
}

struct Bench<'a> {
    scene: &'a Scene,
    receiver: Receiver,
    /// The number of the next change.
    next: u64,
}

impl Bench<'_> {
    /// Changes at the design's rate, for as many windows as there are rounds.
    async fn steady(&mut self, rounds: usize) -> Result<Vec<Row>> {
        let windows = u64::try_from(rounds)?;
        let count = CHANGES_PER_SECOND * (WARM_UP_SECONDS + windows * WINDOW_SECONDS);
        let first = self.next;
        let began = Instant::now();
        self.change(count, |number| began + Duration::from_micros(number * 1_000_000 / CHANGES_PER_SECOND)).await?;
        let behind = count * ENDPOINTS - self.receiver.lock().arrived.len() as u64;
        self.until_arrived(count * ENDPOINTS).await?;
        let (mut rates, mut halves, mut tails) = (Vec::new(), Vec::new(), Vec::new());
        let arrivals = self.receiver.take();
        for window in 0..windows {
            let from = began + Duration::from_secs(WARM_UP_SECONDS + window * WINDOW_SECONDS);
            let until = from + Duration::from_secs(WINDOW_SECONDS);
            let within = arrivals.iter().filter(|arrival| (from..until).contains(&arrival.at)).count();
            rates.push(within as f64 / WINDOW_SECONDS as f64);
            let of_window =
                arrivals.iter().filter(|arrival| (from..until).contains(&due(began, arrival.change - first)));
            let latency = latencies(of_window.map(|arrival| arrival.at - due(began, arrival.change - first)))?;
            halves.push(latency.value_at_quantile(0.5) as f64 / 1000.0);
            tails.push(latency.value_at_quantile(0.99) as f64 / 1000.0);
        }
        let spread = |figures| Spread::of(figures).context("no window");
        let wanted = (CHANGES_PER_SECOND * ENDPOINTS) as f64;
        let bytes = self.receiver.lock().sample.len();
        let mix = format!(
            "{CHANGES_PER_SECOND} PATCH /users/<id> per second, {ENDPOINTS} endpoints, bodies of {bytes} bytes, windows of {WINDOW_SECONDS} s; \
             {behind} of {} deliveries under way when the last change was answered",
            count * ENDPOINTS
        );
        Ok(vec![
            // The edges of a window cut through deliveries: one of a hundred may fall to its neighbour.
            Row::plain("webhook deliveries at 200 changes/s x 10 endpoints", spread(rates)?, "/s", mix)
                .budget(Budget::AtLeast(0.99 * wanted)),
            Row::plain(
                "webhooks, change to arrival, p50",
                spread(halves)?,
                "ms",
                "from the moment the change was due to be sent",
            ),
            Row::plain("webhooks, change to arrival, p99", spread(tails)?, "ms", "likewise")
                .budget(Budget::AtMost(1000.0)),
        ])
    }

    /// Holds the answers back until a backlog has gathered, and sees how fast it drains.
    async fn backlog(&mut self, rounds: usize) -> Result<Row> {
        let database = self.scene.database().await?;
        let deliveries = BACKLOG * ENDPOINTS;
        let (mut ratios, mut drained, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            self.receiver.hold(true);
            let began = Instant::now();
            self.change(BACKLOG, |_| began).await?;
            let open = "SELECT count(*) FROM job WHERE kind = 'deliver_webhook' AND finished_at IS NULL";
            while database.number(open).await? < i64::try_from(deliveries)? {
                ensure!(began.elapsed() < PATIENCE, "the backlog does not gather");
                sleep(Duration::from_millis(50)).await;
            }
            let released = Instant::now();
            self.receiver.hold(false);
            self.until_arrived(deliveries).await?;
            let last = self.receiver.take().iter().map(|arrival| arrival.at).max().context("nothing arrived")?;
            let of_postern = deliveries as f64 / (last - released).as_secs_f64();
            let of_bare = self.bare_loop(deliveries).await?;
            ratios.push(of_postern / of_bare);
            drained.push(of_postern);
            bare.push(of_bare);
        }
        let spread = |figures| Spread::of(figures).context("no round");
        let notes = format!(
            "{deliveries} deliveries that waited; {:.0}/s beside {:.0}/s of a loop with {SLOTS} slots that only posts the same bodies",
            spread(drained)?.median,
            spread(bare)?.median
        );
        Ok(Row::plain("webhooks, draining a backlog", spread(ratios)?, "x bare loop", notes))
    }

    /// Posts what the receiver got from a process of its own; answers posts per second.
    async fn bare_loop(&self, count: u64) -> Result<f64> {
        let body = tempfile::NamedTempFile::new()?;
        std::fs::write(body.path(), &self.receiver.lock().sample)?;
        let output = Command::new(std::env::current_exe()?)
            .args(["bare", "--url", &self.receiver.url(0), "--count", &count.to_string(), "--body"])
            .arg(body.path())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .await?;
        self.receiver.take();
        ensure!(output.status.success(), "the bare loop ended with {}", output.status);
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    }

    /// Makes changes, each when `due` says; answers when all are answered.
    async fn change(&mut self, count: u64, due: impl Fn(u64) -> Instant) -> Result<()> {
        let server = self.scene.stand.client().server();
        let mut answers = JoinSet::new();
        for number in 0..count {
            sleep_until(due(number)).await;
            let change = self.next;
            self.next += 1;
            let turn = usize::try_from(change)? % self.scene.people.len();
            let path = format!("/users/{}", self.scene.people.get(turn).context("nobody to change")?.id);
            let body = json!({ "server_metadata": { "change": change, "padding": "x".repeat(PADDING) } });
            let server = server.clone();
            answers.spawn(async move { server.patch(&path, &body).await?.json().map(drop) });
        }
        while let Some(answer) = answers.join_next().await {
            answer??;
        }
        Ok(())
    }

    async fn until_arrived(&self, count: u64) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while (self.receiver.lock().arrived.len() as u64) < count {
            if Instant::now() > deadline {
                bail!("{} of {count} deliveries arrived", self.receiver.lock().arrived.len());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

fn due(began: Instant, number: u64) -> Instant {
    began + Duration::from_micros(number * 1_000_000 / CHANGES_PER_SECOND)
}

fn latencies(all: impl Iterator<Item = Duration>) -> Result<Histogram<u64>> {
    let mut latency = histogram()?;
    for one in all {
        latency.record(u64::try_from(one.as_micros())?.max(1))?;
    }
    Ok(latency)
}

/// One delivery.
#[derive(Clone, Copy)]
struct Arrival {
    change: u64,
    at: Instant,
}

/// A receiver in this process that notes which change arrived when, and holds its answers back when told to.
struct Receiver {
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    noted: Mutex<Noted>,
    held: watch::Sender<bool>,
}

#[derive(Default)]
struct Noted {
    arrived: Vec<Arrival>,
    /// Of the arrivals: a repeated delivery counts once.
    known: HashSet<(u64, String)>,
    sample: Bytes,
}

impl Receiver {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { noted: Mutex::default(), held: watch::Sender::new(false) });
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        // Ends with the run only.
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { address, shared, serving })
    }

    fn url(&self, number: u64) -> String {
        format!("http://{}/{number}", self.address)
    }

    fn hold(&self, held: bool) {
        self.shared.held.send_replace(held);
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.shared.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What arrived since the last time.
    fn take(&self) -> Vec<Arrival> {
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
