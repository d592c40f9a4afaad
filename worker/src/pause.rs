//! Waiting between tries while something is out of reach.

use std::{future::Future, time::Duration};

use postern_domain::{Error, Result, running_time::within};

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

/// How long the database may take for one batch. A connection whose other end vanished without a word would otherwise be
/// waited for until the network gives it up, which takes a quarter of an hour.
const PATIENCE: Duration = Duration::from_secs(20);

/// The answer, or an error when it takes too long. What was asked may have happened nevertheless.
pub(crate) async fn with_patience<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    match within(PATIENCE, answer).await {
        Some(answer) => answer,
        None => Err(Error::internal("the database did not answer in time")),
    }
}
