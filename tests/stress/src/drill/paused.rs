//! Workers that stand still (SIGSTOP) for longer than their leases, in turn, and then go on as if nothing had happened:
//! what they still believe to hold must not count any more.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::{
    Scale,
    check::Permitted,
    scene::{Report, Scene},
};
use crate::stand::{Plan, Shape};

/// Longer than a lease: 30 s, of webhooks 10 s.
const PAUSE: Duration = Duration::from_secs(35);

pub(super) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
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
