//! Where a drill plays: an installation with a webhook receiver, a mail server and a live follower beside it, writers, and
//! the end of it: waiting until everything is done, and judging.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    check::{self, Findings, Permitted},
    follower::Follower,
    history::{Deed, History, Outcome, Record, answers_again, answers_too_late},
    readback::{self, Observed, is_delivered},
    traffic::{Load, Traffic},
    waits::Waits,
};
use crate::stand::{MailListener, Plan, Receiver, Shape, Stand};

/// Within which time everything that a dead worker had begun must be done by another one (design §4).
pub(super) const DONE_WITHIN: Duration = Duration::from_secs(60);
/// A mail whose try was cut off is tried again when the try is a minute old, because the server may have taken it.
pub(super) const MAILS_WITHIN: Duration = Duration::from_secs(70);
/// How soon the doors must answer once what was broken stands again, or a process is dead that is started again at once.
/// Whoever is stuck lets go within ten seconds: that is the longest wait for a connection, and for an operation (design §3).
/// As much again is for starts and passwords in a build for debugging, beside others.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// For so long PgBouncer leaves a server alone that it could not reach (its `server_login_retry`).
const POOLER_RETRIES_AFTER: Duration = Duration::from_secs(15);
/// How long the end is waited for before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the follower may take to see the last event.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(15);
/// Where the endpoint of every drill is.
pub(super) const HOOK_PATH: &str = "/hook";
/// Where the one is that wants order.
pub(super) const ORDERED_PATH: &str = "/ordered";

/// An installation under observation.
pub(super) struct Scene {
    pub(super) stand: Stand,
    pub(super) receiver: Receiver,
    pub(super) mails: MailListener,
    pub(super) history: Arc<History>,
    /// That signs what the receiver gets.
    pub(super) secret: String,
    /// Whether there is an endpoint at [`ORDERED_PATH`].
    pub(super) has_ordered: bool,
    follower: Follower,
    traffic: Option<Traffic>,
}

/// How a drill ended.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) findings: Findings,
    /// The longest time from the end of a disturbance until a request was acknowledged.
    pub(super) answers_again: Option<Duration>,
    /// How long after the last disturbance all webhooks, and all mails, were done.
    pub(super) done_again: [Duration; 2],
    /// What else is worth telling, such as figures of its own.
    pub(super) notes: Vec<String>,
}

impl Scene {
    /// Starts everything.
    pub(super) async fn start(plan: Plan) -> Result<Self> {
        Self::around(Stand::start(&plan).await?).await
    }

    /// Starts everything else around an installation that runs.
    pub(super) async fn around(stand: Stand) -> Result<Self> {
        let (receiver, mails) = (Receiver::start().await?, MailListener::start().await?);
        let client = stand.client();
        stand.use_mail_server(&stand.project, &mails).await?;
        let secret = register(&stand, &receiver.url(HOOK_PATH), None).await?;
        let follower = Follower::start(&client).await?;
        let history = Arc::default();
        Ok(Self { stand, receiver, mails, history, secret, has_ordered: false, follower, traffic: None })
    }

    /// Registers an endpoint that wants everything in order, before there is anything to tell.
    pub(super) async fn add_ordered(&mut self) -> Result<()> {
        let endpoint = json!({"url": self.receiver.url(ORDERED_PATH), "inOrder": true});
        make_endpoint(&self.stand, endpoint).await?;
        self.has_ordered = true;
        Ok(())
    }

    /// How the drill's shape is run.
    pub(super) fn shape(&self) -> Shape {
        self.stand.shape
    }

    /// Starts the writers.
    pub(super) async fn start_traffic(&mut self, load: Load) -> Result<()> {
        self.traffic = Some(Traffic::start(&self.stand.client(), &self.history, load).await?);
        Ok(())
    }

    /// Waits until something was acknowledged after the last disturbance, but no longer than that may take: whether it was is
    /// judged at the end.
    pub(super) async fn until_answered(&self) {
        let Some(last) = self.history.disturbances().pop() else { return };
        let deadline = Instant::now() + self.answers_within();
        while answers_again(&self.history.records(), &[last]).is_none() && Instant::now() < deadline {
            sleep(LOOK_EVERY).await;
        }
    }

    fn answers_within(&self) -> Duration {
        match self.shape() {
            Shape::Embedded | Shape::Clustered => ANSWERS_WITHIN,
            Shape::Pooled => ANSWERS_WITHIN + POOLER_RETRIES_AFTER,
        }
    }

    /// Stops the writers, waits until everything that follows is done, reads all of it back and judges.
    pub(super) async fn end(mut self, permitted: Permitted) -> Result<Report> {
        let ended = self.finish(permitted).await;
        let is_good = ended.as_ref().is_ok_and(|report| report.findings.is_good());
        if is_good {
            self.stand.stop().await?;
            return ended;
        }
        let kept = format!("logs and data are in {}", self.stand.keep().display());
        match ended {
            Ok(mut report) => {
                report.notes.push(kept);
                Ok(report)
            }
            Err(error) => Err(error.context(kept)),
        }
    }

