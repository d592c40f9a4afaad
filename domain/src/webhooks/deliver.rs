//! Attempts beside the line: one by hand, to one endpoint, whatever waits there. Many at a time share the queries that load
//! them; their results are written together with the ends of their jobs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use postern_entity::{WebhookDeliveryId, webhook_attempt::AttemptTrigger, webhook_delivery, webhook_message};

use super::{
    jobs::DeliverWebhook,
    judge::{Outcome, judged, untried},
    line,
    post::{self, Parcel},
    share::Shares,
    store,
    target::{self, Target},
};
use crate::{
    Deps, Error, Result,
    batch::Batcher,
    db::{PATIENCE, patiently},
    queue::{Ending, MAX_BATCH},
};

/// The most attempts by hand that a process makes for one project at a time.
const MAX_BY_HAND: usize = 8;
/// How long others of it wait then.
const BUSY: Duration = Duration::from_millis(500);

/// Makes attempts; one per worker process, shared by all its jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Deliverer {
    deps: Deps,
    loads: Batcher<WebhookDeliveryId, Option<Loaded>>,
    shares: Shares,
}

/// A delivery with all that an attempt needs, as it was at one instant.
#[derive(Clone)]
struct Loaded {
    delivery: webhook_delivery::Model,
    message: Arc<webhook_message::Model>,
    target: Arc<Target>,
}

impl Deliverer {
    /// Starts the task that loads deliveries. It ends with the last clone.
    #[must_use]
    pub fn start(deps: Deps) -> Self {
        let reader = deps.clone();
        let loads = Batcher::start(MAX_BATCH, move |ids| {
            let deps = reader.clone();
            async move { patiently(PATIENCE, load(&deps, &ids)).await }
        });
        Self { deps, loads, shares: Shares::new(MAX_BY_HAND) }
    }
}

/// Runs the job: makes one attempt, unless there is nothing to do any more. The ending carries the result with it. A job of
/// a schedule was written by a version that had no lines: its delivery waits in the line of its endpoint, which is woken.
///
/// # Errors
/// Internal: the job is to be tried again.
#[crate::boxed]
pub async fn deliver(deliverer: &Deliverer, job: &DeliverWebhook) -> Result<Ending> {
    let Some(loaded) = deliverer.loads.get(job.delivery_id).await? else { return Ok(Ending::done()) };
    let Loaded { delivery, message, target } = &loaded;
    if [&delivery.project_id, &target.row.project_id, &message.project_id].iter().any(|of| **of != job.project_id) {
        return Err(Error::internal("a delivery, its job, message and endpoint belong to different projects"));
    }
    let deps = &deliverer.deps;
    let Some(_share) = deliverer.shares.take(&job.project_id) else { return Ok(Ending::snooze(BUSY)) };
    if !job.manual {
        deps.db.write(async |tx| line::wake(deps, &tx, [(&job.project_id, delivery.endpoint_id)]).await).await?;
        return Ok(Ending::done());
    }
    let (Some(payload), false) = (payload_of(delivery, message), target.row.disabled) else {
        return Ok(Ending::done().with_result(untried(delivery, &message.event_type, Outcome::Dropped).beside()));
    };
    let parcel = Parcel { delivery, target, payload: &payload, trigger: AttemptTrigger::Manual };
    let tried = post::attempt(deps, &parcel).await?;
    Ok(Ending::done().with_result(judged(deps.now(), delivery, &message.event_type, true, tried)))
}

/// The bytes that are signed and sent.
pub(super) fn payload_of(delivery: &webhook_delivery::Model, message: &webhook_message::Model) -> Option<Bytes> {
    // With the message's goes the delivery's own.
    let of_message = message.payload.as_ref()?;
    Some(Bytes::copy_from_slice(delivery.payload.as_ref().unwrap_or(of_message)))
}

/// Loads deliveries with their messages and endpoints: four queries, however many there are.
async fn load(deps: &Deps, ids: &[WebhookDeliveryId]) -> Result<Vec<Option<Loaded>>> {
    let connection = deps.db.read();
    let deliveries = store::deliveries_by_ids(connection, ids.iter().copied()).await?;
    let messages = messages_of(deps, &deliveries).await?;
    let endpoint_ids: Vec<_> = deliveries.iter().map(|delivery| delivery.endpoint_id).collect();
    let targets = target::load(deps, &endpoint_ids).await?;
    let loaded: BTreeMap<_, _> = deliveries
        .into_iter()
        .zip(targets)
        .filter_map(|(delivery, target)| {
            let message = Arc::clone(messages.get(&delivery.message_id)?);
            Some((delivery.id, Loaded { delivery, message, target: target? }))
        })
        .collect();
    Ok(ids.iter().map(|id| loaded.get(id).cloned()).collect())
}

/// The messages of deliveries.
pub(super) async fn messages_of(
    deps: &Deps,
    deliveries: &[webhook_delivery::Model],
) -> Result<BTreeMap<postern_entity::WebhookMessageId, Arc<webhook_message::Model>>> {
    let ids: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.message_id).collect();
    let messages = store::messages_by_ids(deps.db.read(), ids).await?;
    Ok(messages.into_iter().map(|message| (message.id, Arc::new(message))).collect())
}
