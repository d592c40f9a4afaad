//! Payloads of the jobs of this feature.

use std::time::Duration;

use postern_entity::{EmailId, ProjectId};
use serde::{Deserialize, Serialize};

use crate::queue::{Job, Lane, Priority};

/// Brings one mail of the outbox forward: renders it, waits for its time and turn, sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendEmail {
    /// Owner of the mail.
    pub project_id: ProjectId,
    /// The mail.
    pub email_id: EmailId,
}

impl Job for SendEmail {
    const KIND: &'static str = "send_email";
    const LANE: Lane = Lane::Mail;
    const PRIORITY: Priority = Priority::High;
    /// More than rendering and a mail server that answers at the last moment take together.
    const TIMEOUT: Duration = Duration::from_secs(120);
}

/// Forgets what lets somebody in of mails that were neither sent nor corrected before it expired. Runs on a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipeExpiredEmailSecrets {}

impl Job for WipeExpiredEmailSecrets {
    const KIND: &'static str = "wipe_expired_email_secrets";
    const PRIORITY: Priority = Priority::Low;
}
