//! How many attempts of a line are under way at a time, and how fast they begin. Pure, but for the clock handed in.

use std::time::Duration;

use tokio::time::Instant;

/// The most attempts under way to one endpoint.
const MOST: usize = 32;
/// How many a turn begins with.
const FIRST: usize = 4;

/// How many attempts may be under way: more with every answer, one after a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    size: usize,
    most: usize,
}

impl Window {
    /// For an endpoint that wants one message after the other, for one that is known to be away, or for any other.
    pub(super) fn new(in_order: bool, away: bool) -> Self {
        Self { size: if in_order || away { 1 } else { FIRST }, most: if in_order { 1 } else { MOST } }
    }

    pub(super) fn has_room(self, under_way: usize) -> bool {
        under_way < self.size
    }

    pub(super) fn answered(&mut self) {
        self.size = (self.size + 1).min(self.most);
    }

    pub(super) fn missed(&mut self) {
        self.size = 1;
    }
}

/// When the next attempt may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// At most `per_second` a second, evenly; any number without.
    pub(super) fn new(per_second: Option<i32>) -> Self {
        let interval = per_second.map_or(0.0, |rate| 1.0 / f64::from(rate.max(1)));
        Self { interval: Duration::from_secs_f64(interval), next: None }
    }

    /// Goes on after an attempt that was begun so long ago.
    pub(super) fn after(&mut self, per_second: Option<i32>, ago: Option<Duration>) {
        self.at_rate(per_second);
        let wait = ago.map(|ago| self.interval.saturating_sub(ago));
        self.next = wait.map(|wait| Instant::now() + wait);
    }

    /// Goes on at another rate.
    pub(super) fn at_rate(&mut self, per_second: Option<i32>) {
        self.interval = Self::new(per_second).interval;
    }

    /// How long the next attempt must wait; nothing when it may begin.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let wait = self.next?.saturating_duration_since(now);
        (!wait.is_zero() && !self.interval.is_zero()).then_some(wait)
    }

    /// Notes that an attempt begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.next = Some(self.next.map_or(now, |next| next.max(now)) + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_opens_with_answers_and_closes_with_a_miss() {
        let mut window = Window::new(false, false);
        assert!(window.has_room(3) && !window.has_room(4));
        (0..100).for_each(|_| window.answered());
        assert!(window.has_room(31) && !window.has_room(32));
        window.missed();
        assert!(window.has_room(0) && !window.has_room(1));
        assert!(!Window::new(false, true).has_room(1));
        let mut in_order = Window::new(true, false);
        in_order.answered();
        assert!(in_order.has_room(0) && !in_order.has_room(1));
    }

    #[test]
    fn a_rate_spreads_attempts_evenly() {
        let mut pace = Pace::new(Some(10));
        let started = Instant::now();
        let mut now = started;
        for _ in 0..21 {
            now += pace.wait(now).unwrap_or_default();
            assert_eq!(pace.wait(now), None);
            pace.begin(now);
        }
        assert_eq!(now - started, Duration::from_secs(2));
        // What was not used is not caught up with.
        now += Duration::from_secs(60);
        pace.begin(now);
        assert_eq!(pace.wait(now), Some(Duration::from_millis(100)));
        let mut free = Pace::new(None);
        free.begin(Instant::now());
        assert_eq!(free.wait(Instant::now()), None);
    }
}
