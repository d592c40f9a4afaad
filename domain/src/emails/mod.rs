//! Mails. Every mail is a row of the outbox, written in the transaction of its cause by [`enqueue`]; the job [`SendEmail`]
//! renders it, waits for its time and its turn, and hands it to a mail server (or, in local mode without one, leaves it in
//! the local mailbox).
//!
//! What is promised:
//! - A mail that was enqueued is sent, skipped for a reason, or ends in an error that the outbox shows. A crash between
//!   the server's acceptance and our commit sends it once more under the same `Message-ID`.
//! - What lets somebody in (codes and links that carry them) is readable in the mail itself and in the local mailbox
//!   only: sealed in the row, wiped once the mail has left, redacted in everything the outbox shows.
//!
//! To add a built-in template: its source in `templates/`, a line in `template.rs`, a variant of [`Template`].

mod broadcast;
mod capacity;
mod compose;
mod digest;
mod edit;
mod enqueue;
mod failure;
mod invite;
pub mod jobs;
pub mod library;
pub mod mailbox;
pub mod outbox;
mod outgoing;
mod prepare;
mod recipients;
mod render;
mod reports;
mod route;
mod seal;
mod send;
mod status;
mod store;
mod sweep;
mod template;
mod test_mail;
mod theme;
mod wipe;

pub use broadcast::{Audience, Body, MAX_NAMED, MAX_USERS, SendEmails, fill_outbox, send_emails};
pub use capacity::{DeliveryInfo, Sent, Stats, boost, delivery_info, hurry, iso};
pub use compose::Theme;
pub use digest::{FailedEmail, FailedEmails, digest_failed_emails, failed_emails, send_digest};
pub use edit::{UpdateEmail, update};
pub use enqueue::{NewEmail, Recipient, Template, enqueue};
pub use invite::invite_to_sign_in;
pub use jobs::{SendEmail, WipeExpiredEmailSecrets};
pub use render::{check_sandbox, run_sandboxed};
pub use reports::{Report, note_report, receive as receive_report};
pub use seal::REDACTED;
pub(crate) use seal::reseal;
pub use send::send;
pub use status::{SimpleStatus, Status};
pub use sweep::sweep;
pub use template::{BUILT_IN_TEMPLATES, BuiltInTemplate};
pub use test_mail::send_test;
pub use theme::{BUILT_IN_THEMES, BuiltInTheme, DEFAULT_THEME};
pub use wipe::wipe_expired_secrets;

#[cfg(test)]
mod tests;
