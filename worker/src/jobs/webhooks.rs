//! Deliveries of webhooks, and what belongs to them.

use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use postern_domain::{
    Deps, Result,
    queue::{Ending, Lease},
    webhooks::{self, DeliverLine, DeliverWebhook, Deliverer, Lines, RecoverWebhookEndpoint, TellOfDisabledEndpoint},
};

/// Runs lines of endpoints. All runs share one [`Lines`], which the first of them starts.
pub(crate) fn line() -> impl Fn(Deps, Lease, DeliverLine) -> BoxFuture<'static, Result<Ending>> {
    let shared = Arc::new(OnceLock::new());
    move |deps, lease, job| {
        let shared = Arc::clone(&shared);
        Box::pin(async move { webhooks::deliver_line(shared.get_or_init(|| Lines::start(deps)), &lease, &job).await })
    }
}

/// Makes one attempt by hand. All runs share one [`Deliverer`], which the first of them starts.
pub(crate) fn deliver() -> impl Fn(Deps, Lease, DeliverWebhook) -> BoxFuture<'static, Result<Ending>> {
    let shared = Arc::new(OnceLock::new());
    move |deps, _, job| {
        let shared = Arc::clone(&shared);
        Box::pin(async move { webhooks::deliver(shared.get_or_init(|| Deliverer::start(deps)), &job).await })
    }
}

/// Sends a stretch of messages to an endpoint once more.
pub(crate) async fn recover(deps: Deps, _: Lease, job: RecoverWebhookEndpoint) -> Result<Ending> {
    let mut place = webhooks::recover_step(&deps, &job, None).await?;
    while place.is_some() {
        place = webhooks::recover_step(&deps, &job, place).await?;
    }
    Ok(Ending::done())
}

/// Writes to the owners of an endpoint that was disabled.
pub(crate) async fn tell_of_disabled(deps: Deps, _: Lease, job: TellOfDisabledEndpoint) -> Result<Ending> {
    webhooks::tell_of_disabled_endpoint(&deps, &job).await
}
