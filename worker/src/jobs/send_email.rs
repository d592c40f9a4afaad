//! Brings a mail of the outbox forward.

use postern_domain::{
    Deps, Result,
    emails::{self, SendEmail},
    queue::{Ending, Lease},
};

pub(crate) async fn run(deps: Deps, lease: Lease, job: SendEmail) -> Result<Ending> {
    emails::send(&deps, &lease, &job).await
}
