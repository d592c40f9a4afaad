//! What was asked during a drill, what was answered, and what was done to the servers meanwhile.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use crate::stand::{Answer, Lost};

/// What a writer asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    /// An account with a password: a user, an event, and a mail to the address.
    SignUp,
    /// A user, and an event.
    CreateUser,
    /// Another display name of a user, and an event.
    UpdateUser,
    /// A mail to the address.
    SendMail,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was told to be done.
    Acknowledged,
    /// The answer was cut off, or was a fault of the server: it may be done or not, once.
    Unknown,
    /// It never reached a server: it is not done.
    NotSent,
    /// It was refused: it is not done.
    Refused(String),
}

/// One thing that was asked for; repeated requests with the same idempotency key are one.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) deed: Deed,
    /// The address or display name that nothing else has.
    pub(super) marker: String,
    /// Whose name was changed.
    pub(super) user_id: Option<String>,
    pub(super) outcome: Outcome,
    pub(super) sent: Instant,
    pub(super) ended: Instant,
}

/// Something that was done to the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disturbance {
    pub(super) begun: Instant,
    /// When everything that was broken stood again; of a kill, when the processes were dead, for whoever took over or was
    /// started again is what is watched.
    pub(super) over: Instant,
}

/// Everything, in the order in which it ended.
#[derive(Debug, Default)]
pub(super) struct History {
    records: Mutex<Vec<Record>>,
    disturbances: Mutex<Vec<Disturbance>>,
    markers: AtomicUsize,
    faults: Mutex<Vec<Fault>>,
}

/// An answer that told of a fault of the server.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) status: u64,
    pub(super) retry_after: Option<String>,
    pub(super) text: String,
}

impl History {
    /// A name that nothing else in the run has.
    pub(super) fn marker(&self, what: &str) -> String {
        format!("{what}-{}", self.markers.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn add(&self, record: Record) {
        lock(&self.records).push(record);
    }

    /// Keeps the answer if it tells of a fault of the server.
    pub(super) fn note_fault(&self, reply: &Result<Answer, Lost>) {
        let Ok(answer) = reply else { return };
        let status = status(answer);
        if status >= 500 {
            let Answer { retry_after, text, .. } = answer.clone();
            lock(&self.faults).push(Fault { status, retry_after, text });
        }
    }

    pub(super) fn records(&self) -> Vec<Record> {
        lock(&self.records).clone()
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        lock(&self.faults).clone()
    }

    pub(super) fn disturbances(&self) -> Vec<Disturbance> {
        lock(&self.disturbances).clone()
    }

    /// Notes a disturbance that began at `begun` and is over now.
    pub(super) fn disturbed_since(&self, begun: Instant) {
        lock(&self.disturbances).push(Disturbance { begun, over: Instant::now() });
    }
}

/// The longest time from the end of a disturbance until a request that was made since its beginning was acknowledged. `None`
/// when one was followed by none, or when there was none.
pub(super) fn answers_again(records: &[Record], disturbances: &[Disturbance]) -> Option<Duration> {
    let first_after = |disturbance: &Disturbance| {
        let Disturbance { begun, over } = *disturbance;
        let acknowledged = records.iter().filter(|record| record.outcome == Outcome::Acknowledged);
        let since = acknowledged.filter(|record| record.sent >= begun && record.ended >= over);
        since.map(|record| record.ended.duration_since(over)).min()
    };
    let each: Option<Vec<_>> = disturbances.iter().map(first_after).collect();
    each?.into_iter().max()
}

/// What is wrong with how soon the doors answered again.
pub(super) fn answers_too_late(records: &[Record], disturbances: &[Disturbance], within: Duration) -> Option<String> {
    match answers_again(records, disturbances) {
        Some(took) if took > within => {
            Some(format!("the doors answered again after {took:.1?}, not within {within:?}"))
        }
        None if !disturbances.is_empty() => Some("nothing was acknowledged any more after a disturbance".to_owned()),
        _ => None,
    }
}

/// What an answer amounts to, with its JSON when it is a success: GraphQL's data, REST's body.
pub(super) fn judge(reply: Result<Answer, Lost>) -> (Outcome, Value) {
    let answer = match reply {
        Err(lost) if lost.never_sent => return (Outcome::NotSent, Value::Null),
        Err(_) => return (Outcome::Unknown, Value::Null),
        Ok(answer) => answer,
    };
    let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    match status(&answer) {
        500.. => (Outcome::Unknown, Value::Null),
        200..300 => (Outcome::Acknowledged, body.get("data").cloned().unwrap_or(body)),
        status => (Outcome::Refused(format!("{status} {}", answer.text)), Value::Null),
    }
}

/// The status of an answer; GraphQL tells that of its first error within it.
pub(super) fn status(answer: &Answer) -> u64 {
    let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let error = body.pointer("/errors/0").map(|error| error.pointer("/extensions/status").and_then(Value::as_u64));
    match error {
        None => answer.status.as_u16().into(),
        Some(status) => status.unwrap_or(500),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, text: &str) -> Result<Answer, Lost> {
        let status = reqwest::StatusCode::from_u16(status).unwrap();
        Ok(Answer { status, retry_after: None, text: text.to_owned() })
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(judge(answer(200, r#"{"id": 1}"#)), (Outcome::Acknowledged, serde_json::json!({"id": 1})));
        assert_eq!(judge(answer(200, r#"{"data": {"a": 1}}"#)), (Outcome::Acknowledged, serde_json::json!({"a": 1})));
        let fault = r#"{"data": null, "errors": [{"extensions": {"status": 500}}]}"#;
        assert_eq!(judge(answer(200, fault)).0, Outcome::Unknown);
        assert_eq!(judge(answer(503, "later")).0, Outcome::Unknown);
        let refused = r#"{"data": null, "errors": [{"extensions": {"status": 409}}]}"#;
        for answer in [answer(200, refused), answer(409, "taken"), answer(301, "")] {
            assert!(matches!(judge(answer).0, Outcome::Refused(_)));
        }
    }

    #[test]
    fn the_slowest_recovery_counts() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let record = |sent, ended, outcome| Record {
            deed: Deed::CreateUser,
            marker: String::new(),
            user_id: None,
            outcome,
            sent: at(sent),
            ended: at(ended),
        };
        let records = [
            record(0, 11, Outcome::Acknowledged),
            record(10, 12, Outcome::Unknown),
            record(11, 14, Outcome::Acknowledged),
            record(20, 21, Outcome::Acknowledged),
        ];
        let disturbances = [10, 20].map(|begun| Disturbance { begun: at(begun), over: at(begun) });
        assert_eq!(answers_again(&records, &disturbances), Some(Duration::from_secs(4)));
        let unanswered = Disturbance { begun: at(30), over: at(30) };
        assert_eq!(answers_again(&records, &[unanswered]), None);

        // What was answered while it lasted does not count, nor does its length.
        let long = Disturbance { begun: at(5), over: at(13) };
        assert_eq!(answers_again(&records, &[long]), Some(Duration::from_secs(1)));
        let within = |seconds| answers_too_late(&records, &disturbances, Duration::from_secs(seconds));
        assert_eq!(within(4), None);
        assert!(within(3).is_some_and(|why| why.contains("4.0s")), "{:?}", within(3));
        assert!(answers_too_late(&records, &[unanswered], Duration::MAX).is_some());
        assert_eq!(answers_too_late(&records, &[], Duration::ZERO), None);
    }
}
