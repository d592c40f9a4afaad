//! The lines of endpoints. What waits for an endpoint is a row that says when its next attempt is due; one standing job per
//! endpoint ([`DeliverLine`]) makes the attempts, in one worker at a time. So
//!
//! - no endpoint holds up another one, however many messages wait for it: lines take turns, a few seconds each;
//! - order, rate and the breaker of an endpoint are kept where its attempts are made;
//! - a backlog costs rows, not jobs.
//!
//! `run.rs` is one turn, `pace.rs` says how much at once and how fast, `end.rs` when the next turn is due.

mod end;
mod pace;
mod run;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use postern_entity::{ProjectId, WebhookEndpointId, WebhookMessageId, webhook_message};
use sea_orm::ConnectionTrait;
use tokio::sync::Semaphore;

use self::run::Run;
use super::{
    jobs::DeliverLine,
    judge::DeliveryResult,
    result,
    share::Shares,
    store,
    target::{self, Target},
};
use crate::{
    Deps, Result,
    batch::Batcher,
    db::{Backend, PATIENCE, Tx, may_come_back, patiently, statement},
    queue::{self, Ending, Lease, MAX_BATCH},
};

/// How many lines of a process ask the database what is due at the same time.
const MAX_LOOKS: usize = 3;
/// The most requests that a process has open to endpoints at a time.
const MAX_POSTS: usize = 512;
/// The most of them for one project.
const MAX_POSTS_OF_PROJECT: usize = 128;
/// The most lines of one project that run at a time.
const MAX_TURNS: usize = 48;
/// How long others of it wait then, in milliseconds. Not all equally long: they would all come back at once, in the same order, and
/// the last ones find no turn again and again.
const BUSY_MILLIS: std::ops::RangeInclusive<u64> = 25..=250;
/// How long results that cannot be written are tried again; the leases are lost by then.
const STORE_FOR: Duration = Duration::from_secs(60);
/// The pause in between.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// Runs lines; one per worker process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lines {
    deps: Deps,
    targets: Batcher<WebhookEndpointId, Option<Arc<Target>>>,
    results: Batcher<Finished, bool>,
    messages: Batcher<WebhookMessageId, Option<Arc<webhook_message::Model>>>,
    posts: Arc<Semaphore>,
    /// Looks that are under way: lines are many, connections to the database few, and others need them too.
    looks: Arc<Semaphore>,
    /// Lines and requests by project.
    turns: Shares,
    shares: Shares,
}

/// What an attempt came to, to be written if the lease of its line still holds.
#[derive(Clone, Debug)]
struct Finished {
    lease: Lease,
    result: DeliveryResult,
}

impl Lines {
    /// Starts the tasks that read and write for many lines at a time. They end with the last clone.
    #[must_use]
    pub fn start(deps: Deps) -> Self {
        let (reader, writer) = (deps.clone(), deps.clone());
        let targets = Batcher::start(MAX_BATCH, move |ids| {
            let deps = reader.clone();
            async move { patiently(PATIENCE, target::load(&deps, &ids)).await }
        });
        let results = Batcher::start(MAX_BATCH, move |finished| {
            let deps = writer.clone();
            async move { write_all(&deps, &finished).await }
        });
        let loader = deps.clone();
        let messages = Batcher::start(MAX_BATCH, move |ids| {
            let deps = loader.clone();
            async move { patiently(PATIENCE, load_messages(&deps, &ids)).await }
        });
        let (turns, shares) = (Shares::new(MAX_TURNS), Shares::new(MAX_POSTS_OF_PROJECT));
        Self {
            deps,
            targets,
            results,
            messages,
            posts: Arc::new(Semaphore::new(MAX_POSTS)),
            looks: Arc::new(Semaphore::new(MAX_LOOKS)),
            turns,
            shares,
        }
    }
}

/// Runs the job: one turn of the line of an endpoint.
///
/// # Errors
/// Internal: the turn is to be repeated. What was written before stays.
#[crate::boxed]
pub async fn deliver_line(lines: &Lines, lease: &Lease, job: &DeliverLine) -> Result<Ending> {
    let Some(_turn) = lines.turns.take(&job.project_id) else {
        return Ok(Ending::snooze(Duration::from_millis(rand::random_range(BUSY_MILLIS))));
    };
    Run::new(lines, lease, job).go().await
}

