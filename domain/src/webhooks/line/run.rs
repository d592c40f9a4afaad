//! One turn of a line: looks what is due, makes attempts side by side, writes what they came to, and ends after a while so
//! that other lines get their turn.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use postern_entity::{WebhookDeliveryId, webhook_attempt::AttemptTrigger, webhook_delivery, webhook_message};
use tokio::time::Instant;
use tracing::field;

use super::{
    Finished, Lines, end,
    pace::{Pace, Window},
};
use crate::{
    Error, Result,
    queue::{self, Ending, Lease, LeaseLost},
    trace::{self, Traced},
    webhooks::{
        breaker::Health,
        deliver::payload_of,
        jobs::DeliverLine,
        judge::{Outcome, judged, untried},
        post::{self, Parcel},
        share::Share,
        store,
        target::Target,
    },
};

/// How many deliveries are loaded at a time; their payloads only when they are tried.
const BATCH: u64 = 64;
/// How long a turn goes on beginning attempts.
const TURN: Duration = Duration::from_secs(2);
/// Attempts that are under way this long after that are slow ones, which others need not wait for: the turn is prolonged.
const SLOW: Duration = Duration::from_secs(1);
/// No turn begins attempts after this time: the job has a time limit.
const LONGEST: Duration = Duration::from_secs(2 * 60);
/// While attempts are under way, a line that was found empty is looked at after this time, then after twice as long each
/// time, up to a second.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const LOOK_SELDOM: Duration = Duration::from_secs(1);
/// How many rows one transaction drops.
const DROPPED: u64 = 100;
/// A rate that makes a turn wait longer than this ends it instead.
const SHORT_WAIT: Duration = Duration::from_millis(100);

/// What an attempt says about the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// A receiver is there. Whether the delivery is done with, for good or ill.
    Answered { done: bool },
    /// None was found. Whether the delivery is done with.
    Missed { done: bool },
    /// It wants nothing any more.
    Gone,
    /// There was nothing to try.
    Untried,
}

pub(super) struct Run<'a> {
    lines: &'a Lines,
    lease: &'a Lease,
    job: &'a DeliverLine,
    target: Option<Arc<Target>>,
    waiting: VecDeque<webhook_delivery::Model>,
    under_way: FuturesUnordered<BoxFuture<'a, Result<(WebhookDeliveryId, Verdict)>>>,
    taken: BTreeSet<WebhookDeliveryId>,
    window: Window,
    pace: Pace,
    misses: i32,
    /// No attempt begins any more.
    stopped: bool,
    began: Instant,
    turn_began: Instant,
    looked: Option<Instant>,
    look_again: Duration,
    failed: Option<Error>,
}

impl<'a> Run<'a> {
    pub(super) fn new(lines: &'a Lines, lease: &'a Lease, job: &'a DeliverLine) -> Self {
        let now = Instant::now();
        Self {
            lines,
            lease,
            job,
            target: None,
            waiting: VecDeque::new(),
            under_way: FuturesUnordered::new(),
            taken: BTreeSet::new(),
            window: Window::new(false, false),
            pace: Pace::new(None),
            misses: 0,
            stopped: false,
            began: now,
            turn_began: now,
            looked: None,
            look_again: Duration::ZERO,
            failed: None,
        }
    }

