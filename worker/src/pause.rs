//! Waiting between tries while something is out of reach.

use std::time::Duration;

const MIN: Duration = Duration::from_millis(100);
const MAX: Duration = Duration::from_secs(5);

/// Pauses that double from 0.1 s to 5 s, with a jitter so that many processes do not come back at once.
#[derive(Debug)]
pub(crate) struct Pause(Duration);

impl Pause {
    pub(crate) fn new() -> Self {
        Self(MIN)
    }

    /// Waits; the next wait is longer.
    pub(crate) async fn wait(&mut self) {
        let pause = self.0;
        self.0 = (pause * 2).min(MAX);
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.8..=1.2))).await;
    }

    /// Starts over: it worked.
    pub(crate) fn reset(&mut self) {
        self.0 = MIN;
    }
}
