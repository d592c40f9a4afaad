//! One attempt: what is sent, and what came back.

use std::time::Duration;

use bytes::Bytes;
use postern_entity::{
    Timestamp, WebhookAttemptId,
    webhook_attempt::{self, AttemptTrigger},
    webhook_delivery,
};
use tokio::time::Instant;
use tracing::field;

use super::{
    judge::next_number,
    signing::signature_headers,
    target::{Opened, Target},
};
use crate::{
    Deps, Result,
    ports::http::{HttpError, Method, OutgoingRequest, OutgoingResponse},
    time::time_ordered,
    trace::{self, TRACEPARENT},
};

/// How long an endpoint may take to answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
/// A connection that failed sooner than this is tried once more at once: most likely it was closed while it was idle.
const QUICK_FAILURE: Duration = Duration::from_secs(1);
/// How much of an answer is kept.
const MAX_RESPONSE_BYTES: usize = 20_000;
/// How much of the reason for a missing answer is kept.
const MAX_ERROR_CHARS: usize = 500;
pub(super) const USER_AGENT: &str = concat!("Svix-Webhooks/", env!("CARGO_PKG_VERSION"), " (Postern)");
pub(super) const CONTENT_TYPE: &str = "application/json";
/// Answers of a receiver that is overloaded.
const SLOW_STATUSES: &[u16] = &[429, 502, 504];
/// Answers in the name of a receiver that is not there, beside the slow ones.
const AWAY_STATUS: u16 = 503;
/// The answer of a receiver that wants nothing any more (RFC 9110 §15.5.11).
const GONE: u16 = 410;
/// What an attempt is counted as that the endpoint took.
const SUCCEEDED: &str = "succeeded";

/// What an attempt came to.
pub(super) struct Tried {
    pub(super) row: webhook_attempt::Model,
    /// No answer in time, or one that says that the receiver is overloaded.
    pub(super) slow: bool,
    /// No receiver was found.
    pub(super) missed: bool,
    /// The receiver wants nothing any more.
    pub(super) gone: bool,
    /// The header `retry-after` of the answer.
    pub(super) retry_after: Option<String>,
}

/// What is to be delivered, and to whom.
pub(super) struct Parcel<'a> {
    pub(super) delivery: &'a webhook_delivery::Model,
    pub(super) target: &'a Target,
    pub(super) payload: &'a Bytes,
    pub(super) trigger: AttemptTrigger,
}

/// Makes one attempt. One that was made and failed is told in the log, by whom it was for and how it ended: the body of an
/// answer, and where an endpoint is, are its owner's business.
pub(super) async fn attempt(deps: &Deps, parcel: &Parcel<'_>) -> Result<Tried> {
    let attempted_at = deps.now();
    let opened = match &parcel.target.opened {
        Ok(opened) => opened,
        Err(reason) => {
            tracing::error!(endpoint.id = %parcel.delivery.endpoint_id, reason, "a webhook endpoint cannot be opened");
            let unopened = HttpError::Forbidden("the secrets or headers of the endpoint cannot be opened".to_owned());
            return Ok(tried(parcel, attempted_at, 0, Err(unopened)));
        }
    };
    let mut request = request(parcel, opened, attempted_at)?;
    let number = (parcel.trigger == AttemptTrigger::Scheduled).then(|| next_number(parcel.delivery));
    let started = Instant::now();
    let span = crate::work_span!(
        "webhook attempt",
        otel.name = "POST",
        otel.kind = "client",
        otel.status_code = field::Empty,
        endpoint.id = %parcel.delivery.endpoint_id,
        message.id = %parcel.delivery.message_id,
        delivery.attempt = number,
        http.response.status_code = field::Empty,
    );
    let answer = trace::begin(span.clone(), None).run(post(deps, &mut request)).await;
    match &answer {
        Ok(answer) => span.record("http.response.status_code", answer.status),
        Err(_) => span.record("otel.status_code", "ERROR"),
    };
    let outcome = counted_as(&answer);
    if outcome != SUCCEEDED {
        span.in_scope(|| tracing::warn!(outcome, "a webhook endpoint did not take a message"));
    }
    let duration_ms = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
    metrics::histogram!("postern_webhook_attempt_duration_seconds").record(started.elapsed());
    metrics::counter!("postern_webhook_attempts_total", "outcome" => outcome).increment(1);
    Ok(tried(parcel, attempted_at, duration_ms, answer))
}

async fn post(deps: &Deps, request: &mut OutgoingRequest) -> std::result::Result<OutgoingResponse, HttpError> {
    // Not among the signed headers; an owner's own header of that name wins.
    if let Some(place) = trace::current()
        && !request.headers.iter().any(|(name, _)| name == TRACEPARENT)
    {
        request.headers.push((TRACEPARENT.to_owned(), place.to_string()));
    }
    let started = Instant::now();
    let answer = deps.http.send(request.clone()).await;
    if matches!(answer, Err(HttpError::Connection(_))) && started.elapsed() < QUICK_FAILURE {
        return deps.http.send(request.clone()).await;
    }
    answer
}

fn request(parcel: &Parcel<'_>, opened: &Opened, attempted_at: Timestamp) -> Result<OutgoingRequest> {
    let mut headers =
        vec![("content-type".to_owned(), CONTENT_TYPE.to_owned()), ("user-agent".to_owned(), USER_AGENT.to_owned())];
    headers.extend(signature_headers(&opened.secrets, parcel.delivery.message_id, attempted_at, parcel.payload)?);
    headers.extend(opened.headers.iter().cloned());
    Ok(OutgoingRequest {
        method: Method::Post,
        url: opened.url.clone(),
        headers,
        body: parcel.payload.clone(),
        timeout: TIMEOUT,
        max_response_bytes: MAX_RESPONSE_BYTES,
    })
}

/// What an attempt is counted as.
fn counted_as(answer: &std::result::Result<OutgoingResponse, HttpError>) -> &'static str {
    match answer {
        Ok(answer) if (200..300).contains(&answer.status) => SUCCEEDED,
        Ok(_) => "refused",
        Err(HttpError::Timeout) => "timeout",
        Err(HttpError::Connection(_)) => "unreachable",
        Err(HttpError::Forbidden(_)) => "forbidden",
    }
}

fn tried(
    parcel: &Parcel<'_>,
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
        project_id: parcel.delivery.project_id.clone(),
        message_id: parcel.delivery.message_id,
        endpoint_id: parcel.delivery.endpoint_id,
        url: parcel.target.row.url.clone(),
        trigger_type: parcel.trigger,
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
    let overloaded = SLOW_STATUSES.contains(&status);
    Tried {
        row,
        slow: matches!(answer, Err(HttpError::Timeout)) || overloaded,
        missed: answer.is_err() || overloaded || status == AWAY_STATUS,
        gone: status == GONE,
        retry_after,
    }
}
