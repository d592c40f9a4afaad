//! What has to do with Stripe.

use postern_domain::{
    Deps, Result,
    payments::{
        jobs::{EndStripeSubscription, FetchStripeEvents, FinishStripeOperation, PruneStripeEvents, WorkStripeEvent},
        stripe::{self, events},
    },
    queue::{Ending, Lease},
};

pub(crate) async fn work(deps: Deps, _: Lease, job: WorkStripeEvent) -> Result<Ending> {
    events::work(&deps, &job).await
}

pub(crate) async fn fetch(deps: Deps, _: Lease, _: FetchStripeEvents) -> Result<Ending> {
    events::fetch(&deps).await
}

pub(crate) async fn finish(deps: Deps, _: Lease, job: FinishStripeOperation) -> Result<Ending> {
    stripe::finish_operation(&deps, &job).await
}

pub(crate) async fn end_subscription(deps: Deps, _: Lease, job: EndStripeSubscription) -> Result<Ending> {
    stripe::end_subscription(&deps, &job).await
}

pub(crate) async fn prune(deps: Deps, _: Lease, _: PruneStripeEvents) -> Result<Ending> {
    while events::prune_step(&deps).await? {}
    Ok(Ending::done())
}
