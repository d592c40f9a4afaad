//! Counting how often something happens, so that it can be refused when it happens too often.

use std::time::Duration;

use async_trait::async_trait;

/// How often something may happen: `burst` times at once, and once more every `per / burst` after that (the generic cell
/// rate algorithm, as ATM Forum TM 4.0 has it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// How often at once. Zero counts as one.
    pub burst: u32,
    /// In which time a used-up burst is whole again.
    pub per: Duration,
}

/// Counts what happens under names.
#[async_trait]
pub trait Rates: Send + Sync {
    /// Counts one more under `name`, unless that would exceed `quota`. One name always comes with one quota.
    ///
    /// Never fails: counting that cannot be shared with other processes goes on within this one.
    ///
    /// # Errors
    /// How long to wait, when the quota is used up; nothing was counted then.
    async fn take(&self, name: &str, quota: Quota) -> Result<(), Duration>;
}
