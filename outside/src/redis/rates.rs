//! Rates counted for all processes of an installation.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use postern_domain::ports::rates::{Quota, Rates};
use redis::Script;
use tokio::time::timeout;

use super::{Link, Redis};
use crate::rates::LocalRates;

/// A request must not wait longer for a counter.
const PATIENCE: Duration = Duration::from_millis(100);

/// The generic cell rate algorithm with the server's clock, so that those of the processes need not agree. The key holds
/// the theoretical arrival time, in microseconds, and is gone when it has passed; one further ahead than may be was written
/// before the clock was put back. Answers 0, or how long to wait.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000000 + time[2]
         local interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
         local arrival = tonumber(redis.call('GET', KEYS[1]) or now)
         if arrival > now + tolerance then arrival = now + tolerance - interval end
         arrival = math.max(arrival, now) + interval
         local wait = arrival - now - tolerance
         if wait > 0 then return math.ceil(wait) end
         redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
         return 0",
    )
});

/// Counts in Redis; within the process while Redis is away or refuses us.
#[derive(Clone, Debug)]
pub struct SharedRates {
    redis: Redis,
    local: LocalRates,
}

impl SharedRates {
    /// Counts for all who use the same namespace of `redis`.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis, local: LocalRates::default() }
    }

    /// `None` when Redis could not be asked.
    async fn take_shared(&self, name: &str, quota: Quota) -> Option<Result<(), Duration>> {
        if matches!(self.redis.link(), Link::Away(_) | Link::Refused(_)) {
            return None;
        }
        let burst = quota.burst.max(1);
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let interval = micros(quota.per / burst).max(1);
        let mut invocation = TAKE.key(format!("{}:rate:{name}", self.redis.namespace));
        invocation.arg(interval).arg(interval.saturating_mul(burst.into()));
        let mut commands = self.redis.commands.clone();
        match timeout(PATIENCE, invocation.invoke_async::<u64>(&mut commands)).await {
            Ok(Ok(0)) => Some(Ok(())),
            Ok(Ok(wait)) => Some(Err(Duration::from_micros(wait))),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a rate could not be counted in Redis");
                None
            }
            Err(_) => None,
        }
    }
}

#[async_trait]
impl Rates for SharedRates {
    async fn take(&self, name: &str, quota: Quota) -> Result<(), Duration> {
        match self.take_shared(name, quota).await {
            Some(taken) => taken,
            None => self.local.take(name, quota).await,
        }
    }
}
