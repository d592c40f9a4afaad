//! Redis is killed and started again, emptied, and stopped (SIGSTOP). Without it everything goes on, only slower.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

use super::{
    Scale,
    check::Permitted,
    history::Outcome,
    scene::{Report, Scene},
};
use crate::stand::{Plan, Service, Shape};

pub(super) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    let mut scene = Scene::start(Plan::new(shape)).await?;
    scene.start_traffic(scale.load()).await?;
    let services = scene.stand.services.as_ref().context("a shape without Redis")?;
    let without = Duration::from_secs(scale.pick(4, 10));
    let mut outages = Vec::new();
    for _ in 0..scale.pick(1, 3) {
        for how in ["KILL", "STOP"] {
            sleep(Duration::from_secs(3)).await;
            let begun = Instant::now();
            services.signal(Service::Redis, how).await?;
            sleep(without).await;
            outages.push((begun, Instant::now()));
            match how {
                "KILL" => services.revive(Service::Redis).await?,
                _ => services.signal(Service::Redis, "CONT").await?,
            }
            scene.history.disturbed_since(begun);
        }
        sleep(Duration::from_secs(3)).await;
        let begun = Instant::now();
        services.flush_redis().await?;
        scene.history.disturbed_since(begun);
    }
    sleep(Duration::from_secs(2)).await;
    let records = scene.history.records();
    // No process died: nothing has a reason to be repeated.
    let mut report = scene.end(Permitted::default()).await?;
    let mut least = usize::MAX;
    for (begun, over) in outages {
        let during = |record: &&super::history::Record| record.sent >= begun && record.ended <= over;
        let done = records.iter().filter(during).filter(|record| record.outcome == Outcome::Acknowledged).count();
        least = least.min(done);
    }
    if least == 0 {
        report.findings.wrong.push("nothing was done while Redis was away".to_owned());
    }
    report.notes.push(format!("at least {least} changes were acknowledged in each outage of {without:?}"));
    Ok(report)
}
