//! How many webhooks a second healthy endpoints get, while none hangs and while one among them takes requests and never
//! answers. Both are measured in turns, so that whatever else the machine does meets both; their ratio counts.
//!
//! A drill and no figure of the bench, because it is a promise: no endpoint holds up another one.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::{
    Crowd, Endpoint, arrival,
    check::{self, Case},
    make_endpoints, settle,
};
use crate::{
    drill::{
        Scale,
        scene::{Report, conclude},
    },
    stand::{Client, Manner, Plan, Receiver, Shape, Stand},
};

const PEOPLE: usize = 8;
/// Changes of one measurement.
const CHANGES: usize = 60;
/// Changes asked for at once.
const AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(60);

pub(in crate::drill) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    // One worker, so that there is nobody else to go on.
    let stand = Stand::start(&Plan { workers: 1, ..Plan::new(shape) }).await?;
    let ended = drill(scale, &stand).await;
    conclude(stand, ended).await
}

/// What is measured.
struct Scenery<'a> {
    client: Client,
    crowd: Crowd,
    receiver: Receiver,
    healthy: &'a [Endpoint],
}

async fn drill(scale: Scale, stand: &Stand) -> Result<Report> {
    let (client, receiver) = (stand.client(), Receiver::start().await?);
    let crowd = Crowd::start(&client, PEOPLE).await?;
    let healthy = make_endpoints(&client, &receiver, "healthy", scale.pick(9, 99)).await?;
    let scenery = Scenery { client, crowd, receiver, healthy: &healthy };
    let rounds = scale.pick(5, 3);
    // The first changes warm up.
    scenery.rate().await?;
    let (mut ratios, mut rates) = (Vec::new(), BTreeMap::<_, Vec<f64>>::new());
    for round in 0..rounds {
        let without = scenery.rate().await?;
        let with = scenery.rate_beside(&format!("/hanging-{round}")).await?;
        ratios.push(with / without);
        rates.entry("none").or_default().push(without);
        rates.entry("one").or_default().push(with);
    }
    let changes = scenery.crowd.asked();
    let arrived: Vec<_> = scenery.receiver.received().iter().map(|hook| arrival(hook, &healthy)).collect();
    let mut findings = check::check(&Case {
        endpoints: &healthy,
        changes: &changes,
        log: &scenery.crowd.log().await?,
        arrived: &arrived,
        disturbances: &[],
    });
    ratios.sort_by(f64::total_cmp);
    let [low, median, high] = [0, rounds / 2, rounds - 1].map(|place| ratios.get(place).copied().unwrap_or_default());
    // At small scale others use the same cores, and each measurement takes a second or two.
    let least = scale.pick(0.5, 0.9);
    if median < least {
        findings
            .wrong
            .push(format!("one endpoint that hangs leaves the others {median:.2} of their rate, not {least}"));
    }
    let shown = |which: &str| {
        let of = rates.get(which).into_iter().flatten().map(|rate| format!("{rate:.0}"));
        of.collect::<Vec<_>>().join(", ")
    };
    let notes = vec![format!(
        "{} healthy endpoints, with one that hangs to without: {median:.2} ({low:.2}–{high:.2}) over {rounds} rounds; {} /s to {} /s",
        healthy.len(),
        shown("one"),
        shown("none"),
    )];
    Ok(Report { findings, answers_again: None, done_again: [Duration::ZERO; 2], notes })
}

impl Scenery<'_> {
    /// Deliveries a second to the healthy endpoints, from the first change to the last arrival.
    async fn rate(&self) -> Result<f64> {
        let begun = Instant::now();
        let made: Vec<_> =
            stream::iter(0..CHANGES).map(|_| self.crowd.change()).buffer_unordered(AT_ONCE).collect().await;
        made.into_iter().collect::<Result<Vec<_>>>()?;
        let last = settle(&self.receiver, self.healthy, self.crowd.asked().len(), PATIENCE).await;
        let last = last.with_context(|| format!("the healthy endpoints did not get everything within {PATIENCE:?}"))?;
        let took = last.duration_since(begun);
        Ok((CHANGES * self.healthy.len()) as f64 / took.as_secs_f64())
    }

    /// The same while one more endpoint hangs.
    async fn rate_beside(&self, path: &str) -> Result<f64> {
        self.receiver.behave(path, Manner::Hang);
        let hanging = Endpoint::make(&self.client, &self.receiver, path, false, None).await?;
        let rate = self.rate().await?;
        let met = self.receiver.received().iter().filter(|hook| hook.path == path).count();
        ensure!(met > 0, "nothing met the endpoint that hangs");
        hanging.delete(&self.client).await?;
        Ok(rate)
    }
}
