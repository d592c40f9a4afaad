//! From when on a subscription hears of everything that happens.

use tokio_util::sync::CancellationToken;

/// A subscription tells by it, from the data of its request, that it is in force. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct InForce(CancellationToken);

impl InForce {
    /// Whatever happens from now on is heard.
    pub(crate) fn tell(&self) {
        self.0.cancel();
    }

    /// Whether that was told.
    pub(crate) fn is_told(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Resolves when it is told: never for an operation that answers once.
    pub(crate) async fn told(&self) {
        self.0.cancelled().await;
    }
}
