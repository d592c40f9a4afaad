//! One attempt of a delivery: what is sent, and what the answer means. Many deliveries at a time share the queries that
//! load them; their results are written together with the ends of their jobs (`result.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use postern_entity::{
    Timestamp, WebhookAttemptId, WebhookDeliveryId, WebhookEndpointId,
    webhook_attempt::{self, AttemptTrigger},
    webhook_delivery::{self, DeliveryState},
    webhook_endpoint, webhook_message, webhook_secret,
};
use secrecy::ExposeSecret;
use tokio::time::Instant;
use tracing::field;

use super::{
    fan_out::time_ordered,
    headers,
    jobs::DeliverWebhook,
    result::{DeliveryResult, Outcome},
    schedule::{self, Failed},
    secret,
    signing::{Secret, signature_headers},
    store,
};
use crate::{
    Deps, Error, Result,
    batch::Batcher,
    ports::http::{HttpError, OutgoingRequest, OutgoingResponse},
    queue::{Ending, MAX_BATCH},
    trace::{self, TRACEPARENT},
};

/// How long an endpoint may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A connection that failed sooner than this is tried once more at once: most likely it was closed while it was idle.
const QUICK_FAILURE: Duration = Duration::from_secs(1);
/// How much of an answer is kept.
const MAX_RESPONSE_BYTES: usize = 20_000;
/// How much of the reason for a missing answer is kept.
const MAX_ERROR_CHARS: usize = 500;
const USER_AGENT: &str = concat!("Svix-Webhooks/", env!("CARGO_PKG_VERSION"), " (Postern)");
/// Answers of a receiver that is overloaded.
const SLOW_STATUSES: &[u16] = &[429, 502, 504];

/// Makes attempts; one per worker process, shared by all its jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Deliverer {
    deps: Deps,
    loads: Batcher<WebhookDeliveryId, Option<Loaded>>,
}

/// A delivery with all that an attempt needs, as it was at one instant.
#[derive(Clone)]
struct Loaded {
    delivery: webhook_delivery::Model,
    payload: Option<Bytes>,
    target: Arc<Target>,
}

/// An endpoint, ready to be sent to.
struct Target {
    row: webhook_endpoint::Model,
    /// What could not be opened fails the deliveries to this endpoint, and no others.
    opened: std::result::Result<Opened, String>,
}

struct Opened {
    headers: Vec<(String, String)>,
    secrets: Vec<Secret>,
}

impl Deliverer {
    /// Starts the task that loads deliveries. It ends with the last clone.
    #[must_use]
    pub fn start(deps: Deps) -> Self {
        let reader = deps.clone();
        let loads = Batcher::start(MAX_BATCH, move |ids| {
            let deps = reader.clone();
            async move { load(&deps, &ids).await }
        });
        Self { deps, loads }
    }
}

/// Runs the job: makes one attempt, unless there is nothing to do any more. The ending carries the result with it.
///
/// # Errors
/// Internal: the job is to be tried again.
#[crate::boxed]
pub async fn deliver(deliverer: &Deliverer, job: &DeliverWebhook) -> Result<Ending> {
    let Some(loaded) = deliverer.loads.get(job.delivery_id).await? else { return Ok(Ending::done()) };
    let delivery = &loaded.delivery;
    if delivery.project_id != job.project_id || loaded.target.row.project_id != job.project_id {
        return Err(Error::internal("a delivery, its job and its endpoint belong to different projects"));
    }
    if !job.manual && delivery.state != DeliveryState::Sending {
        return Ok(Ending::done());
    }
    let (Some(payload), false) = (&loaded.payload, loaded.target.row.disabled) else {
        return Ok(ending(DeliveryResult::new(delivery, job.manual, Outcome::Dropped), None));
    };
    let attempt = attempt(&deliverer.deps, delivery, &loaded.target, payload).await?;
    Ok(judged(deliverer.deps.now(), job, delivery, attempt))
}

/// What an attempt came to.
struct Tried {
    row: webhook_attempt::Model,
    slow: bool,
    retry_after: Option<String>,
}

