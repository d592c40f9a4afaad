//! What becomes of a mail that a server did not take: tried again a few times, further and further apart, or ended with
//! the reason (wire: emails §7).

use chrono::SecondsFormat;
use postern_entity::{Timestamp, email};
use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ports::mail::MailError;

/// How often a mail is tried that the server answers (wire: emails §7).
const MAX_ATTEMPTS: i64 = 5;
/// How long a mail is tried, longest waits apart, while the server cannot be reached: it says nothing about the mail, and
/// servers come back.
const UNREACHED_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// The wait after the first failure is twice this, then it doubles, this often at most.
const WAIT_MILLIS: f64 = 20_000.0;
const LAST_DOUBLING: i32 = 4;
/// The longest that a mail waits for its next try.
pub(super) const LONGEST_WAIT_MILLIS: i64 = 480_000;
/// Most characters that are kept of what a server said.
const MAX_TEXT_CHARS: usize = 1000;

/// Tries in a row that did not reach the server.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Unreached {
    unreached: i64,
    /// When the first of them ended.
    since_millis: i64,
}

/// What a failed try means for the row.
pub(super) struct Failed {
    pub(super) changes: email::ActiveModel,
    /// When to try again; `None` when it has failed for good.
    pub(super) retry_at: Option<Timestamp>,
}

/// Counts a failed try of `row`.
pub(super) fn failed(row: &email::Model, error: &MailError, now: Timestamp) -> Failed {
    let attempt = row.send_retries.saturating_add(1);
    let text = kept(&error.text);
    let mut attempts = match &row.send_attempt_errors {
        Some(Value::Array(attempts)) => attempts.clone(),
        _ => Vec::new(),
    };
    // Those that did not reach the server follow each other and say the same: the last stands for all of them.
    let unreached = |attempt: &Value| Unreached::deserialize(attempt.pointer("/internal_details")?).ok();
    let never_reached: i64 = attempts.iter().filter_map(unreached).map(|of_one| of_one.unreached).sum();
    let mut silence = None;
    if error.is_silence() {
        let before = attempts.last().and_then(unreached);
        attempts.truncate(attempts.len() - usize::from(before.is_some()));
        let Unreached { unreached, since_millis } =
            before.unwrap_or(Unreached { unreached: 0, since_millis: now.millis() });
        silence = Some(Unreached { unreached: unreached + 1, since_millis });
    }
    let answered = i64::from(attempt) - never_reached - i64::from(error.is_silence());
    attempts.push(json!({
        "attempt_number": attempt,
        "timestamp": now.to_utc().map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true)),
        "external_message": text,
        "external_details": { "errorType": error.kind.as_str() },
        "internal_message": text,
        "internal_details": silence.map_or_else(|| json!({}), |silence| json!(silence)),
    }));
    let may_try_again = match silence {
        Some(silence) => now < Timestamp(silence.since_millis).plus_millis(UNREACHED_MILLIS),
        None => error.kind.is_transient() && answered < MAX_ATTEMPTS,
    };
    let retry_at = may_try_again.then(|| now.plus_millis(wait_millis(attempt)));
    let mut changes = email::ActiveModel {
        send_retries: Set(attempt),
        send_attempt_errors: Set(Some(Value::Array(attempts))),
        next_send_retry_at: Set(retry_at),
        ..Default::default()
    };
    if retry_at.is_some() {
        changes.is_queued = Set(false);
        changes.started_sending_at = Set(None);
        changes.sending_claim_id = Set(None);
    } else {
        changes.finished_sending_at = Set(Some(now));
        changes.can_have_delivery_info = Set(Some(false));
        changes.send_error = Set(Some(text));
    }
    Failed { changes, retry_at }
}

/// Mean 40, 80, 160 and 320 s after the first four attempts.
#[expect(clippy::cast_possible_truncation, reason = "at most 480,000")]
fn wait_millis(attempt: i32) -> i64 {
    (rand::random_range(0.5..=1.5) * WAIT_MILLIS * 2_f64.powi(attempt.clamp(1, LAST_DOUBLING))) as i64
}

/// As much of what a server said as is kept.
pub(super) fn kept(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_around_40_to_320_seconds() {
        for (attempt, mean) in [(1, 40_000), (2, 80_000), (3, 160_000), (4, 320_000)] {
            for _ in 0..50 {
                assert!((mean / 2..=mean * 3 / 2).contains(&wait_millis(attempt)));
            }
        }
    }
}
