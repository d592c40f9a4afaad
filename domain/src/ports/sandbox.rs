//! Running what a tenant wrote apart from everything else.

use std::time::Duration;

use async_trait::async_trait;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// The work took more time or memory than it may: in words for whoever wrote it.
    #[error("{0}")]
    Exceeded(String),
    /// Others are being worked for: try again soon.
    #[error("no process is free")]
    Busy,
    /// It could not be done for reasons of ours.
    #[error("{0}")]
    Unavailable(String),
}

/// A process of its own for work on untrusted sources: bounded in memory and time, without secrets. The work itself is
/// [`crate::emails::run_sandboxed`].
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Hands `request` over and answers what came back, within `timeout`. Of one tenant's requests one is worked on at a
    /// time, so that a slow one holds up its own others only.
    ///
    /// # Errors
    /// [`SandboxError`].
    async fn run(&self, tenant: &str, request: Vec<u8>, timeout: Duration) -> Result<Vec<u8>, SandboxError>;
}
