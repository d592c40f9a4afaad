//! Forgets the codes of mails that were not sent in time.

use postern_domain::{
    Deps, Result,
    emails::{self, WipeExpiredEmailSecrets},
    queue::{Ending, Lease},
};

pub(crate) async fn run(deps: Deps, _lease: Lease, _job: WipeExpiredEmailSecrets) -> Result<Ending> {
    emails::wipe_expired_secrets(&deps).await
}
