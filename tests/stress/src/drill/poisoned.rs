//! Thousands of jobs with poisoned ones among them: a receiver that never answers, one that always fails, mails that no
//! server takes. The others are done meanwhile; the poisoned ones are tried again and in the end given up, to be looked at.
//!
//! Giving up a webhook takes more than a day. In the embedded shape the clock is put forward (libfaketime) until it has
//! passed; on PostgreSQL, whose clock is the one that counts, only the first tries are seen.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Scale,
    check::{POISON, Permitted},
    clock,
    history::{Deed, Record, judge},
    readback,
    scene::{HOOK_PATH, Report, Scene, register},
};
use crate::stand::{Manner, Plan, Shape};

const HANGING: &str = "/hanging";
const FAILING: &str = "/failing";
/// Whom no server takes mails for, and whom none takes them for at present.
const REFUSED: &str = "poison-1@drill.example";
const PUT_OFF: &str = "poison-2@drill.example";
/// How long a receiver may take to answer, and some more.
const TIMEOUT: Duration = Duration::from_secs(35);
/// How long the first retry of a webhook takes at most, and some more.
const FIRST_RETRY: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(120);
/// Tries of a webhook, and of a mail, before it is given up.
const WEBHOOK_TRIES: usize = 8;
/// By so much the clock is put forward until nothing waits any more: the longest wait of a webhook, with its jitter.
const LEAP_SECONDS: u64 = 12 * 3600 + 60;
/// Changes asked for at once.
const AT_ONCE: usize = 8;

const REVOKE: &str = "mutation($input: RevokeAllSessionsInput!) { revokeAllSessions(input: $input) { count } }";
const POISONED: &str = r#"query { webhookMessages(first: 5, filter: {eventTypes: ["session.revoked"]}) { nodes {
    deliveries(first: 5) { nodes { state attemptCount nextAttemptAt endpoint { url } } }
    attempts(first: 20) { nodes { url succeeded responseStatus error } } } } }"#;

pub(super) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    let (endpoints, changes) = scale.pick((20, 50), (98, 103));
    let mut scene = Scene::start(Plan::new(shape)).await?;
    let clock = scene.stand.dir().join("clock");
    if shape == Shape::Embedded {
        clock::set(&clock, "+0")?;
        for process in scene.stand.processes() {
            process.stop().await?;
            clock::fake_clock(process, &clock)?;
            process.start().await?;
        }
    }
    poison(&scene, shape).await?;
    // The endpoint of the scene is one of them.
    let paths: Vec<_> = (1..endpoints).map(|number| format!("/hook-{number}")).collect();
    for path in &paths {
        register(&scene.stand, &scene.receiver.url(path), None).await?;
    }
    let begun = Instant::now();
    rename(&scene, changes).await?;
    let paths: BTreeSet<_> = paths.into_iter().chain([HOOK_PATH.to_owned()]).collect();
    let took = all_arrive(&scene, &paths, changes).await.map(|over| over.duration_since(begun));
    let told = match shape {
        Shape::Embedded => given_up(&scene, &clock).await,
        Shape::Clustered | Shape::Pooled => tried_again(&scene).await,
    };
    let mut report = scene.end(Permitted { poison: true, ..Permitted::default() }).await?;
    match took {
        Ok(took) => {
            let jobs = endpoints * changes;
            report
                .notes
                .push(format!("{jobs} deliveries were done {:.1} s after the first change", took.as_secs_f64()));
        }
        Err(error) => report.findings.wrong.push(format!("{error:#}")),
    }
    match told {
        Ok(told) => report.notes.push(told),
        Err(error) => report.findings.wrong.push(format!("{error:#}")),
    }
    Ok(report)
}

/// Two endpoints that fail, the one event that they get, and the mails that fail.
async fn poison(scene: &Scene, shape: Shape) -> Result<()> {
    scene.receiver.behave(HANGING, Manner::Hang);
    scene.receiver.behave(FAILING, Manner::Status(500));
    for path in [HANGING, FAILING] {
        register(&scene.stand, &scene.receiver.url(path), Some(&["session.revoked"])).await?;
    }
    scene.mails.refuse(REFUSED, "550 5.1.1 nobody of that name");
    scene.mails.refuse(PUT_OFF, "451 4.3.0 not now");
    let user_id = sign_up(scene, REFUSED).await?;
    if shape == Shape::Embedded {
        sign_up(scene, PUT_OFF).await?;
    }
    let revoked = scene.stand.client().server().graphql(REVOKE, json!({"input": {"userId": user_id}})).await?.data()?;
    ensure!(revoked.pointer("/revokeAllSessions/count") == Some(&json!(1)), "{revoked}");
    Ok(())
}

async fn sign_up(scene: &Scene, email: &str) -> Result<String> {
    let callback = "http://localhost:9/verified";
    let body = json!({"email": email, "password": "correct horse", "verification_callback_url": callback});
    noted(scene, Deed::SignUp, email, None, scene.stand.client().client().post("/auth/password/sign-up", &body)).await
}

/// As many changes of a user.
async fn rename(scene: &Scene, changes: usize) -> Result<()> {
    let client = scene.stand.client().server();
    let name = scene.history.marker("created");
    let body = json!({"display_name": name});
    let user_id = noted(scene, Deed::CreateUser, &name, None, client.post("/users", &body)).await?;
    let path = format!("/users/{user_id}");
    // The making of the user was the first one.
    let changes = stream::iter(1..changes).map(async |_| {
        let name = scene.history.marker("renamed");
        let body = json!({"display_name": name});
        noted(scene, Deed::UpdateUser, &name, Some(&user_id), client.patch(&path, &body)).await
    });
    let changed: Vec<_> = changes.buffer_unordered(AT_ONCE).collect().await;
    changed.into_iter().collect::<Result<Vec<_>>>().map(drop)
}

