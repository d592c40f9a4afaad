//! Sends again what an endpoint has missed.

use postern_domain::{
    Deps, Result,
    queue::{Ending, Lease},
    webhooks::{self, RecoverWebhookEndpoint},
};

pub(crate) async fn run(deps: Deps, _: Lease, job: RecoverWebhookEndpoint) -> Result<Ending> {
    let mut place = webhooks::recover_step(&deps, &job, None).await?;
    while place.is_some() {
        place = webhooks::recover_step(&deps, &job, place).await?;
    }
    Ok(Ending::done())
}