    pub(super) async fn go(mut self) -> Result<Ending> {
        let mut not_before = Duration::ZERO;
        loop {
            self.prolong();
            if self.waiting.is_empty() && self.may_begin() && self.is_to_look() {
                match self.look().await {
                    Ok(Some(ending)) => return Ok(ending),
                    Ok(None) => {}
                    Err(error) => self.fail(error),
                }
            }
            let wait = self.begin();
            if self.under_way.is_empty() {
                match wait {
                    Some(wait) if wait <= SHORT_WAIT => tokio::time::sleep(wait).await,
                    Some(wait) => {
                        not_before = wait;
                        break;
                    }
                    None => break,
                }
                continue;
            }
            tokio::select! {
                Some(ended) = self.under_way.next() => match ended {
                    Ok((id, verdict)) => self.note(id, verdict),
                    Err(error) => self.fail(error),
                },
                () = tokio::time::sleep(wait.unwrap_or(self.look_again).clamp(LOOK_AGAIN, LOOK_SELDOM)) => {}
            }
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        Ok(end::ending(self.lease, self.job.endpoint_id, not_before))
    }

    /// Ends the turn with this error, once what is under way has come to its end: it was sent.
    fn fail(&mut self, error: Error) {
        self.stopped = true;
        self.failed.get_or_insert(error);
    }

    fn in_order(&self) -> bool {
        self.target.as_ref().is_some_and(|target| target.row.fifo)
    }

    fn is_away(&self) -> bool {
        Health { misses: self.misses, ..Health::default() }.is_away()
    }

    fn may_begin(&self) -> bool {
        !self.stopped && self.turn_began.elapsed() < TURN && self.began.elapsed() < LONGEST
    }

    /// Slow attempts do not hold up the rest of the line.
    fn prolong(&mut self) {
        if !self.in_order() && !self.under_way.is_empty() && self.turn_began.elapsed() >= TURN + SLOW {
            self.turn_began = Instant::now();
            // Read anew, with the settings of the endpoint.
            self.waiting.clear();
        }
    }

    fn is_to_look(&self) -> bool {
        let nothing_else = !self.in_order() || self.under_way.is_empty();
        nothing_else && self.looked.is_none_or(|at| at.elapsed() >= self.look_again)
    }

    /// Reads the endpoint and what is due. Answers how the turn ends if nothing is to be tried at all.
    async fn look(&mut self) -> Result<Option<Ending>> {
        let lines = self.lines;
        let look = lines.looks.acquire().await.map_err(Error::internal)?;
        let Some(target) = lines.targets.get(self.job.endpoint_id).await? else {
            return Ok(Some(Ending::done()));
        };
        if target.row.project_id != self.job.project_id {
            return Err(Error::internal("a line and its endpoint belong to different projects"));
        }
        if target.row.disabled {
            drop(look);
            return self.drop_all().await.map(Some);
        }
        if self.looked.is_none() {
            let health = health(&target);
            if health.is_paused(lines.deps.now()) {
                return Ok(Some(end::ending(self.lease, self.job.endpoint_id, Duration::ZERO)));
            }
            self.window = Window::new(target.row.fifo, health.is_away());
            self.misses = target.row.misses;
            if target.row.rate_limit.is_some() {
                // The rate goes on where the turn before has left it.
                let last = store::last_attempt_at(lines.deps.db.read(), target.row.id).await?;
                let ago = last.map(|last| lines.deps.now().millis().saturating_sub(last.millis()));
                self.pace.after(
                    target.row.rate_limit,
                    ago.and_then(|ago| u64::try_from(ago).ok()).map(Duration::from_millis),
                );
            }
        }
        self.pace.at_rate(target.row.rate_limit);
        let due = self.due(&target).await?;
        self.look_again = match due.len() as u64 {
            0 => (self.look_again * 2).clamp(LOOK_AGAIN, LOOK_SELDOM),
            BATCH.. => Duration::ZERO,
            _ => LOOK_AGAIN,
        };
        self.looked = Some(Instant::now());
        drop(look);
        self.waiting = due.into();
        let before = self.target.replace(target);
        if before.is_some_and(|before| before.row.fifo != self.in_order()) {
            // Switched while the turn runs: as many at a time as that wants.
            self.window = Window::new(self.in_order(), self.is_away());
        }
        Ok(None)
    }

    async fn due(&mut self, target: &Target) -> Result<Vec<webhook_delivery::Model>> {
        let deps = &self.lines.deps;
        let connection = deps.db.read();
        let now = queue::now_in(deps, connection).await?;
        let in_order = target.row.fifo;
        if in_order && !self.under_way.is_empty() {
            return Ok(Vec::new());
        }
        if in_order {
            let mut line = store::line_deliveries(connection, self.job.endpoint_id, BATCH).await?;
            if !line.is_empty() {
                let waits = line.iter().position(|delivery| delivery.next_attempt_at.is_some_and(|at| at > now));
                line.truncate(waits.unwrap_or(line.len()));
                return Ok(line);
            }
        }
        // Where nobody is, one is enough to find out.
        let limit = if in_order || self.is_away() { 1 } else { BATCH };
        let under_way = self.taken.iter().copied();
        store::due_deliveries(connection, self.job.endpoint_id, in_order, now, under_way, limit).await
    }

    /// A disabled or deleted endpoint gets nothing: what waits is dropped, a hundred rows at a time. Whether it is so still is read
    /// while its line is held, for which all wait who enable it or put something into the line. So nothing is dropped that
    /// came after it was enabled, and nothing is left behind where the line ends.
    pub(super) async fn drop_all(&mut self) -> Result<Ending> {
        while let Some(ended) = self.under_way.next().await {
            ended?;
        }
        let (deps, lease, endpoint_id) = (&self.lines.deps, self.lease, self.job.endpoint_id);
        loop {
            let step = deps.db.write(async |tx| {
                lease.guard(&tx).await?;
                let row = store::any_endpoints_by_ids(&*tx, [endpoint_id]).await?.pop();
                if row.as_ref().is_some_and(|row| !row.disabled) {
                    return Ok(Some(end::ending(lease, endpoint_id, Duration::ZERO)));
                }
                if store::drop_waiting(&tx, endpoint_id, DROPPED).await? == DROPPED {
                    return Ok(None);
                }
                if row.is_some_and(|row| row.deleted_at.is_none()) {
                    return Ok(Some(end::ending(lease, endpoint_id, Duration::ZERO)));
                }
                queue::finish_in(deps, &tx, lease).await?;
                Ok(Some(Ending::committed()))
            });
            if let Some(ending) = step.await? {
                return Ok(ending);
            }
        }
    }

    /// Begins as many attempts as may be under way; answers how long the rate makes the next one wait.
    fn begin(&mut self) -> Option<Duration> {
        let target = Arc::clone(self.target.as_ref()?);
        while self.may_begin() && self.window.has_room(self.under_way.len()) && !self.waiting.is_empty() {
            let now = Instant::now();
            if let Some(wait) = self.pace.wait(now) {
                return Some(wait);
            }
            // As many requests of the project are open as may be: this one waits a moment.
            let Some(share) = self.lines.shares.take(&self.job.project_id) else { return Some(SHORT_WAIT) };
            let Some(delivery) = self.waiting.pop_front() else { break };
            self.pace.begin(now);
            self.taken.insert(delivery.id);
            let attempt = attempt(self.lines, self.lease.clone(), Arc::clone(&target), delivery, share);
            self.under_way.push(attempt.boxed());
        }
        None
    }

    fn note(&mut self, id: WebhookDeliveryId, verdict: Verdict) {
        self.taken.remove(&id);
        let done = match verdict {
            Verdict::Answered { done } => {
                self.misses = 0;
                self.window.answered();
                done
            }
            Verdict::Missed { done } => {
                self.misses = self.misses.saturating_add(1);
                self.window.missed();
                self.stopped |= self.is_away();
                done
            }
            Verdict::Gone => {
                self.stopped = true;
                true
            }
            Verdict::Untried => true,
        };
        // In order, the next one waits until this one is done with.
        self.stopped |= self.in_order() && !done;
    }
}

fn health(target: &Target) -> Health {
    let row = &target.row;
    Health { misses: row.misses, pauses: row.pauses, paused_until: row.paused_until }
}

/// The place of a delivery in the trace of what caused its event; the run of its line is part of many traces.
fn traced(delivery: &webhook_delivery::Model, message: &webhook_message::Model) -> Traced {
    let span = crate::work_span!(
        "webhook delivery",
        otel.name = "process webhook_delivery",
        otel.kind = "consumer",
        delivery.id = %delivery.id,
        trace_id = field::Empty,
    );
    trace::begin(span, message.traceparent.as_ref().and_then(|cause| cause.parse().ok()))
}

/// Makes one attempt and writes what it came to. Ends when that is durable.
async fn attempt(
    lines: &Lines,
    lease: Lease,
    target: Arc<Target>,
    delivery: webhook_delivery::Model,
    _share: Share,
) -> Result<(WebhookDeliveryId, Verdict)> {
    let _permit = lines.posts.acquire().await.map_err(Error::internal)?;
    let Some(message) = lines.messages.get(delivery.message_id).await? else {
        // Pruned or purged in the meantime, and the delivery with it.
        return Ok((delivery.id, Verdict::Untried));
    };
    if delivery.project_id != target.row.project_id || message.project_id != target.row.project_id {
        return Err(Error::internal("a delivery, its message and its endpoint belong to different projects"));
    }
    let deps = &lines.deps;
    let result = match payload_of(&delivery, &message) {
        None => untried(&delivery, &message.event_type, Outcome::Dropped),
        Some(payload) => {
            let trigger = if delivery.once { AttemptTrigger::Manual } else { AttemptTrigger::Scheduled };
            let parcel = Parcel { delivery: &delivery, target: &target, payload: &payload, trigger };
            // Who has the line by now may be further; this one must not arrive after what it sends.
            if lease.is_over() {
                return Err(Error::internal(LeaseLost));
            }
            // Judged there too: what follows from it belongs into the same trace.
            let trying = async {
                let tried = post::attempt(deps, &parcel).await?;
                Ok::<_, Error>(judged(deps.now(), &delivery, &message.event_type, false, tried))
            };
            traced(&delivery, &message).run(trying).await?
        }
    };
    let done = !matches!(result.outcome, Outcome::Retry { .. });
    let verdict = match result.outcome {
        Outcome::Dropped => Verdict::Untried,
        Outcome::Gone => Verdict::Gone,
        _ if result.missed => Verdict::Missed { done },
        _ => Verdict::Answered { done },
    };
    if !lines.results.get(Finished { lease, result }).await? {
        return Err(Error::internal(LeaseLost));
    }
    Ok((delivery.id, verdict))
}