async fn attempt(deps: &Deps, delivery: &webhook_delivery::Model, target: &Target, payload: &Bytes) -> Result<Tried> {
    let opened = target.opened.as_ref().map_err(|reason| Error::internal(reason.clone()))?;
    let attempted_at = deps.now();
    let mut request = request(delivery, target, opened, payload, attempted_at)?;
    let started = Instant::now();
    let span = tracing::info_span!(
        "webhook attempt",
        otel.name = "POST",
        otel.kind = "client",
        otel.status_code = field::Empty,
        endpoint.id = %delivery.endpoint_id,
        message.id = %delivery.message_id,
        http.response.status_code = field::Empty,
    );
    let answer = trace::begin(span.clone(), None).run(post(deps, &mut request)).await;
    match &answer {
        Ok(answer) => span.record("http.response.status_code", answer.status),
        Err(_) => span.record("otel.status_code", "ERROR"),
    };
    let duration_ms = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
    metrics::histogram!("postern_webhook_attempt_duration_seconds").record(started.elapsed());
    metrics::counter!("postern_webhook_attempts_total", "outcome" => counted_as(&answer)).increment(1);
    Ok(tried(delivery, target, attempted_at, duration_ms, answer))
}

async fn post(deps: &Deps, request: &mut OutgoingRequest) -> std::result::Result<OutgoingResponse, HttpError> {
    // Not among the signed headers; an owner's own header of that name wins.
    if let Some(place) = trace::current()
        && !request.headers.iter().any(|(name, _)| name == TRACEPARENT)
    {
        request.headers.push((TRACEPARENT.to_owned(), place.to_string()));
    }
    let started = Instant::now();
    let answer = deps.http.post(request.clone()).await;
    if matches!(answer, Err(HttpError::Connection(_))) && started.elapsed() < QUICK_FAILURE {
        return deps.http.post(request.clone()).await;
    }
    answer
}

fn request(
    delivery: &webhook_delivery::Model,
    target: &Target,
    opened: &Opened,
    payload: &Bytes,
    attempted_at: Timestamp,
) -> Result<OutgoingRequest> {
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("user-agent".to_owned(), USER_AGENT.to_owned()),
    ];
    headers.extend(signature_headers(&opened.secrets, delivery.message_id, attempted_at, payload)?);
    headers.extend(opened.headers.iter().cloned());
    Ok(OutgoingRequest {
        url: target.row.url.parse().map_err(Error::internal)?,
        headers,
        body: payload.clone(),
        timeout: TIMEOUT,
        max_response_bytes: MAX_RESPONSE_BYTES,
    })
}

/// What an attempt is counted as.
fn counted_as(answer: &std::result::Result<OutgoingResponse, HttpError>) -> &'static str {
    match answer {
        Ok(answer) if (200..300).contains(&answer.status) => "succeeded",
        Ok(_) => "refused",
        Err(HttpError::Timeout) => "timeout",
        Err(HttpError::Connection(_)) => "unreachable",
        Err(HttpError::Forbidden(_)) => "forbidden",
    }
}

fn tried(
    delivery: &webhook_delivery::Model,
    target: &Target,
    attempted_at: Timestamp,
    duration_ms: i32,
    answer: std::result::Result<OutgoingResponse, HttpError>,
) -> Tried {
    let (status, body, error) = match &answer {
        Ok(answer) => (answer.status, Some(answer.body.to_vec()), None),
        Err(error) => (0, None, Some(error.to_string().chars().take(MAX_ERROR_CHARS).collect())),
    };
    let row = webhook_attempt::Model {
        id: WebhookAttemptId(time_ordered(attempted_at)),
        project_id: delivery.project_id.clone(),
        message_id: delivery.message_id,
        endpoint_id: delivery.endpoint_id,
        url: target.row.url.clone(),
        trigger_type: AttemptTrigger::Scheduled,
        succeeded: (200..300).contains(&status),
        response_status: status.into(),
        response_body: body,
        error,
        duration_ms,
        attempted_at,
        next_attempt_at: None,
    };
    let retry_after = answer.as_ref().ok().and_then(|answer| {
        let header = answer.headers.iter().find(|(name, _)| name == "retry-after");
        header.map(|(_, value)| value.clone())
    });
    let slow = matches!(answer, Err(HttpError::Timeout)) || SLOW_STATUSES.contains(&status);
    Tried { row, slow, retry_after }
}