/// What a turn does that has found the endpoint disabled, whatever it is by now.
#[cfg(test)]
pub(super) async fn drop_as_if_disabled(lines: &Lines, lease: &Lease, job: &DeliverLine) -> Result<Ending> {
    Run::new(lines, lease, job).drop_all().await
}

/// Messages, in the order of `ids`. Lines that deliver the same ones share them.
async fn load_messages(deps: &Deps, ids: &[WebhookMessageId]) -> Result<Vec<Option<Arc<webhook_message::Model>>>> {
    let distinct: BTreeSet<_> = ids.iter().copied().collect();
    let messages = store::messages_by_ids(deps.db.read(), distinct).await?;
    let messages: BTreeMap<_, _> = messages.into_iter().map(|message| (message.id, Arc::new(message))).collect();
    Ok(ids.iter().map(|id| messages.get(id).cloned()).collect())
}

/// Sees to it that the lines of these endpoints are looked at, once the transaction commits.
pub(super) async fn wake(
    deps: &Deps,
    tx: &Tx,
    endpoints: impl IntoIterator<Item = (&ProjectId, WebhookEndpointId)>,
) -> Result<()> {
    let now = Duration::ZERO;
    let jobs = endpoints.into_iter().map(|(project_id, endpoint_id)| DeliverLine::wake(project_id, endpoint_id, now));
    queue::wake_all::<DeliverLine>(deps, tx, &jobs.collect::<Result<Vec<_>>>()?).await
}

/// Writes results one by one where they cannot be written together: what is wrong with one costs no other.
async fn write_all(deps: &Deps, finished: &[Finished]) -> Result<Vec<bool>> {
    match write_patiently(deps, finished).await {
        Err(error) if finished.len() > 1 && !may_come_back(&error) => {
            tracing::error!(%error, "results of webhook attempts cannot be written together");
            let mut written = Vec::with_capacity(finished.len());
            for one in finished {
                let one = write_patiently(deps, std::slice::from_ref(one)).await;
                written.push(
                    one.map_err(|error| tracing::error!(%error, "a result of a webhook attempt is lost"))
                        .is_ok_and(|one| one == [true]),
                );
            }
            Ok(written)
        }
        written => written,
    }
}

/// Writes results; answers for each whether the lease of its line still held, and so whether it counts. A database that is
/// away for a moment is waited for: the attempts were made, and would be made again.
async fn write_patiently(deps: &Deps, finished: &[Finished]) -> Result<Vec<bool>> {
    let started = tokio::time::Instant::now();
    loop {
        match patiently(PATIENCE, write(deps, finished)).await {
            Err(error) if may_come_back(&error) && started.elapsed() < STORE_FOR => {
                tracing::warn!(%error, "results of webhook attempts cannot be written; trying again");
                tokio::time::sleep(STORE_PAUSE).await;
            }
            written => return written,
        }
    }
}

async fn write(deps: &Deps, finished: &[Finished]) -> Result<Vec<bool>> {
    deps.db
        .write(async |tx| {
            let leases = finished.iter().map(|finished| (finished.lease.id(), &finished.lease)).collect();
            let held = queue::hold_all(&tx, &leases).await?;
            let counts = |finished: &Finished| held.contains(&finished.lease.id());
            let results: Vec<_> = finished.iter().filter(|one| counts(one)).map(|one| &one.result).collect();
            result::write_all(deps, &tx, &results).await?;
            Ok(finished.iter().map(counts).collect())
        })
        .await
}

/// Makes what was due when the clock was ahead of the present instant due now, as [`queue::take_over_clock`] does for jobs.
/// Called once, before anything is claimed.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn take_over_clock(deps: &Deps) -> Result<()> {
    if deps.db.backend() != Backend::Sqlite {
        return Ok(());
    }
    let now = deps.clock.never_back().millis();
    let deliveries = "UPDATE webhook_delivery SET next_attempt_at = $1 WHERE state = 'sending' \
                      AND next_attempt_at IS NOT NULL AND next_attempt_at > $1 AND created_at > $1";
    // No pause is longer than ten minutes.
    let pauses = "UPDATE webhook_endpoint SET paused_until = NULL WHERE paused_until > $1 + 600000";
    deps.db
        .write(async |tx| {
            for sql in [deliveries, pauses] {
                tx.execute_raw(statement(&*tx, sql, [now.into()])).await?;
            }
            Ok(())
        })
        .await
}
