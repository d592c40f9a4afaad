//! The one clock. Nothing else in the project asks the system for the time.

use std::sync::atomic::{AtomicI64, Ordering};

pub use postern_entity::Timestamp;

/// Tells the time. Handed in, so that tests can hold it still or move it.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;

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
