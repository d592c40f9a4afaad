//! Hands an event to the Svix server.

use postern_domain::{
    Deps, Result,
    queue::{Ending, Lease},
    webhooks::{self, SendToSvix},
};

pub(crate) async fn run(deps: Deps, _: Lease, job: SendToSvix) -> Result<Ending> {
    webhooks::svix::send(&deps, &job).await
}