/// Asks, and notes what came of it. Answers the id of what it was about.
async fn noted(
    scene: &Scene,
    deed: Deed,
    marker: &str,
    user_id: Option<&str>,
    reply: impl Future<Output = Result<crate::stand::Answer, crate::stand::Lost>>,
) -> Result<String> {
    let sent = Instant::now();
    let (outcome, body) = judge(reply.await);
    let (marker, user_id) = (marker.to_owned(), user_id.map(str::to_owned));
    let told = format!("{marker}: {outcome:?}");
    scene.history.add(Record { deed, marker, user_id, outcome, sent, ended: Instant::now() });
    let id = body.get("id").or_else(|| body.get("user_id")).and_then(Value::as_str);
    Ok(id.with_context(|| told)?.to_owned())
}

/// Waits until every endpoint has got every change; answers when the last one arrived.
async fn all_arrive(scene: &Scene, paths: &BTreeSet<String>, changes: usize) -> Result<Instant> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let received = scene.receiver.received();
        let hooks = received.iter().filter(|hook| paths.contains(&hook.path));
        let user_changes = hooks.filter(|hook| !hook.body.starts_with(br#"{"type":"session"#));
        let first: BTreeSet<_> = user_changes.clone().map(|hook| (hook.path.as_str(), hook.id.as_str())).collect();
        if first.len() >= paths.len() * changes {
            return Ok(user_changes.map(|hook| hook.at).max().unwrap_or_else(Instant::now));
        }
        ensure!(
            Instant::now() < deadline,
            "only {} of {} webhooks arrived beside the poisoned ones",
            first.len(),
            paths.len() * changes
        );
        sleep(Duration::from_millis(100)).await;
    }
}

/// The deliveries of the poisoned event, by the end of the endpoint's URL, and its attempts.
async fn poisoned(scene: &Scene) -> Result<(Vec<Value>, Vec<Value>)> {
    let client = scene.stand.client().admin();
    let data = readback::patiently(async || client.graphql(POISONED, json!({})).await?.data()).await?;
    let list = |path: &str| data.pointer(path).and_then(Value::as_array).cloned();
    let deliveries = list("/webhookMessages/nodes/0/deliveries/nodes").context("no poisoned message is listed")?;
    Ok((deliveries, list("/webhookMessages/nodes/0/attempts/nodes").unwrap_or_default()))
}

/// Both were tried, and the one that fails at once was tried again.
async fn tried_again(scene: &Scene) -> Result<String> {
    let deadline = Instant::now() + TIMEOUT + FIRST_RETRY;
    loop {
        let (deliveries, attempts) = poisoned(scene).await?;
        let of = |path: &str| attempts.iter().filter(|attempt| ends_with(attempt.get("url"), path)).count();
        let waiting = deliveries.iter().filter(|delivery| delivery.get("nextAttemptAt").is_some_and(Value::is_string));
        if of(HANGING) >= 1 && of(FAILING) >= 2 && waiting.count() == 2 {
            return Ok("the poisoned webhooks were tried again, are listed, and wait for their next try".to_owned());
        }
        ensure!(Instant::now() < deadline, "the poisoned webhooks are not tried again: {deliveries:?} {attempts:?}");
        sleep(Duration::from_millis(500)).await;
    }
}

/// Puts the clock forward until both webhooks and the mail are given up after all their tries.
async fn given_up(scene: &Scene, clock: &Path) -> Result<String> {
    tried_again(scene).await?;
    // It has shown that it is waited for; from now on it saves the time.
    scene.receiver.behave(HANGING, Manner::Status(500));
    let mut offset = 0;
    for leap in 0..2 * WEBHOOK_TRIES {
        let (deliveries, attempts) = poisoned(scene).await?;
        let failed = deliveries.iter().filter(|delivery| delivery.get("state") == Some(&json!("FAILED"))).count();
        let mails = readback::outbox(&scene.stand.client(), "&simple_status=error").await?;
        if failed == 2 && mails.len() == 2 {
            ensure!(attempts.len() == 2 * WEBHOOK_TRIES, "{} attempts instead of 2 × {WEBHOOK_TRIES}", attempts.len());
            return Ok(format!("given up and listed after {leap} leaps of the clock: 2 webhooks, 2 mails"));
        }
        offset += LEAP_SECONDS;
        clock::set(clock, &format!("+{offset}s"))?;
        // What is due now is looked for twice a second.
        let seen = attempts.len();
        let deadline = Instant::now() + FIRST_RETRY;
        while poisoned(scene).await?.1.len() < seen + 2 - failed && Instant::now() < deadline {
            sleep(Duration::from_millis(200)).await;
        }
        sleep(Duration::from_secs(1)).await;
    }
    let (deliveries, attempts) = poisoned(scene).await?;
    let mails = readback::outbox(&scene.stand.client(), "").await?;
    let mails: Vec<_> = mails.into_iter().filter(|mail| mail.to.starts_with(POISON)).collect();
    anyhow::bail!("not given up: {deliveries:?} after {} attempts, {mails:?}", attempts.len())
}

fn ends_with(url: Option<&Value>, path: &str) -> bool {
    url.and_then(Value::as_str).is_some_and(|url| url.ends_with(path))
}
