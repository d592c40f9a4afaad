//! A project's mail server refuses connections for a while, and then takes them and says nothing; that of another one turns
//! silent while it works. Sign-ups go on, the mails of a third project go out without delay, and when the servers are back
//! every mail arrives once.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use tokio::time::Instant;

use super::{Tenant, add, check::Asked, settle};
use crate::{
    drill::{
        Scale,
        check::Findings,
        figures::Figures,
        history::Outcome,
        readback,
        scene::{Report, conclude},
    },
    stand::{Course, Plan, Shape, Stand},
};

/// Sign-ups at the server that was working: more than a worker sends at once, so that they would take all of its slots if
/// they were let.
const STALLED: u32 = 48;
const STALLED_EVERY: Duration = Duration::from_millis(150);
const EVERY: Duration = Duration::from_millis(500);
/// Whoever waited for the server that says nothing would wait for 10 s at least. At small scale other drills run beside this
/// one, and hashing passwords alone takes seconds then.
const ANSWERED_WITHIN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(8));
/// A mail of the healthy project takes a small part of that.
const HEALTHY_WITHIN: Duration = Duration::from_secs(3);
/// A mail that only waited for its turn, once the server is back.
const TURNS_WITHIN: Duration = Duration::from_secs(60);
/// The longest wait of a retry, and then those that wait for each other.
const PATIENCE: Duration = Duration::from_secs(600);

pub(in crate::drill) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    // One worker, so that it is filled.
    let stand = Stand::start(&Plan { workers: 1, ..Plan::new(shape) }).await?;
    let ended = drill(scale, &stand).await;
    conclude(stand, ended).await
}

async fn drill(scale: Scale, stand: &Stand) -> Result<Report> {
    let down = Tenant::start(stand, "down").await?;
    let mute = Tenant::start(stand, "mute").await?;
    let healthy = Tenant::start(stand, "healthy").await?;
    let calm = scale.pick(10, 40);
    tokio::join!(mute.sign_ups(2, EVERY), healthy.sign_ups(calm, EVERY));

    down.server.follow(Course::Closed);
    let refusing = scale.pick(10, 40);
    tokio::join!(down.sign_ups(refusing, EVERY), healthy.sign_ups(refusing, EVERY));

    for tenant in [&down, &mute] {
        tenant.server.follow(Course::Silent);
    }
    let silent = scale.pick(24, 120);
    let others = futures::future::join(down.sign_ups(silent / 2, EVERY * 2), mute.sign_ups(STALLED, STALLED_EVERY));
    tokio::join!(others, healthy.sign_ups(silent, EVERY));

    let back = Instant::now();
    for tenant in [&down, &mute] {
        tenant.server.follow(Course::Open);
    }
    let done = settle(&[&down, &mute, &healthy], PATIENCE).await?;
    let last = done.into_iter().map(|done| done.unwrap_or_else(Instant::now)).max().unwrap_or(back);

    let (mut findings, mut notes) = (Findings::default(), Vec::new());
    for tenant in [&down, &mute] {
        let answered_within = scale.pick(ANSWERED_WITHIN.0, ANSWERED_WITHIN.1);
        notes.extend(came_back(&mut findings, tenant, back, answered_within).await?);
    }
    add(&mut findings, healthy.name, healthy.tally(&BTreeSet::new()).await?);
    all_acknowledged(&mut findings, &healthy);
    // In the order in which they were asked for.
    let (mut asked, mut rest) = (healthy.asked(), Vec::new());
    asked.sort_by_key(|asked| asked.sent);
    for (when, count) in
        [("before", calm), ("while a server refuses", refusing), ("while two servers say nothing", silent)]
    {
        rest.clone_from(&asked);
        let later = rest.split_off(usize::try_from(count)?.min(rest.len()));
        let times = Figures::of(arrivals(&healthy, &rest))?;
        notes.push(format!("healthy, {when}: {count} mails arrived in {times} after the sign-up was answered"));
        if times.p99 > HEALTHY_WITHIN {
            findings.wrong.push(format!("healthy, {when}: mails arrived in {times}, not within {HEALTHY_WITHIN:?}"));
        }
        asked = later;
    }
    Ok(Report { findings, answers_again: None, done_again: [Duration::ZERO, last.duration_since(back)], notes })
}

/// Judges a project whose server was away until `back`; answers what is worth telling.
async fn came_back(
    findings: &mut Findings,
    tenant: &Tenant,
    back: Instant,
    answered_within: Duration,
) -> Result<[String; 2]> {
    let name = tenant.name;
    let outbox = readback::outbox(&tenant.client, "").await?;
    let tries: usize = outbox.iter().map(|row| row.errors.len()).sum();
    if tries == 0 {
        findings.wrong.push(format!("{name}: no mail met the server while it was down"));
    }
    // Those that were tried have a time of their own for the next try.
    let untried: BTreeSet<_> = outbox.iter().filter(|row| row.errors.is_empty()).map(|row| row.to.as_str()).collect();
    let delivered = tenant.server.delivered();
    let arrived = delivered.iter().filter(|mail| mail.to.iter().any(|address| untried.contains(address.as_str())));
    let turns = arrived.map(|mail| mail.at.saturating_duration_since(back)).max().unwrap_or_default();
    if turns > TURNS_WITHIN {
        findings.wrong.push(format!("{name}: mails waited {turns:.1?} for their turn after the server was back"));
    }
    let last = delivered.last().map(|mail| mail.at.saturating_duration_since(back)).unwrap_or_default();
    let answers = Figures::of(tenant.asked().iter().map(|asked| asked.answered - asked.sent).collect())?;
    if answers.p99 > answered_within {
        findings.wrong.push(format!("{name}: sign-ups were answered in {answers}, not within {answered_within:?}"));
    }
    all_acknowledged(findings, tenant);
    let tally = tenant.tally(&BTreeSet::new()).await?;
    let told = format!(
        "{name}: tried {}, lost {}, stuck {}, doubled {}; {tries} failed tries are listed; once the server was back, mails that \
         had only waited for their turn arrived within {:.1} s, all within {:.1} s",
        tally.tried,
        tally.lost.len(),
        tally.stuck.len(),
        tally.doubled,
        turns.as_secs_f64(),
        last.as_secs_f64()
    );
    add(findings, name, tally);
    Ok([told, format!("{name}: sign-ups were answered in {answers}")])
}

fn all_acknowledged(findings: &mut Findings, tenant: &Tenant) {
    let asked = tenant.asked();
    let unanswered = asked.iter().filter(|asked| asked.outcome != Outcome::Acknowledged);
    findings.wrong.extend(unanswered.map(|asked| format!("the sign-up of {} was not acknowledged", asked.address)));
}

/// How long after the answer each of them arrived. Those that did not are lost, which is told elsewhere.
fn arrivals(tenant: &Tenant, asked: &[Asked]) -> Vec<Duration> {
    let delivered = tenant.server.delivered();
    let arrival = |asked: &Asked| delivered.iter().find(|mail| mail.to.contains(&asked.address)).map(|mail| mail.at);
    asked.iter().filter_map(|asked| Some(arrival(asked)?.saturating_duration_since(asked.answered))).collect()
}
