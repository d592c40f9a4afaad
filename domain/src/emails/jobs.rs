//! Payloads of the jobs of this feature.

use postern_entity::{EmailBatchId, EmailId, JobId, ProjectId};
use serde::{Deserialize, Serialize};

use super::reports::Report;
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
}

/// Forgets what lets somebody in of mails that were neither sent nor corrected before it expired. Runs on a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipeExpiredEmailSecrets {}

impl Job for WipeExpiredEmailSecrets {
    const KIND: &'static str = "wipe_expired_email_secrets";
    const PRIORITY: Priority = Priority::Low;
}

/// Lets the mails of a project look around earlier for their turn: it sends faster from now on than when they were told to
/// wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HurryEmails {
    /// The project.
    pub project_id: ProjectId,
    /// How many times faster, about.
    pub divisor: i64,
    /// The last of its jobs that was hurried.
    pub after: Option<JobId>,
}

impl Job for HurryEmails {
    const KIND: &'static str = "hurry_emails";
}

/// Puts some more mails of a batch into the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillOutbox {
    /// Owner of the batch.
    pub project_id: ProjectId,
    /// The batch.
    pub batch_id: EmailBatchId,
}

impl Job for FillOutbox {
    const KIND: &'static str = "fill_outbox";
    const PRIORITY: Priority = Priority::Low;
}

/// Takes up mails again whose job was lost or is dead. Runs on a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepEmails {}

impl Job for SweepEmails {
    const KIND: &'static str = "sweep_emails";
    const PRIORITY: Priority = Priority::Low;
}

/// Writes down what a provider reported of a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteEmailReport {
    /// What it reported.
    pub report: Report,
}

impl Job for NoteEmailReport {
    const KIND: &'static str = "note_email_report";
}

/// Tells the owners of projects which of their mails failed in the last day. Runs on a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestFailedEmails {}

impl Job for DigestFailedEmails {
    const KIND: &'static str = "digest_failed_emails";
    const PRIORITY: Priority = Priority::Low;
}
