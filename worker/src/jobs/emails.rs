//! The jobs of mails.

use postern_domain::{
    Deps, Result,
    emails::{
        self, SendEmail, WipeExpiredEmailSecrets,
        jobs::{DigestFailedEmails, FillOutbox, HurryEmails, NoteEmailReport, SweepEmails},
    },
    queue::{Ending, Lease},
};

/// Brings a mail of the outbox forward.
pub(crate) async fn send(deps: Deps, lease: Lease, job: SendEmail) -> Result<Ending> {
    emails::send(&deps, &lease, &job).await
}

/// Puts the next mails of a batch into the outbox.
pub(crate) async fn fill_outbox(deps: Deps, lease: Lease, job: FillOutbox) -> Result<Ending> {
    emails::fill_outbox(&deps, &lease, &job).await
}

/// Lets the mails of a boosted project look around earlier.
pub(crate) async fn hurry(deps: Deps, lease: Lease, job: HurryEmails) -> Result<Ending> {
    emails::hurry(&deps, &lease, &job).await
}

/// Takes up mails again whose job was lost.
pub(crate) async fn sweep(deps: Deps, _: Lease, _: SweepEmails) -> Result<Ending> {
    emails::sweep(&deps).await
}

/// Writes down what a provider reported.
pub(crate) async fn note_report(deps: Deps, lease: Lease, job: NoteEmailReport) -> Result<Ending> {
    emails::note_report(&deps, &lease, &job).await
}

/// Tells owners of projects of mails that failed.
pub(crate) async fn digest(deps: Deps, _: Lease, _: DigestFailedEmails) -> Result<Ending> {
    emails::digest_failed_emails(&deps).await
}

/// Forgets the secrets of mails that were neither sent nor corrected in time.
pub(crate) async fn wipe_expired_secrets(deps: Deps, _: Lease, _: WipeExpiredEmailSecrets) -> Result<Ending> {
    emails::wipe_expired_secrets(&deps).await
}