/// What follows from an attempt.
fn judged(now: Timestamp, job: &DeliverWebhook, delivery: &webhook_delivery::Model, tried: Tried) -> Ending {
    let Tried { mut row, slow, retry_after } = tried;
    if job.manual {
        row.trigger_type = AttemptTrigger::Manual;
    }
    let (outcome, wait) = if row.succeeded {
        (Outcome::Succeeded, None)
    } else if job.manual {
        (Outcome::Exhausted, None)
    } else {
        let failed = Failed { slow, retry_after: retry_after.as_deref() };
        let number = u32::try_from(delivery.attempts).unwrap_or(0).saturating_add(1);
        match schedule::wait_after(number, &failed, now, rand::random_range(-1.0..=1.0)) {
            None => (Outcome::Exhausted, None),
            Some(wait) => {
                let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                let at = now.plus_millis(millis);
                row.next_attempt_at = Some(at);
                (Outcome::Retry { at }, Some(wait))
            }
        }
    };
    ending(DeliveryResult::new(delivery, job.manual, outcome).with_attempt(row), wait)
}

/// Puts the job off for another attempt, or ends it; the result is written in the same transaction.
fn ending(result: DeliveryResult, wait: Option<Duration>) -> Ending {
    // Put off, not failed: the attempts of the job count runs without a result, the delivery counts its own.
    let ending = wait.map_or_else(Ending::done, Ending::snooze);
    ending.with_result(result)
}

/// Loads deliveries with their messages and endpoints: four queries, however many there are.
async fn load(deps: &Deps, ids: &[WebhookDeliveryId]) -> Result<Vec<Option<Loaded>>> {
    let connection = deps.db.read();
    let deliveries = store::deliveries_by_ids(connection, ids.iter().copied()).await?;
    let message_ids: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.message_id).collect();
    let endpoint_ids: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.endpoint_id).collect();
    let messages: BTreeMap<_, _> = store::messages_by_ids(connection, message_ids)
        .await?
        .into_iter()
        .map(|webhook_message::Model { id, payload, .. }| (id, payload.map(Bytes::from)))
        .collect();
    let targets = targets(deps, endpoint_ids).await?;
    let loaded: BTreeMap<_, _> = deliveries
        .into_iter()
        .filter_map(|delivery| {
            let payload = messages.get(&delivery.message_id)?.clone();
            let target = Arc::clone(targets.get(&delivery.endpoint_id)?);
            Some((delivery.id, Loaded { delivery, payload, target }))
        })
        .collect();
    Ok(ids.iter().map(|id| loaded.get(id).cloned()).collect())
}

async fn targets(deps: &Deps, ids: BTreeSet<WebhookEndpointId>) -> Result<BTreeMap<WebhookEndpointId, Arc<Target>>> {
    let connection = deps.db.read();
    let all: Vec<_> = ids.iter().copied().collect();
    let secrets = store::secrets(connection, &all).await?;
    let mut of_endpoint: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for secret in &secrets {
        of_endpoint.entry(secret.endpoint_id).or_default().push(secret);
    }
    let rows = store::any_endpoints_by_ids(connection, ids).await?;
    let target = |row: webhook_endpoint::Model| {
        let secrets = of_endpoint.remove(&row.id).unwrap_or_default();
        let opened = open(deps, &row, secrets).map_err(|error| error.to_string());
        (row.id, Arc::new(Target { row, opened }))
    };
    Ok(rows.into_iter().map(target).collect())
}

fn open(deps: &Deps, row: &webhook_endpoint::Model, secrets: Vec<&webhook_secret::Model>) -> Result<Opened> {
    let headers = headers::open(&deps.keyring, &row.project_id, row.id, row.headers.as_deref())?;
    let headers = headers.into_iter().map(|(name, value)| (name, value.expose_secret().to_owned())).collect();
    Ok(Opened { headers, secrets: secret::valid(&deps.keyring, secrets, deps.now())? })
}
