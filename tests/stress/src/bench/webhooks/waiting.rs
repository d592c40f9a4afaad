//! A long backlog that waits for a receiver that is away: how much memory the worker has beside it, and whether another
//! endpoint of the same project gets its webhooks more slowly for it. The rows are written past the doors.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    super::{
        report::Row,
        scene::{Scene, Sql, text},
    },
    Bench, PATIENCE, make_endpoint, spread,
};
use crate::stand::{Client, free_port};

/// Deliveries of one measurement.
const COUNT: u64 = 5000;
/// Rows of one transaction: Postern's own writes come in between.
const BATCH: u64 = 20_000;
/// Makes a body about 1 KB.
const PADDING: usize = 900;
/// Which endpoint of the receiver gets them; those with lower numbers belong to other figures.
const HEALTHY: u64 = 100;
const MEGABYTE: f64 = 1e6;

/// Both figures.
pub(super) async fn measure(bench: &mut Bench, scene: &Scene, rounds: usize, waiting: u64) -> Result<Vec<Row>> {
    let keys = scene.stand.make_project().await?;
    let (client, database) = (scene.stand.client_of(&keys), scene.database().await?);
    let user_id = text(&client.server().post("/users", &json!({ "display_name": "Ada" })).await?.json()?, "id")?;
    let healthy = make_endpoint(&client.admin(), &bench.receiver.url(HEALTHY)).await?;
    let place = |endpoint_id: &str| Place { project_id: keys.project_id.clone(), endpoint_id: endpoint_id.to_owned() };
    let source = Source { client: &client, user_id: &user_id, database: &database, place: place(&healthy) };
    let mut without = Vec::new();
    for _ in 0..rounds {
        without.push(source.rate(bench).await?);
    }
    let before = scene.worker()?.rss_bytes()?;

    let away = make_endpoint(&client.admin(), &format!("http://127.0.0.1:{}/", free_port()?)).await?;
    pour(&database, &place(&away), bench.next, waiting, 0).await?;
    bench.next += waiting;
    // A change wakes its line, which finds nobody there.
    source.wake(bench).await?;
    until_paused(&database).await?;
    bench.until_arrived(1).await?;
    bench.receiver.take();
    let (mut with, mut most) = (Vec::new(), scene.worker()?.rss_bytes()?);
    for _ in 0..rounds {
        with.push(source.rate(bench).await?);
        most = most.max(scene.worker()?.rss_bytes()?);
    }
    let still = "SELECT count(*) FROM webhook_delivery WHERE state = 'sending' AND next_attempt_at IS NOT NULL";
    let still = database.number(still).await?;
    ensure!(still >= i64::try_from(waiting)?, "only {still} of {waiting} deliveries still wait");
    let name = &scene.worker()?.name;
    let memory = most as f64 / MEGABYTE;
    let ratios = with.iter().zip(&without).map(|(with, without)| with / without).collect();
    Ok(vec![
        Row::plain(
            &format!("memory of {name} while {waiting} webhook deliveries wait"),
            spread(vec![memory])?,
            "MB",
            format!(
                "for one endpoint that refuses connections; {:.0} MB before they were written; the most of {rounds} looks, each after \
                 {COUNT} deliveries to another endpoint",
                before as f64 / MEGABYTE
            ),
        ),
        Row::plain(
            &format!("webhooks to an endpoint beside {waiting} that wait for another"),
            spread(ratios)?,
            "x without",
            format!(
                "{COUNT} deliveries of 1 KB out of a backlog, from the first arrival to the last; {:.0}/s beside {:.0}/s without",
                spread(with)?.median,
                spread(without)?.median
            ),
        ),
    ])
}

/// An endpoint of a project.
struct Place {
    project_id: String,
    endpoint_id: String,
}

/// What a measurement takes.
struct Source<'a> {
    client: &'a Client,
    user_id: &'a str,
    database: &'a Sql,
    place: Place,
}

