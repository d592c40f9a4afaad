//! PostgreSQL is killed (-9) and started again, and all connections to it are cut.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

use super::{
    Scale,
    check::Permitted,
    scene::{Report, Scene},
};
use crate::stand::{Plan, Service, Shape};

pub(super) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    // Durable: a server that forgets its commits when it is killed would be no fault of Postern.
    let mut scene = Scene::start(Plan::new(shape).durable()).await?;
    scene.start_traffic(scale.load()).await?;
    let services = scene.stand.services.as_ref().context("a shape without PostgreSQL")?;
    // A pooler lets each outage last for a quarter of a minute more.
    let rounds = if shape == Shape::Pooled { scale.pick(1, 6) } else { scale.pick(2, 6) };
    for _ in 0..rounds {
        sleep(Duration::from_secs(3)).await;
        let begun = Instant::now();
        services.cut_connections().await?;
        scene.history.disturbed_since(begun);
        scene.until_answered().await;

        sleep(Duration::from_secs(3)).await;
        let begun = Instant::now();
        services.signal(Service::Postgres, "KILL").await?;
        sleep(Duration::from_secs(scale.pick(1, 3))).await;
        services.revive(Service::Postgres).await?;
        scene.history.disturbed_since(begun);
        scene.until_answered().await;
    }
    sleep(Duration::from_secs(2)).await;
    // What a worker has done and cannot write down in time runs again.
    scene.end(Permitted { repeats: true, ..Permitted::default() }).await
}
