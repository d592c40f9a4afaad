//! A receiver refuses connections for a while and another one never answers, the database is restarted, and Redis is killed
//! and stays away, while changes go on. The healthy endpoints get every change without delay, and so does, in the end, the
//! one that was away: its owner sends it one message by hand, and the line behind follows.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    Crowd, Endpoint, arrival,
    check::{self, Case, Change, delays},
    make_endpoints, settle,
};
use crate::{
    drill::{
        Scale,
        check::Findings,
        figures::Figures,
        history::Disturbance,
        readback::patiently,
        scene::{Report, conclude},
    },
    stand::{Client, Manner, Plan, Receiver, Service, Shape, Stand},
};

const PEOPLE: usize = 8;
/// With the other two as many as a project may have.
const FULL_HEALTHY: usize = 98;
const HANGING: &str = "/hanging";
const AWAY: &str = "/away";
/// What waited for the receiver that was away, once it is back and the owner has sent one message by hand.
const BACK_WITHIN: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(120);
/// After the database is back, for so long it may be felt: whoever was cut off looks again after a lease has run out.
const FELT: Duration = Duration::from_secs(12);

const RESEND: &str =
    "mutation($input: ResendWebhookMessageInput!) { resendWebhookMessage(input: $input) { __typename } }";
const PAUSED: &str = "query($id: ID!) { webhookEndpoint(id: $id) { pausedUntil } }";

pub(in crate::drill) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    // Durable: a database that forgets its commits when it is killed would be no fault of Postern. One worker, so that
    // what hangs meets the same one as everything else.
    let plan = Plan { workers: 1, ..Plan::new(shape).durable() };
    let stand = Stand::start(&plan).await?;
    let ended = drill(scale, &stand).await;
    conclude(stand, ended).await
}

/// A stretch of the drill, from its beginning to that of the next one.
#[derive(Clone, Copy)]
struct Phase {
    name: &'static str,
    from: Instant,
    /// How long 99 of 100 deliveries to healthy endpoints may take.
    within: Duration,
}

/// What was done to the servers, and when.
struct Troubles {
    phases: Vec<Phase>,
    /// After which a message may arrive again.
    disturbances: Vec<Disturbance>,
    /// When the receiver that was away was sent a message by hand.
    resent: Disturbance,
}

async fn drill(scale: Scale, stand: &Stand) -> Result<Report> {
    let (client, receiver, mut away) = (stand.client(), Receiver::start().await?, Receiver::start().await?);
    let crowd = Crowd::start(&client, PEOPLE).await?;
    let healthy = make_endpoints(&client, &receiver, "healthy", scale.pick(5, FULL_HEALTHY)).await?;
    let gone = Endpoint::make(&client, &away, AWAY, false, None).await?;
    receiver.behave(HANGING, Manner::Hang);
    Endpoint::make(&client, &receiver, HANGING, false, None).await?;

    let is_over = AtomicBool::new(false);
    let troubles = async {
        let troubles = make_trouble(scale, stand, &crowd, &receiver, &mut away, &gone).await;
        is_over.store(true, Ordering::SeqCst);
        troubles
    };
    let every = Duration::from_millis(scale.pick(200, 500));
    let (made, troubles) = tokio::join!(crowd.changes_until(&is_over, every), troubles);
    let ((), troubles) = (made?, troubles?);

    let changes = crowd.asked();
    let since = changes.iter().map(|change| change.answered).max().context("no changes")?;
    let done = settle(&receiver, &healthy, changes.len(), PATIENCE).await.unwrap_or_else(Instant::now);
    let back = settle(&away, std::slice::from_ref(&gone), changes.len(), PATIENCE).await.unwrap_or_else(Instant::now);
    // An event has its place a moment after its answer.
    let log = crowd.log().await?;
    let arrived: Vec<_> = receiver.received().iter().map(|hook| arrival(hook, &healthy)).collect();
    let case = Case {
        endpoints: &healthy,
        changes: &changes,
        log: &log,
        arrived: &arrived,
        disturbances: &troubles.disturbances,
    };
    let mut findings = check::check(&case);
    let arrived_late: Vec<_> = away.received().iter().map(|hook| arrival(hook, std::slice::from_ref(&gone))).collect();
    let disturbances: Vec<_> = troubles.disturbances.iter().copied().chain([troubles.resent]).collect();
    let late = check::check(&Case {
        endpoints: std::slice::from_ref(&gone),
        arrived: &arrived_late,
        disturbances: &disturbances,
        ..case
    });
    let mut notes = Vec::new();
    for (index, phase) in troubles.phases.iter().enumerate() {
        let until = troubles.phases.get(index + 1).map(|next| next.from);
        notes.push(of_phase(
            &mut findings,
            phase,
            until,
            &changes,
            &delays(of(&changes, phase, until), &healthy, &arrived),
        )?);
    }
    let took = back.saturating_duration_since(troubles.resent.over);
    let hung = arrived.iter().filter(|arrival| arrival.path == HANGING).count();
    notes.push(format!(
        "the one that was away: tried {}, lost {}; what had waited arrived within {:.1} s after one message was sent by hand; \
         the one that hangs was tried {hung} times",
        late.tried,
        late.lost.len(),
        took.as_secs_f64()
    ));
    if took > BACK_WITHIN {
        findings
            .wrong
            .push(format!("what waited arrived {took:.1?} after its receiver was back, not within {BACK_WITHIN:?}"));
    }
    if hung == 0 {
        findings.wrong.push("nothing met the endpoint that hangs".to_owned());
    }
    join(&mut findings, late);
    let done_again = [done.saturating_duration_since(since), Duration::ZERO];
    Ok(Report { findings, answers_again: None, done_again, notes })
}

