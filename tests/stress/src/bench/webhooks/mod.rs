//! Outgoing webhooks: whether one worker, and two, keep up with the design's rate, how long from a change to its arrival,
//! how fast a backlog drains beside a bare loop that posts the same bodies, and what a long backlog costs that waits for a
//! receiver that is away.

mod receiver;
mod waiting;

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::{
    process::Command,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use self::receiver::Receiver;
use super::{
    bare::SLOTS,
    compare::Spread,
    load::histogram,
    report::{Budget, Row},
    scene::{Scene, text},
};
use crate::stand::{Client, Shape};

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
const MAKE: &str =
    "mutation Make($url: String!) { createWebhookEndpoint(input: {url: $url}) { webhookEndpoint { id } } }";

/// All figures about webhooks; `waiting` deliveries are the long backlog.
pub(crate) async fn measure(scene: &mut Scene, rounds: usize, waiting: u64) -> Result<Vec<Row>> {
    let admin = scene.stand.client().admin();
    let mut bench = Bench { receiver: Receiver::start().await?, next: 0 };
    let mut endpoints = Vec::new();
    for number in 0..ENDPOINTS {
        endpoints.push(make_endpoint(&admin, &bench.receiver.url(number)).await?);
    }
    let one = match scene.stand.shape {
        Shape::Embedded => "the one process",
        Shape::Clustered | Shape::Pooled => "one worker",
    };
    let mut rows = bench.steady(scene, rounds, one).await?;
    rows.push(bench.backlog(scene, rounds, one).await?);
    if scene.stand.shape != Shape::Embedded {
        scene.stand.add_worker().await?;
        rows.extend(bench.steady(scene, rounds, "two workers").await?);
        rows.push(bench.backlog(scene, rounds, "two workers").await?);
        scene.stand.remove_worker().await?;
    }
    for id in endpoints {
        let query = "mutation End($id: ID!) { deleteWebhookEndpoint(input: {id: $id}) { __typename } }";
        admin.graphql(query, json!({ "id": id })).await?.data()?;
    }
    rows.extend(waiting::measure(&mut bench, scene, rounds, waiting).await?);
    Ok(rows)
}

/// Registers an endpoint; answers its id.
async fn make_endpoint(admin: &Client, url: &str) -> Result<String> {
    let made = admin.graphql(MAKE, json!({ "url": url })).await?.data()?;
    text(made.pointer("/createWebhookEndpoint/webhookEndpoint").context("no endpoint was made")?, "id")
}

struct Bench {
    receiver: Receiver,
    /// The number of the next change.
    next: u64,
}

impl Bench {
    /// Changes at the design's rate, for as many windows as there are rounds.
    async fn steady(&mut self, scene: &Scene, rounds: usize, by: &str) -> Result<Vec<Row>> {
        let windows = u64::try_from(rounds)?;
        let count = CHANGES_PER_SECOND * (WARM_UP_SECONDS + windows * WINDOW_SECONDS);
        let first = self.next;
        let began = Instant::now();
        self.change(scene, count, |number| began + Duration::from_micros(number * 1_000_000 / CHANGES_PER_SECOND))
            .await?;
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
        let wanted = (CHANGES_PER_SECOND * ENDPOINTS) as f64;
        let bytes = self.receiver.lock().sample.len();
        let mix = format!(
            "by {by}; {CHANGES_PER_SECOND} PATCH /users/<id> per second, {ENDPOINTS} endpoints, bodies of {bytes} bytes, windows of {WINDOW_SECONDS} s; \
             {behind} of {} deliveries under way when the last change was answered",
            count * ENDPOINTS
        );
        Ok(vec![
            // The edges of a window cut through deliveries: one of a hundred may fall to its neighbour.
            Row::plain(&format!("webhook deliveries at 200 changes/s x 10 endpoints, {by}"), spread(rates)?, "/s", mix)
                .budget(Budget::AtLeast(0.99 * wanted)),
            Row::plain(
                &format!("webhooks, change to arrival, p50, {by}"),
                spread(halves)?,
                "ms",
                "from the moment the change was due to be sent",
            ),
            Row::plain(&format!("webhooks, change to arrival, p99, {by}"), spread(tails)?, "ms", "likewise")
                .budget(Budget::AtMost(1000.0)),
        ])
    }

    /// Holds the answers back until a backlog has gathered, and sees how fast it drains.
    async fn backlog(&mut self, scene: &Scene, rounds: usize, by: &str) -> Result<Row> {
        let database = scene.database().await?;
        let deliveries = BACKLOG * ENDPOINTS;
        let (mut ratios, mut drained, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            self.receiver.hold(true);
            let began = Instant::now();
            self.change(scene, BACKLOG, |_| began).await?;
            let open = "SELECT count(*) FROM webhook_delivery WHERE state = 'sending' AND next_attempt_at IS NOT NULL";
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
        let notes = format!(
            "by {by}; {deliveries} deliveries that waited; {:.0}/s beside {:.0}/s of a loop with {SLOTS} slots that only posts the same bodies",
            spread(drained)?.median,
            spread(bare)?.median
        );
        Ok(Row::plain(&format!("webhooks, draining a backlog, {by}"), spread(ratios)?, "x bare loop", notes))
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
    async fn change(&mut self, scene: &Scene, count: u64, due: impl Fn(u64) -> Instant) -> Result<()> {
        let server = scene.stand.client().server();
        let mut answers = JoinSet::new();
        for number in 0..count {
            sleep_until(due(number)).await;
            let change = self.next;
            self.next += 1;
            let turn = usize::try_from(change)? % scene.people.len();
            let path = format!("/users/{}", scene.people.get(turn).context("nobody to change")?.id);
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

fn spread(figures: Vec<f64>) -> Result<Spread> {
    Spread::of(figures).context("no round")
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
