//! Many times, told in short.

use std::time::Duration;

use anyhow::{Context, Result};

/// Times in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

impl Figures {
    /// Of at least one.
    pub(super) fn of(mut times: Vec<Duration>) -> Result<Self> {
        times.sort();
        // The smallest that so many of a hundred do not exceed.
        let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Ok(Self { p50: at(50).context("nothing to measure")?, p99: at(99).context("nothing to measure")? })
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(f, "p50 {:.0} ms, p99 {:.0} ms", millis(self.p50), millis(self.p99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_times_have_their_longest_as_the_last_percentile() {
        let of = |count: u64| Figures::of((1..=count).map(Duration::from_millis).collect()).unwrap();
        assert_eq!(of(1), Figures { p50: Duration::from_millis(1), p99: Duration::from_millis(1) });
        assert_eq!(of(10), Figures { p50: Duration::from_millis(5), p99: Duration::from_millis(10) });
        assert_eq!(of(200), Figures { p50: Duration::from_millis(100), p99: Duration::from_millis(198) });
        assert!(Figures::of(Vec::new()).is_err());
    }
}
