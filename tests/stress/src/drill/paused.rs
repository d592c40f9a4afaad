//! Workers that stand still (SIGSTOP) for longer than their leases, in turn or all at once, and then go on as if nothing had
//! happened: what they still believe to hold must not count any more.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::{
    Scale,
    check::Permitted,
    scene::{ORDERED_PATH, Report, Scene},
    traffic::Load,
};
use crate::stand::{Manner, Plan, Shape};

/// Longer than a lease: 30 s, of webhooks 10 s.
const PAUSE: Duration = Duration::from_secs(35);
/// How long an answer is kept back that a worker is to wait for when it is stopped.
const KEPT_BACK: Duration = Duration::from_secs(3);
/// How long it may take until a worker waits for it.
const AT_HAND_WITHIN: Duration = Duration::from_secs(30);

/// One after the other, while the rest goes on.
pub(super) async fn in_turn(scale: Scale, shape: Shape) -> Result<Report> {
    let mut scene = Scene::start(Plan::new(shape)).await?;
    scene.start_traffic(scale.load()).await?;
    sleep(Duration::from_secs(2)).await;
    let processes = match shape {
        // It pauses as a whole; its jobs find their leases run out when it goes on.
        Shape::Embedded => &scene.stand.gateways,
        Shape::Clustered | Shape::Pooled => &scene.stand.workers,
    };
    for round in 0..scale.pick(processes.len(), 2 * processes.len()) {
        let process = processes.get(round % processes.len()).context("a shape without workers")?;
        let begun = Instant::now();
        process.signal(Signal::STOP)?;
        sleep(PAUSE).await;
        process.signal(Signal::CONT)?;
        scene.history.disturbed_since(begun);
        // Requests that waited meanwhile are answered before the next one stands still.
        sleep(Duration::from_secs(scale.pick(1, 10))).await;
    }
    scene.end(Permitted { repeats: true, ..Permitted::default() }).await
}

/// All workers at once, while the gateways go on: every lease runs out and nobody takes anything over. Then all continue at the
/// same moment, and each of them finds the work of all to be had. One has the answer to a webhook waiting for it by then, at the
/// endpoint that wants order.
pub(super) async fn together(scale: Scale, shape: Shape) -> Result<Report> {
    let mut scene = Scene::start(Plan::new(shape)).await?;
    scene.add_ordered().await?;
    // Calmer than elsewhere: what piles up meanwhile is sent one by one where order is wanted.
    scene.start_traffic(Load { writers: 1, pause: Duration::from_millis(scale.pick(600, 300)) }).await?;
    for _ in 0..scale.pick(1, 3) {
        sleep(Duration::from_secs(scale.pick(2, 10))).await;
        let begun = until_at_hand(&scene).await?;
        signal_all(&scene, Signal::STOP)?;
        ensure!(begun.elapsed() < KEPT_BACK, "the workers were stopped after the answer that they were to wait for");
        scene.receiver.behave(ORDERED_PATH, Manner::Status(200));
        sleep(PAUSE).await;
        signal_all(&scene, Signal::CONT)?;
        scene.history.disturbed_since(begun);
    }
    sleep(Duration::from_secs(2)).await;
    scene.end(Permitted { repeats: true, ..Permitted::default() }).await
}

/// Waits until a worker waits for the answer of the endpoint that wants order. Answers since when.
async fn until_at_hand(scene: &Scene) -> Result<Instant> {
    scene.receiver.behave(ORDERED_PATH, Manner::Slow(KEPT_BACK));
    let seen = scene.receiver.count();
    let deadline = Instant::now() + AT_HAND_WITHIN;
    while !scene.receiver.received_since(seen).iter().any(|hook| hook.path == ORDERED_PATH) {
        ensure!(Instant::now() < deadline, "nothing comes to the endpoint that wants order");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(Instant::now())
}

fn signal_all(scene: &Scene, signal: Signal) -> Result<()> {
    scene.stand.workers.iter().try_for_each(|worker| worker.signal(signal))
}