/// Lets things happen one after the other; changes are made meanwhile.
async fn make_trouble(
    scale: Scale,
    stand: &Stand,
    crowd: &Crowd,
    receiver: &Receiver,
    away: &mut Receiver,
    gone: &Endpoint,
) -> Result<Troubles> {
    // At small scale other drills use the same cores.
    let within = Duration::from_secs(scale.pick(10, 3));
    let (mut phases, mut disturbances) = (Vec::new(), Vec::new());
    let mut begin = |name, within| phases.push(Phase { name, from: Instant::now(), within });
    begin("with one that hangs", within);
    sleep(Duration::from_secs(scale.pick(4, 20))).await;

    begin("and one away", within);
    away.close().await;
    let closed = Instant::now();
    sleep(Duration::from_secs(scale.pick(4, 20))).await;
    if let Some(services) = &stand.services {
        begin("while the database is restarted", FELT + within);
        let begun = Instant::now();
        services.cut_connections().await?;
        services.signal(Service::Postgres, "KILL").await?;
        sleep(Duration::from_secs(scale.pick(1, 3))).await;
        services.revive(Service::Postgres).await?;
        disturbances.push(Disturbance { begun, over: Instant::now() + FELT });
        sleep(FELT).await;

        begin("without Redis", within);
        services.signal(Service::Redis, "KILL").await?;
        sleep(Duration::from_secs(scale.pick(5, 60))).await;
        services.revive(Service::Redis).await?;
        begin("with Redis again", within);
        sleep(Duration::from_secs(scale.pick(3, 20))).await;
    }
    sleep(Duration::from_secs(scale.pick(15, 180)).saturating_sub(closed.elapsed())).await;
    ensure!(is_paused(&crowd.client, gone).await?, "an endpoint that refuses connections is still tried");

    begin("when it is back", within);
    away.open().await?;
    let begun = Instant::now();
    let arrived: Vec<_> = away.received().into_iter().map(|hook| hook.id).collect();
    let waiting =
        receiver.received().into_iter().rev().find(|hook| hook.path != HANGING && !arrived.contains(&hook.id));
    resend(&crowd.client, &waiting.context("nothing waits")?.id, gone).await?;
    let resent = Disturbance { begun, over: Instant::now() };
    sleep(Duration::from_secs(scale.pick(3, 20))).await;
    Ok(Troubles { phases, disturbances, resent })
}

/// The changes that were answered in a phase.
fn of<'a>(changes: &'a [Change], phase: &Phase, until: Option<Instant>) -> impl Iterator<Item = &'a Change> {
    let from = phase.from;
    changes.iter().filter(move |change| change.answered >= from && until.is_none_or(|until| change.answered < until))
}

fn of_phase(
    findings: &mut Findings,
    phase: &Phase,
    until: Option<Instant>,
    changes: &[Change],
    times: &[Duration],
) -> Result<String> {
    let figures = Figures::of(times.to_vec()).with_context(|| phase.name)?;
    if figures.p99 > phase.within {
        let Phase { name, within, .. } = phase;
        findings.wrong.push(format!("healthy, {name}: webhooks arrived in {figures}, not within {within:?}"));
    }
    let count = of(changes, phase, until).count();
    Ok(format!(
        "healthy, {}: {count} changes, {} webhooks arrived in {figures} after the answer",
        phase.name,
        times.len()
    ))
}

/// Adds what another case came to, of the same changes.
fn join(findings: &mut Findings, other: Findings) {
    findings.tried += other.tried;
    findings.acknowledged += other.acknowledged;
    findings.unknown += other.unknown;
    findings.lost.extend(other.lost);
    findings.doubled.extend(other.doubled);
    findings.wrong.extend(other.wrong);
    findings.repeated_hooks += other.repeated_hooks;
}

/// Whether nothing is tried there at present.
async fn is_paused(client: &Client, endpoint: &Endpoint) -> Result<bool> {
    let data = patiently(async || client.admin().graphql(PAUSED, json!({"id": endpoint.id})).await?.data()).await?;
    Ok(data.pointer("/webhookEndpoint/pausedUntil").is_some_and(Value::is_string))
}

/// As its owner would by hand.
async fn resend(client: &Client, message_id: &str, endpoint: &Endpoint) -> Result<()> {
    let id = message_id.strip_prefix("msg_").context("not the id of a message")?;
    let input = json!({"input": {
        "messageId": Uuid::parse_str(id)?, "endpointId": endpoint.id, "idempotencyKey": format!("resend-{id}"),
    }});
    patiently(async || client.admin().graphql(RESEND, input.clone()).await?.data()).await.map(drop)
}
