//! The one clock. Nothing else in the project asks the system for the time.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

pub use postern_entity::Timestamp;
use uuid::{NoContext, Uuid};

/// Tells the time. Handed in, so that tests can hold it still or move it.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// The same, but never earlier than before: what was due stays due when somebody puts the clock back. Runs ahead of
    /// [`Self::now`] from then on.
    fn never_back(&self) -> Timestamp {
        self.now()
    }

    /// The instant at which the clock stands, for clocks that do not run by themselves. The database's own clock is of no
    /// use beside such a clock, so the job queue then goes by this one on every database.
    fn fixed(&self) -> Option<Timestamp> {
        None
    }
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        chrono::Utc::now().into()
    }

    fn never_back(&self) -> Timestamp {
        static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
        // The process has one system clock.
        static STEADY: Steady = Steady::new();
        let monotonic = i64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(STEADY.tell(self.now().millis(), monotonic))
    }
}

/// Follows a clock forwards, and lets monotonic time go on when it is put back.
struct Steady {
    /// The most that the clock was ahead of monotonic time.
    ahead: AtomicI64,
}

impl Steady {
    const fn new() -> Self {
        Self { ahead: AtomicI64::new(i64::MIN) }
    }

    /// The instant, when the clock and monotonic time stand at these milliseconds.
    fn tell(&self, clock: i64, monotonic: i64) -> i64 {
        let ahead = clock.saturating_sub(monotonic);
        monotonic.saturating_add(self.ahead.fetch_max(ahead, Ordering::SeqCst).max(ahead))
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock standing at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.millis()))
    }

    /// Moves the clock by `seconds`, backwards when negative.
    pub fn advance_seconds(&self, seconds: i64) {
        self.advance_millis(seconds.saturating_mul(1000));
    }

    /// Moves the clock by `millis`, backwards when negative.
    pub fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn fixed(&self) -> Option<Timestamp> {
        Some(self.now())
    }
}

/// A UUID (version 7) of this moment: rows made together lie together in every index. Not for what the REST contract takes as an
/// id: its clients know versions 1 to 5 only.
pub(crate) fn time_ordered(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    let nanos = u32::try_from(now.millis().rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_put_back_goes_on_from_where_it_was() {
        let steady = Steady::new();
        let told = [(1000, 0), (1010, 10), (5020, 20), (1030, 30), (1040, 40), (6050, 50)]
            .map(|(clock, monotonic)| steady.tell(clock, monotonic));
        assert_eq!(told, [1000, 1010, 5020, 5030, 5040, 6050]);
    }

    #[test]
    fn the_system_clock_agrees_with_itself() {
        let (before, told, after) = (SystemClock.now(), SystemClock.never_back(), SystemClock.now());
        // A millisecond is lost where monotonic time is cut to whole ones.
        assert!(before.plus_millis(-1) <= told && told <= after.plus_millis(1));
    }
}
