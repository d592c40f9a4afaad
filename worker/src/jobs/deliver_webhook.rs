//! Makes one attempt of a webhook delivery.

use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use postern_domain::{
    Deps, Result,
    queue::{Ending, Lease},
    webhooks::{self, DeliverWebhook, Deliverer},
};

/// The handler. All its runs share one [`Deliverer`], which the first of them starts.
pub(crate) fn handler() -> impl Fn(Deps, Lease, DeliverWebhook) -> BoxFuture<'static, Result<Ending>> {
    let shared = Arc::new(OnceLock::new());
    move |deps, _, job| {
        let shared = Arc::clone(&shared);
        Box::pin(async move { webhooks::deliver(shared.get_or_init(|| Deliverer::start(deps)), &job).await })
    }
}
