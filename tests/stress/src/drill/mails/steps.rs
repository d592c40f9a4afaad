//! kill -9 of whoever sends while a mail is at a certain step of its conversation. Each step has a project and a mail server
//! of its own, so that one kill meets a mail at every step, and the minute that an interrupted try is left alone passes for
//! all of them at once.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::{Tenant, add, settle};
use crate::{
    drill::{
        Scale,
        check::Findings,
        scene::{MAILS_WITHIN, Report, conclude},
    },
    stand::{Course, Plan, Postern, Shape, Stand, Step},
};

/// Sign-ups of each project in a round. One of their mails is held; the others wait for the server meanwhile.
const SIGN_UPS: u32 = 2;
/// How long it may take until a mail is held at every step: one that is held for too long gives up and comes back later.
const HELD_WITHIN: Duration = Duration::from_secs(150);
const PATIENCE: Duration = Duration::from_secs(150);

pub(in crate::drill) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    let mut stand = Stand::start(&Plan::new(shape)).await?;
    let ended = drill(scale, &mut stand).await;
    conclude(stand, ended).await
}

/// One step, and what the kills at it came to.
struct Watched {
    step: Step,
    tenant: Tenant,
    /// What the server had taken when the sender was killed.
    taken: BTreeSet<String>,
    /// The longest time from a kill until every mail had come to its end.
    recovered: Duration,
}

impl Watched {
    /// Where the mail is held until all are. The answer is given at the last moment.
    fn held_at(&self) -> Step {
        self.step.min(Step::Received)
    }

    /// How often a conversation has gone beyond the step.
    fn beyond(&self) -> usize {
        Step::ALL.into_iter().filter(|step| *step > self.step).map(|step| self.tenant.server.reached(step)).sum()
    }
}

async fn drill(scale: Scale, stand: &mut Stand) -> Result<Report> {
    let mut all = Vec::new();
    for step in Step::ALL {
        let tenant = Tenant::start(stand, step.as_str()).await?;
        all.push(Watched { step, tenant, taken: BTreeSet::new(), recovered: Duration::ZERO });
    }
    let rounds = scale.pick(1, 5);
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        slowest = slowest.max(round(stand, &mut all).await?);
    }
    let (mut findings, mut notes) = (Findings::default(), Vec::new());
    for watched in &all {
        let tally = watched.tenant.tally(&watched.taken).await?;
        notes.push(format!(
            "{}: tried {}, lost {}, stuck {}, doubled {}, of these told {}; interrupted {}, recovered {:.1} s after the kill",
            watched.step.as_str(),
            tally.tried,
            tally.lost.len(),
            tally.stuck.len(),
            tally.doubled,
            tally.told,
            tally.interrupted,
            watched.recovered.as_secs_f64()
        ));
        if watched.recovered > MAILS_WITHIN {
            findings.wrong.push(format!(
                "{}: mails were done {:.1?} after a kill, not within {MAILS_WITHIN:?}",
                watched.step.as_str(),
                watched.recovered
            ));
        }
        // After the answer, its sender may have written it down before it died.
        if tally.interrupted < rounds && watched.step != Step::Answered {
            findings.wrong.push(format!(
                "{}: {} mails tell of an interrupted try after {rounds} kills",
                watched.step.as_str(),
                tally.interrupted
            ));
        }
        add(&mut findings, watched.step.as_str(), tally);
    }
    Ok(Report { findings, answers_again: None, done_again: [Duration::ZERO, slowest], notes })
}

/// One kill. Answers how long after the restart the last mail was done.
async fn round(stand: &mut Stand, all: &mut [Watched]) -> Result<Duration> {
    let before: Vec<_> = all.iter().map(|watched| (watched.tenant.server.count(), watched.beyond())).collect();
    for watched in all.iter() {
        watched.tenant.server.follow(Course::HoldAt(watched.held_at()));
    }
    join_all(all.iter().map(|watched| watched.tenant.sign_ups(SIGN_UPS, Duration::ZERO))).await;
    all_held(all).await?;
    for watched in all.iter().filter(|watched| watched.step == Step::Answered) {
        watched.tenant.server.follow(Course::Answer);
        watched.tenant.server.holds(Step::Answered).await;
    }
    // All at the same moment.
    for process in senders(stand) {
        process.signal(Signal::KILL)?;
    }
    let killed = Instant::now();
    for process in senders(stand) {
        process.kill().await?;
    }
    for (watched, (count, beyond)) in all.iter_mut().zip(before) {
        ensure!(watched.beyond() == beyond, "a mail went beyond {} before the kill", watched.step.as_str());
        if watched.step >= Step::Received {
            // More than one, if what was held was given up by its sender, and tried again.
            let taken = watched.tenant.server.delivered().split_off(count);
            ensure!(!taken.is_empty(), "nothing was taken before the kill");
            watched.taken.extend(taken.into_iter().map(|mail| mail.message_id));
        }
        watched.tenant.server.follow(Course::Open);
    }
    for process in senders(stand) {
        process.spawn()?;
    }
    for process in senders(stand) {
        process.wait_ready().await?;
    }
    let back = Instant::now();
    let tenants: Vec<_> = all.iter().map(|watched| &watched.tenant).collect();
    let done = settle(&tenants, PATIENCE).await?;
    let done: Vec<_> = done.into_iter().map(|done| done.unwrap_or_else(Instant::now)).collect();
    for (watched, done) in all.iter_mut().zip(&done) {
        watched.recovered = watched.recovered.max(done.duration_since(killed));
    }
    let last = done.into_iter().max().context("no steps")?;
    Ok(last.duration_since(back))
}

/// Who runs the jobs.
fn senders(stand: &mut Stand) -> impl Iterator<Item = &mut Postern> {
    let processes = match stand.shape {
        Shape::Embedded => &mut stand.gateways,
        Shape::Clustered | Shape::Pooled => &mut stand.workers,
    };
    processes.iter_mut()
}

/// Waits until a mail of every project is held at its step, all at the same time.
async fn all_held(all: &[Watched]) -> Result<()> {
    let deadline = Instant::now() + HELD_WITHIN;
    let is_held = |watched: &Watched| watched.tenant.server.held() == Some(watched.held_at());
    while !all.iter().all(is_held) {
        let missing = all.iter().filter(|watched| !is_held(watched)).map(|watched| watched.step.as_str());
        ensure!(Instant::now() < deadline, "no mail is held at: {}", missing.collect::<Vec<_>>().join(", "));
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