    async fn finish(&mut self, permitted: Permitted) -> Result<Report> {
        let mut wrong = Vec::new();
        if let Some(traffic) = self.traffic.take()
            && let Err(error) = traffic.stop().await
        {
            wrong.push(format!("{error:#}"));
        }
        let disturbances = self.history.disturbances();
        let records = self.history.records();
        let ends = disturbances.iter().map(|disturbance| disturbance.over);
        // Nobody can be done before the last change was asked for.
        let since = ends.chain(records.iter().map(|record| record.ended)).max().unwrap_or_else(Instant::now);
        let done_again = self.settle(since).await?;
        let mut observed = Observed::read(self).await?;
        let last = observed.events.last().map_or(0, |event| event.position);
        let client = self.stand.client();
        let follower = std::mem::replace(&mut self.follower, Follower::start(&client).await?);
        observed.followed = Some(follower.end(last, FOLLOWED_WITHIN).await);
        let mut findings = check::check(&records, disturbances.len(), &observed, permitted);
        wrong.extend(answers_too_late(&records, &disturbances, self.answers_within()));
        let mails_within = MAILS_WITHIN * if permitted.wrong_clocks { 2 } else { 1 };
        let [webhooks_done, mails_done] = done_again;
        let webhooks = Waits::of_webhooks(&records, &observed, &disturbances);
        let mails = Waits::of_mails(&records, &observed, &disturbances);
        wrong.extend(too_slow("webhooks", webhooks_done, &webhooks, DONE_WITHIN));
        wrong.extend(too_slow("mails", mails_done, &mails, mails_within));
        let mut notes = Vec::new();
        if !disturbances.is_empty() {
            notes.extend(webhooks.note("webhooks").into_iter().chain(mails.note("mails")));
        }
        for process in self.stand.processes() {
            if let Some(status) = process.ended()? {
                wrong.push(format!("{} ended by itself with {status}", process.name));
            }
        }
        findings.wrong.extend(wrong);
        Ok(Report { findings, answers_again: answers_again(&records, &disturbances), done_again, notes })
    }

    /// Waits until nothing is left to do, but no longer than patience lasts; what is missing then is found by the check.
    /// Answers how long after `since` the webhooks and the mails were done.
    async fn settle(&self, since: Instant) -> Result<[Duration; 2]> {
        let deadline = Instant::now() + PATIENCE;
        let mut done: [Option<Duration>; 2] = [None; 2];
        while done.iter().any(Option::is_none) && Instant::now() < deadline {
            if done[0].is_none() && self.webhooks_are_done().await? {
                done[0] = Some(since.elapsed());
            }
            if done[1].is_none() && self.mails_are_done().await? {
                done[1] = Some(since.elapsed());
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(done.map(|done| done.unwrap_or_else(|| since.elapsed())))
    }

    /// Whether every event was delivered, and the deliveries are written down as done.
    async fn webhooks_are_done(&self) -> Result<bool> {
        let client = self.stand.client();
        // Cheap first: as many messages as events must have arrived.
        let events = readback::events(&client).await?;
        let events = events.iter().filter(|event| is_delivered(&event.kind)).count();
        // The log shows an event only once it has its position; until all do, what has arrived is not everything.
        let is_change = |record: &Record| record.deed != Deed::SendMail && record.outcome == Outcome::Acknowledged;
        if events < self.history.records().iter().filter(|record| is_change(record)).count() {
            return Ok(false);
        }
        let hooks = self.receiver.received().into_iter().filter(|hook| hook.path == HOOK_PATH);
        let arrived: BTreeSet<_> = hooks.map(|hook| hook.id).collect();
        if arrived.len() < events {
            return Ok(false);
        }
        let mut messages = readback::messages(&client).await?;
        messages.retain(|message| is_delivered(&message.kind));
        let is_done = |state: &String| state != "SENDING";
        Ok(messages.len() >= events && messages.iter().all(|message| message.states.iter().all(is_done)))
    }

    async fn mails_are_done(&self) -> Result<bool> {
        Ok(readback::outbox(&self.stand.client(), "&simple_status=in-progress").await?.is_empty())
    }
}

/// What is wrong with how long it took until all effects of a sort were done, and each of them had arrived.
fn too_slow(what: &str, took: Duration, waits: &Waits, within: Duration) -> impl Iterator<Item = String> {
    let all = (took > within)
        .then(|| format!("{what} were done {took:.1?} after the last disturbance, not within {within:?}"));
    all.into_iter().chain(waits.too_long(what, within))
}

/// Ends a drill. What a failed one leaves is kept.
pub(super) async fn conclude(mut stand: Stand, ended: Result<Report>) -> Result<Report> {
    let mut ended = ended;
    if let Ok(report) = &mut ended {
        for process in stand.processes() {
            if let Some(status) = process.ended()? {
                report.findings.wrong.push(format!("{} ended by itself with {status}", process.name));
            }
        }
    }
    if ended.as_ref().is_ok_and(|report| report.findings.is_good()) {
        stand.stop().await?;
        return ended;
    }
    let kept = format!("logs and data are in {}", stand.keep().display());
    match ended {
        Ok(mut report) => {
            report.notes.push(kept);
            Ok(report)
        }
        Err(error) => Err(error.context(kept)),
    }
}

/// Registers an endpoint; answers its secret.
pub(super) async fn register(stand: &Stand, url: &str, types: Option<&[&str]>) -> Result<String> {
    make_endpoint(stand, json!({"url": url, "filterTypes": types})).await
}

async fn make_endpoint(stand: &Stand, endpoint: Value) -> Result<String> {
    let mutation = "mutation($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) { secret } }";
    let made = stand.client().admin().graphql(mutation, json!({"input": endpoint})).await?.data()?;
    let secret = made.pointer("/createWebhookEndpoint/secret").and_then(Value::as_str);
    Ok(secret.context("an endpoint without a secret")?.to_owned())
}