impl Source<'_> {
    /// Deliveries a second of a backlog.
    async fn rate(&self, bench: &mut Bench) -> Result<f64> {
        pour(self.database, &self.place, bench.next, COUNT, PADDING).await?;
        bench.next += COUNT;
        self.wake(bench).await?;
        bench.until_arrived(COUNT + 1).await?;
        let arrived = bench.receiver.take();
        let times = || arrived.iter().map(|arrival| arrival.at);
        let (first, last) = (times().min().context("nothing arrived")?, times().max().context("nothing arrived")?);
        Ok(COUNT as f64 / (last - first).as_secs_f64())
    }

    /// A change through a door: the lines of all endpoints look what waits for them.
    async fn wake(&self, bench: &mut Bench) -> Result<()> {
        let body = json!({ "server_metadata": { "change": bench.next } });
        bench.next += 1;
        self.client.server().patch(&format!("/users/{}", self.user_id), &body).await?.json().map(drop)
    }
}

/// Waits until nothing is tried any more at the endpoint that is away.
async fn until_paused(database: &Sql) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while database.number("SELECT count(*) FROM webhook_endpoint WHERE paused_until IS NOT NULL").await? == 0 {
        ensure!(Instant::now() < deadline, "an endpoint that refuses connections is still tried");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Messages with a delivery each, as the fan-out leaves them, numbered from `first`.
async fn pour(database: &Sql, place: &Place, first: u64, count: u64, padding: usize) -> Result<()> {
    let end = first + count;
    let mut from = first;
    while from < end {
        let to = end.min(from + BATCH) - 1;
        let statements =
            if database.is_sqlite() { sqlite(place, from, to, padding) } else { postgres(place, from, to, padding) };
        database.run(&statements).await.with_context(|| format!("deliveries {from} to {to}"))?;
        from = to + 1;
    }
    Ok(())
}

const MESSAGE: &str = "webhook_message (id, project_id, event_type, payload, created_at)";
const DELIVERY: &str =
    "webhook_delivery (id, project_id, message_id, endpoint_id, state, attempts, next_attempt_at, created_at, once)";

/// The body of the message numbered `n`, as SQL.
fn body(padding: usize) -> String {
    let padding = "x".repeat(padding);
    format!(
        r#"'{{"type":"user.updated","data":{{"server_metadata":{{"change":' || n || ',"padding":"{padding}"}}}}}}'"#
    )
}

fn sqlite(place: &Place, first: u64, last: u64, padding: usize) -> String {
    let (Place { project_id, endpoint_id }, body) = (place, body(padding));
    let endpoint_id = endpoint_id.replace('-', "");
    format!(
        "BEGIN IMMEDIATE;
        CREATE TEMP TABLE filler AS WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
            SELECT randomblob(16) AS id, 1700000000000 + n AS at, CAST({body} AS BLOB) AS body FROM numbers;
        INSERT INTO {MESSAGE} SELECT id, '{project_id}', 'user.updated', body, at FROM filler;
        INSERT INTO {DELIVERY} SELECT randomblob(16), '{project_id}', id, x'{endpoint_id}', 'sending', 0, 0, at, 0 FROM filler;
        DROP TABLE filler;
        COMMIT;"
    )
}

fn postgres(place: &Place, first: u64, last: u64, padding: usize) -> String {
    let (Place { project_id, endpoint_id }, body) = (place, body(padding));
    format!(
        "WITH filler AS MATERIALIZED (
            SELECT gen_random_uuid() AS id, 1700000000000 + n AS at, convert_to({body}, 'UTF8') AS body
            FROM generate_series({first}, {last}) AS n),
        made AS (INSERT INTO {MESSAGE} SELECT id, '{project_id}', 'user.updated', body, at FROM filler RETURNING id)
        INSERT INTO {DELIVERY}
            SELECT gen_random_uuid(), '{project_id}', filler.id, '{endpoint_id}'::uuid, 'sending', 0, 0, at, false
            FROM filler JOIN made USING (id)"
    )
}
