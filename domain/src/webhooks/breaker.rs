//! The breaker of an endpoint: where no receiver is there, one attempt now and then finds out when it is back, and whatever
//! else waits for it is left alone, so that a dead endpoint costs next to nothing. Attempts that are not made do not count,
//! so an outage does not use up the schedule of the messages behind it. Pure.

use std::time::Duration;

use crate::Timestamp;

/// Attempts in a row that find no receiver before the breaker opens.
const MISSES: i32 = 5;
/// The first pause; each that follows is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// What is remembered of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Health {
    /// Attempts in a row that found no receiver.
    pub(super) misses: i32,
    /// Pauses in a row.
    pub(super) pauses: i32,
    /// Nothing is tried until then.
    pub(super) paused_until: Option<Timestamp>,
}

impl Health {
    /// Whether nothing is to be tried now.
    pub(super) fn is_paused(self, now: Timestamp) -> bool {
        !self.pause_left(now).is_zero()
    }

    /// How long nothing is to be tried. A pause that would last longer than any was begun under another clock, and is over.
    pub(super) fn pause_left(self, now: Timestamp) -> Duration {
        let left = self.paused_until.map_or(0, |until| until.millis().saturating_sub(now.millis()));
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        if left > LONGEST_PAUSE { Duration::ZERO } else { left }
    }

    /// Whether it is known to be away: one attempt at a time finds out whether it is back.
    pub(super) fn is_away(self) -> bool {
        self.misses >= MISSES
    }

    /// After `count` further misses at `now`. Those of attempts that were under way when the breaker opened change nothing.
    pub(super) fn after_misses(self, count: usize, now: Timestamp) -> Self {
        if self.is_paused(now) {
            return self;
        }
        let misses = self.misses.saturating_add(i32::try_from(count).unwrap_or(i32::MAX)).min(MISSES);
        if misses < MISSES {
            return Self { misses, ..self };
        }
        let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.pauses.unsigned_abs()));
        let pause = i64::try_from(doubled.min(LONGEST_PAUSE).as_secs()).unwrap_or(i64::MAX);
        Self { misses, pauses: self.pauses.saturating_add(1), paused_until: Some(now.plus_seconds(pause)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    #[test]
    fn five_misses_in_a_row_open_it_and_each_failed_look_doubles_the_pause() {
        let health = Health::default().after_misses(4, NOW);
        assert!(!health.is_away() && !health.is_paused(NOW));
        let mut health = health.after_misses(1, NOW);
        assert!(health.is_away());
        let mut now = NOW;
        for seconds in [10, 20, 40, 80, 160, 320, 600, 600] {
            assert_eq!(health.paused_until, Some(now.plus_seconds(seconds)));
            assert!(health.is_paused(now));
            now = now.plus_seconds(seconds);
            assert!(!health.is_paused(now) && health.is_away());
            health = health.after_misses(1, now);
        }
    }

    #[test]
    fn misses_that_come_in_during_a_pause_change_nothing() {
        let open = Health::default().after_misses(32, NOW);
        assert_eq!(open.paused_until, Some(NOW.plus_seconds(10)));
        assert_eq!(open.after_misses(32, NOW.plus_seconds(9)), open);
    }

    #[test]
    fn pauses_stay_bounded_for_ever() {
        let long = Health { misses: 5, pauses: i32::MAX, paused_until: None }.after_misses(1, NOW);
        assert_eq!(long.paused_until, Some(NOW.plus_seconds(600)));
    }
}
