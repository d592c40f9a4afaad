//! kill -9 of the workers in turn, or of the one process, every few seconds, while changes go out to endpoints that want
//! order, to one with a rate, and to others. Whoever supervises the processes starts them again at once.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Crowd, Endpoint, arrival,
    check::{self, Case, delays, last_new, longest_silence},
    make_endpoints, settle,
};
use crate::{
    drill::{
        Scale,
        figures::Figures,
        history::Disturbance,
        readback::{all, text},
        scene::{DONE_WITHIN, Report, conclude},
    },
    stand::{Client, Manner, Plan, Postern, Receiver, Shape, Stand},
};

const PEOPLE: usize = 8;
/// Of each sort: that want order, and others.
const ORDERED: usize = 2;
const PLAIN: usize = 7;
/// How long what was due may take; what is missing then is lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the last states may take to be written down.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);

const STATES: &str = r#"query($after: String) { page: webhookMessages(first: 50, after: $after,
    filter: {eventTypes: ["user.updated"]}) { pageInfo { hasNextPage endCursor } nodes { id
    deliveries(first: 10) { nodes { state } } } } }"#;

pub(in crate::drill) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    let mut stand = Stand::start(&Plan::new(shape)).await?;
    let ended = drill(scale, &mut stand).await;
    conclude(stand, ended).await
}

async fn drill(scale: Scale, stand: &mut Stand) -> Result<Report> {
    let (client, receiver) = (stand.client(), Receiver::start().await?);
    let crowd = Crowd::start(&client, PEOPLE).await?;
    let rate = scale.pick(15, 50);
    let mut endpoints = make_endpoints(&client, &receiver, "plain", PLAIN).await?;
    for number in 1..=ORDERED {
        endpoints.push(Endpoint::make(&client, &receiver, &format!("/ordered-{number}"), true, None).await?);
    }
    endpoints.push(Endpoint::make(&client, &receiver, "/paced", false, Some(rate)).await?);

    // Some take their time, so that a kill meets what is at hand there.
    receiver.behave("/ordered-1", Manner::Slow(Duration::from_millis(scale.pick(60, 20))));
    receiver.behave("/plain-1", Manner::Slow(Duration::from_millis(200)));
    let (count, every) = (scale.pick(100, 2000), Duration::from_millis(scale.pick(150, 50)));
    let is_over = AtomicBool::new(false);
    let changes = async {
        let made = crowd.changes(count, every).await;
        is_over.store(true, Ordering::SeqCst);
        made
    };
    let (made, kills) = tokio::join!(changes, kill_until(stand, &is_over, scale));
    let ((), kills) = (made?, kills?);

    let changes = crowd.asked();
    let last_kill = kills.iter().map(|kill| kill.over).max().context("nobody was killed")?;
    let since = changes.iter().map(|change| change.answered).max().map_or(last_kill, |last| last.max(last_kill));
    let done = settle(&receiver, &endpoints, changes.len(), PATIENCE).await.unwrap_or_else(Instant::now);
    let states = all_written(&client, changes.len() * endpoints.len()).await?;
    let arrived: Vec<_> = receiver.received().iter().map(|hook| arrival(hook, &endpoints)).collect();
    let mut findings = check::check(&Case {
        endpoints: &endpoints,
        changes: &changes,
        log: &crowd.log().await?,
        arrived: &arrived,
        disturbances: &kills,
    });
    findings.wrong.extend(states);
    // Order and a rate have a pace of their own: what waited there takes its time.
    let is_free = |endpoint: &&Endpoint| !endpoint.in_order && endpoint.rate.is_none();
    let free = endpoints.iter().filter(is_free).filter_map(|endpoint| last_new(endpoint, &arrived));
    let recovered = free.max().map_or(PATIENCE, |last| last.saturating_duration_since(since));
    if recovered > DONE_WITHIN {
        findings
            .wrong
            .push(format!("webhooks were done {recovered:.1?} after the last kill, not within {DONE_WITHIN:?}"));
    }
    let took = done.saturating_duration_since(since);
    let silence = |endpoint: &Endpoint| longest_silence(endpoint, &arrived);
    let silences: Vec<_> = endpoints.iter().map(silence).collect();
    if let Some(longest) = silences.iter().max().filter(|longest| **longest > DONE_WITHIN) {
        findings.wrong.push(format!("nothing arrived at an endpoint for {longest:.1?}, while changes were made"));
    }
    let times = delays(changes.iter(), &endpoints, &arrived);
    let slowest = times.iter().max().copied().unwrap_or_default();
    let notes = vec![
        format!(
            "{} kills; {} changes at {} endpoints: tried {}, lost {}, came again under the same id {}, wrong {}",
            kills.len(),
            changes.len(),
            endpoints.len(),
            findings.tried,
            findings.lost.len(),
            findings.repeated_hooks,
            findings.wrong.len() + findings.doubled.len(),
        ),
        format!(
            "from answer to arrival {}, longest {:.1} s; longest silence of an endpoint {:.1} s; done {:.1} s after the last \
             kill or change, where neither order nor a rate is wanted {:.1} s",
            Figures::of(times)?,
            slowest.as_secs_f64(),
            silences.into_iter().max().unwrap_or_default().as_secs_f64(),
            took.as_secs_f64(),
            recovered.as_secs_f64()
        ),
    ];
    Ok(Report { findings, answers_again: None, done_again: [took, Duration::ZERO], notes })
}

/// Kills whoever delivers, one after the other, until all changes are made, and once more. Answers when.
async fn kill_until(stand: &mut Stand, is_over: &AtomicBool, scale: Scale) -> Result<Vec<Disturbance>> {
    let mut kills: Vec<Disturbance> = Vec::new();
    loop {
        sleep(Duration::from_millis(scale.pick(3000, 5000))).await;
        let is_last = is_over.load(Ordering::SeqCst);
        let process = victim(stand, kills.len()).context("nobody to kill")?;
        let begun = Instant::now();
        process.kill().await?;
        kills.push(Disturbance { begun, over: Instant::now() });
        process.start().await?;
        if is_last {
            return Ok(kills);
        }
    }
}

fn victim(stand: &mut Stand, turn: usize) -> Option<&mut Postern> {
    let processes = match stand.shape {
        Shape::Embedded => &mut stand.gateways,
        Shape::Clustered | Shape::Pooled => &mut stand.workers,
    };
    let turn = turn % processes.len().max(1);
    processes.get_mut(turn)
}

/// Waits until every delivery is written down as done; answers what is not.
async fn all_written(client: &Client, wanted: usize) -> Result<Vec<String>> {
    let deadline = Instant::now() + WRITTEN_WITHIN;
    loop {
        let (mut count, mut others) = (0, Vec::new());
        for message in all(&client.admin(), STATES, None).await? {
            for delivery in message.pointer("/deliveries/nodes").and_then(Value::as_array).into_iter().flatten() {
                count += 1;
                if delivery.get("state") != Some(&json!("SUCCEEDED")) {
                    others.push(format!("a delivery of {} is {}", text(&message, "id")?, text(delivery, "state")?));
                }
            }
        }
        if (count == wanted && others.is_empty()) || Instant::now() > deadline {
            others.extend((count != wanted).then(|| format!("{count} deliveries instead of {wanted}")));
            return Ok(others);
        }
        sleep(Duration::from_millis(500)).await;
    }
}
