//! kill -9 every few seconds. Whoever supervises the processes starts them again at once.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{
    Scale,
    check::Permitted,
    scene::{Report, Scene},
};
use crate::stand::{Plan, Postern, Shape};

/// Which processes die.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victims {
    Workers,
    Gateways,
    All,
}

pub(super) async fn worker(scale: Scale, shape: Shape) -> Result<Report> {
    run(scale, shape, Victims::Workers).await
}

pub(super) async fn gateway(scale: Scale, shape: Shape) -> Result<Report> {
    run(scale, shape, Victims::Gateways).await
}

pub(super) async fn both(scale: Scale, shape: Shape) -> Result<Report> {
    run(scale, shape, Victims::All).await
}

async fn run(scale: Scale, shape: Shape, victims: Victims) -> Result<Report> {
    let mut scene = Scene::start(Plan::new(shape)).await?;
    scene.start_traffic(scale.load()).await?;
    for round in 0..scale.pick(4, 15) {
        sleep(Duration::from_millis(scale.pick(2000, 3000))).await;
        let begun = Instant::now();
        let mut dead: Vec<&mut Postern> = match victims {
            // One after the other: the rest goes on.
            Victims::Workers => one(&mut scene.stand.workers, round),
            Victims::Gateways => one(&mut scene.stand.gateways, round),
            Victims::All => scene.stand.processes().collect(),
        };
        for process in &mut dead {
            process.kill().await?;
        }
        // From here on whoever is left, or started again, has the time that is granted for what the dead had begun.
        scene.history.disturbed_since(begun);
        for process in &mut dead {
            process.spawn()?;
        }
        for process in dead {
            process.wait_ready().await?;
        }
    }
    sleep(Duration::from_secs(2)).await;
    scene.end(Permitted { repeats: true, ..Permitted::default() }).await
}

fn one(processes: &mut [Postern], round: usize) -> Vec<&mut Postern> {
    let turn = round % processes.len().max(1);
    processes.get_mut(turn).into_iter().collect()
}
