//! What a kind of job says about itself.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

/// A pool of slots. Jobs of one lane never wait for those of another, so receivers that hang hold up no mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Short work inside the database: housekeeping, grants, imports.
    General,
    /// Mails over SMTP.
    Mail,
    /// Webhook deliveries to hosts that tenants chose.
    Webhooks,
    /// Calls to Stripe.
    Payments,
}

impl Lane {
    /// All lanes.
    pub const ALL: &[Self] = &[Self::General, Self::Mail, Self::Webhooks, Self::Payments];

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Mail => "mail",
            Self::Webhooks => "webhooks",
            Self::Payments => "payments",
        }
    }
}

/// Who goes first among the jobs of a lane that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody waits for it: a sign-in mail.
    High,
    /// Most jobs.
    Normal,
    /// Bulk work.
    Low,
}

impl Priority {
    /// Highest first.
    pub const ALL: &[Self] = &[Self::High, Self::Normal, Self::Low];

    pub(super) fn as_i32(self) -> i32 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }
}

/// The payload of a kind of job. Rows outlive versions: a field that is added later needs `#[serde(default)]`.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The stable name of the kind, verb first: `send_email`.
    const KIND: &'static str;
    /// Which slots it takes.
    const LANE: Lane = Lane::General;
    /// Claimed this often without a good end, it is dead.
    const MAX_ATTEMPTS: u16 = 10;
    /// Who goes first.
    const PRIORITY: Priority = Priority::Normal;

    /// How long to wait after the failed attempt `attempt` (1 = the first); a jitter of ±20 % is added. Unless the kind
    /// says otherwise: 2 s, doubled each time, at most an hour.
    #[must_use]
    fn backoff(attempt: u16) -> Duration {
        let seconds = 1_u64.checked_shl(u32::from(attempt)).unwrap_or(u64::MAX).clamp(2, 3600);
        Duration::from_secs(seconds)
    }
}
