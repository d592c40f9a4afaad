//! Rates counted within this process: all there is in the embedded shape, and the fallback while Redis is away.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use governor::{
    DefaultDirectRateLimiter, RateLimiter,
    clock::{Clock, DefaultClock},
};
use moka::sync::Cache;
use postern_domain::ports::rates::{Quota, Rates};

/// How many names are remembered; beyond that those that are asked for least are forgotten.
const MAX_NAMES: u64 = 100_000;
/// A name that nobody asked for as long is forgotten: no quota takes longer to be whole again.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Counts within this process.
#[derive(Clone, Debug)]
pub struct LocalRates {
    clock: DefaultClock,
    limiters: Cache<String, Arc<DefaultDirectRateLimiter>>,
}

impl Default for LocalRates {
    fn default() -> Self {
        let limiters = Cache::builder().max_capacity(MAX_NAMES).time_to_idle(FORGET_AFTER).build();
        Self { clock: DefaultClock::default(), limiters }
    }
}

impl LocalRates {
    fn count(&self, name: &str, quota: Quota) -> Result<(), Duration> {
        let limiter = self.limiters.get_with_by_ref(name, || Arc::new(RateLimiter::direct(governor_quota(quota))));
        limiter.check().map_err(|refused| refused.wait_time_from(self.clock.now()))
    }
}

#[async_trait]
impl Rates for LocalRates {
    async fn take(&self, name: &str, quota: Quota) -> Result<(), Duration> {
        self.count(name, quota)
    }
}

fn governor_quota(quota: Quota) -> governor::Quota {
    let burst = NonZeroU32::new(quota.burst).unwrap_or(NonZeroU32::MIN);
    governor::Quota::with_period(quota.per / burst.get())
        .unwrap_or_else(|| governor::Quota::per_second(NonZeroU32::MAX))
        .allow_burst(burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_is_let_through_and_then_the_wait_is_told() {
        let rates = LocalRates::default();
        let quota = Quota { burst: 3, per: Duration::from_secs(30) };
        for _ in 0..3 {
            rates.take("a", quota).await.unwrap();
        }
        let wait = rates.take("a", quota).await.unwrap_err();
        assert!(wait > Duration::from_secs(8) && wait <= Duration::from_secs(10), "{wait:?}");
        rates.take("b", quota).await.unwrap();
    }
}
