//! When a failed delivery is tried again and when a failing endpoint is disabled. Pure. wire/webhooks §6, §6.1.

use std::time::{Duration, SystemTime};

use crate::Timestamp;

/// The wait after each failed scheduled attempt; after the last one there is no other.
const WAITS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(10 * 3600),
];
/// The least wait after an answer that did not come in time, or that says that the receiver is overloaded.
const SLOW_WAIT: Duration = Duration::from_secs(60);
/// How long after the clock started a further exhausted message disables the endpoint.
const DISABLE_AFTER_SECONDS: i64 = 120 * 3600;
/// How long after its start the clock is void.
const CLOCK_SECONDS: i64 = 240 * 3600;

/// What a failed attempt says about when to come again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failed<'a> {
    /// No answer in time, or 429, 502, 504.
    pub(super) slow: bool,
    /// The header `retry-after` of the answer.
    pub(super) retry_after: Option<&'a str>,
}

/// How long to wait after the failed scheduled attempt number `attempt` (the first is 1); `None` when it was the last one.
/// `jitter` lies in -1..=1 and moves the wait by at most 20 %; a `retry-after` moves it to between once and twice the
/// scheduled wait (which includes the jitter, so that many deliveries told to come back at the same time do not).
pub(super) fn wait_after(attempt: u32, failed: &Failed<'_>, now: Timestamp, jitter: f64) -> Option<Duration> {
    let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
    let mut wait = WAITS.get(index)?.mul_f64(1.0 + 0.2 * jitter.clamp(-1.0, 1.0));
    if failed.slow {
        wait = wait.max(SLOW_WAIT);
    }
    let asked = failed.retry_after.and_then(|text| retry_after(text, now));
    Some(asked.map_or(wait, |asked| asked.clamp(wait, wait * 2)))
}

/// Seconds or an HTTP date (RFC 9110 §10.2.3); a date in the past is zero, anything else nothing.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now.millis()).ok()?);
    Some(date.duration_since(now).unwrap_or_default())
}

/// What becomes of the clock of an endpoint when a message has exhausted its attempts there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// It starts now.
    Start,
    /// It runs on.
    Keep,
    /// The endpoint has failed for too long: disable it.
    Disable,
}

/// The clock starts with the first exhausted message, is not moved by others, and is void 240 h after its start.
pub(super) fn after_exhausted(failing_since: Option<Timestamp>, now: Timestamp) -> Clock {
    match failing_since {
        None => Clock::Start,
        Some(since) if now >= since.plus_seconds(CLOCK_SECONDS) => Clock::Start,
        Some(since) if now > since.plus_seconds(DISABLE_AFTER_SECONDS) => Clock::Disable,
        Some(_) => Clock::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06T08:49:37Z, the date of RFC 9110's examples.
    const NOW: Timestamp = Timestamp(784_111_777_000);
    const PLAIN: Failed<'_> = Failed { slow: false, retry_after: None };

    fn seconds(attempt: u32, failed: &Failed<'_>, jitter: f64) -> Option<u64> {
        wait_after(attempt, failed, NOW, jitter).map(|wait| wait.as_secs())
    }

    fn after(text: &str) -> Failed<'_> {
        Failed { slow: false, retry_after: Some(text) }
    }

    #[test]
    fn eight_attempts_follow_the_schedule() {
        let waits: Vec<_> = (1..=8).map(|attempt| seconds(attempt, &PLAIN, 0.0)).collect();
        let expected = [5, 300, 1800, 7200, 18_000, 36_000, 36_000].map(Some);
        assert_eq!(waits[..7], expected);
        assert_eq!(waits[7], None);
        assert_eq!(seconds(0, &PLAIN, 0.0), None);
        assert_eq!(seconds(u32::MAX, &PLAIN, 0.0), None);
        let total: u64 = waits.into_iter().flatten().sum();
        assert_eq!(total, 27 * 3600 + 35 * 60 + 5);
    }

    #[test]
    fn jitter_moves_a_wait_by_a_fifth_at_most() {
        for (jitter, expected) in [(-1.0, 240), (-0.5, 270), (0.5, 330), (1.0, 360), (-9.0, 240), (9.0, 360)] {
            assert_eq!(seconds(2, &PLAIN, jitter), Some(expected));
        }
    }

    #[test]
    fn slow_receivers_get_a_minute_at_least() {
        let slow = Failed { slow: true, retry_after: None };
        assert_eq!(seconds(1, &slow, -1.0), Some(60));
        assert_eq!(seconds(2, &slow, 0.0), Some(300));
    }

    #[test]
    fn retry_after_is_held_between_once_and_twice_the_scheduled_wait() {
        for (text, expected) in [
            ("0", 300),
            ("299", 300),
            ("400", 400),
            (" 400 ", 400),
            ("600", 600),
            ("601", 600),
            ("18446744073709551615", 600),
            ("Sun, 06 Nov 1994 08:56:17 GMT", 400),
            ("Sunday, 06-Nov-94 08:56:17 GMT", 400),
            ("Sun Nov  6 08:56:17 1994", 400),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 300),
            ("Sat, 05 Nov 1994 08:49:37 GMT", 300),
            ("Thu, 01 Jan 2099 00:00:00 GMT", 600),
            ("-5", 300),
            ("1.5", 300),
            ("soon", 300),
            ("", 300),
        ] {
            assert_eq!(seconds(2, &after(text), 0.0), Some(expected), "{text:?}");
        }
        assert_eq!(seconds(8, &after("10"), 0.0), None);
    }

    #[test]
    fn only_continued_exhaustion_after_five_days_disables() {
        let hours = |hours: i64| NOW.plus_seconds(hours * 3600);
        for (since, now, expected) in [
            (None, 0, Clock::Start),
            (Some(0), 0, Clock::Keep),
            (Some(0), 119, Clock::Keep),
            (Some(0), 120, Clock::Keep),
            (Some(0), 121, Clock::Disable),
            (Some(0), 239, Clock::Disable),
            (Some(0), 240, Clock::Start),
            (Some(0), 1000, Clock::Start),
        ] {
            assert_eq!(after_exhausted(since.map(hours), hours(now)), expected, "{since:?} {now}");
        }
    }
}
