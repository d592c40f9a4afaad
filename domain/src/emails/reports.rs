//! What a provider reports of mails that it took: delivered, delayed, bounced, opened, clicked, called spam. Reports come as
//! Resend's webhooks, which are signed as the Standard Webhooks specification says; each is noted once, in whatever order
//! they come.

use std::time::Duration;

use postern_entity::{EmailId, ProjectId, Timestamp, email};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{compose, failure, jobs::NoteEmailReport, send::tell, store};
use crate::{
    Deps, Failure,
    db::Tx,
    error::{Result, refuse},
    events::EventKind,
    projects,
    queue::{self, Ending, Enqueue, Lease},
    webhooks::{Secret, Signed, is_signed},
};

/// Header by which a mail names its row, and which Resend repeats in its reports. Mail programs use it to tell apart mails
/// that look alike.
pub(super) const REFERENCE_HEADER: &str = "X-Entity-Ref-ID";
/// The provider of projects that send through the installation's account under a name of their own.
const MANAGED: &str = "managed";
/// Mails of the same name that are looked at.
const MAX_NAMESAKES: u64 = 20;
/// How long a report waits for the mail's way out to be written down.
const WAIT: Duration = Duration::from_secs(5);

/// What a provider reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose account at the provider it came from; none for the installation's own.
    project_id: Option<ProjectId>,
    /// The mail, if the report names it as we do.
    email_id: Option<EmailId>,
    /// The mail as the provider calls it.
    provider_id: Option<String>,
    what: What,
    at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum What {
    Delivered,
    Delayed,
    Bounced,
    Opened,
    Clicked,
    CalledSpam,
}

impl What {
    /// By the type of a Resend event; others say nothing that is kept.
    fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "email.delivered" => Self::Delivered,
            "email.delivery_delayed" => Self::Delayed,
            "email.bounced" | "email.failed" | "email.suppressed" => Self::Bounced,
            "email.opened" => Self::Opened,
            "email.clicked" => Self::Clicked,
            "email.complained" => Self::CalledSpam,
            _ => return None,
        })
    }
}

/// Takes a report in: checks who signed it, and leaves the rest to a job. Reports of the installation's own account at the
/// provider name no project; those of a project's account do.
///
/// # Errors
/// `BAD_REQUEST` when no secret is set, the signature is not one of it, or the body is no report.
#[crate::boxed]
pub async fn receive(deps: &Deps, project_id: Option<&ProjectId>, signed: &Signed<'_>) -> Result<()> {
    if !is_signed(&secrets(deps, project_id).await?, signed, deps.now())? {
        return refuse(Failure::bad_request("The signature is missing, wrong or too old."));
    }
    let Some(event) = Event::parse(signed.body) else {
        return refuse(Failure::bad_request("The body is no event of Resend."));
    };
    let Some(what) = What::of(&event.kind) else { return Ok(()) };
    let report = Report {
        project_id: project_id.cloned(),
        email_id: event.email_id(),
        provider_id: event.provider_id(),
        what,
        at: event.at().unwrap_or_else(|| deps.now()).min(deps.now()),
    };
    let key = format!("{}/{}", project_id.map_or("", ProjectId::as_str), signed.id);
    let job = Enqueue::new(&NoteEmailReport { report })?.key(key);
    deps.db.write(async |tx| queue::enqueue(deps, &tx, job.clone()).await).await.map(drop)
}

/// The secrets that may have signed.
async fn secrets(deps: &Deps, project_id: Option<&ProjectId>) -> Result<Vec<Secret>> {
    let Some(project_id) = project_id else { return Ok(deps.settings.mail_report_secrets.clone()) };
    if projects::lookup(deps, project_id).await?.is_none() {
        return Ok(Vec::new());
    }
    let config = projects::config(deps, project_id).await?;
    Ok(config.emails.server.report_secret().into_iter().collect())
}

/// A Resend event, as far as it matters.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    created_at: Option<String>,
    #[serde(default)]
    data: Value,
}

impl Event {
    fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    fn at(&self) -> Option<Timestamp> {
        let time = chrono::DateTime::parse_from_rfc3339(self.created_at.as_deref()?).ok()?;
        Some(Timestamp(time.timestamp_millis()))
    }

    /// Our own name for the mail: in a header that is repeated, or the `Message-ID`.
    fn email_id(&self) -> Option<EmailId> {
        let headers = self.data.get("headers").and_then(Value::as_array).into_iter().flatten();
        let header = |header: &Value| {
            Some((header.get("name")?.as_str()?.to_owned(), header.get("value")?.as_str()?.to_owned()))
        };
        let in_headers = headers.filter_map(header).find_map(|(name, value)| {
            if name.eq_ignore_ascii_case(REFERENCE_HEADER) {
                value.trim().parse().ok()
            } else if name.eq_ignore_ascii_case("message-id") {
                compose::of_message_id(&value)
            } else {
                None
            }
        });
        in_headers.or_else(|| compose::of_message_id(self.data.get("message_id")?.as_str()?))
    }

    fn provider_id(&self) -> Option<String> {
        self.data.get("email_id").and_then(Value::as_str).map(failure::kept)
    }
}

/// Runs the job [`NoteEmailReport`].
///
/// # Errors
/// Internal only; the queue tries again.
#[crate::boxed]
pub async fn note_report(deps: &Deps, lease: &Lease, job: &NoteEmailReport) -> Result<Ending> {
    let report = &job.report;
    let Some((project_id, id)) = find(deps, report).await? else { return Ok(Ending::done()) };
    deps.db
        .write(async |tx| {
            lease.guard(&tx).await?;
            let Some(row) = store::lock(&tx, &project_id, id).await? else { return Ok(Ending::done()) };
            if row.started_sending_at.is_some() && row.finished_sending_at.is_none() {
                return Ok(Ending::snooze(WAIT));
            }
            if row.finished_sending_at.is_some() && row.send_error.is_none() {
                note(&tx, deps, &row, report).await?;
            }
            Ok(Ending::done())
        })
        .await
}

/// The mail that a report is about: of the project whose account it came from, or of one that sends through the
/// installation's.
async fn find(deps: &Deps, report: &Report) -> Result<Option<(ProjectId, EmailId)>> {
    let mut found = email::Entity::find().select_only().column(email::Column::ProjectId).column(email::Column::Id);
    if let Some(project_id) = &report.project_id {
        found = found.filter(email::Column::ProjectId.eq(project_id.clone()));
    }
    found = match (report.email_id, &report.provider_id) {
        (Some(id), _) => found.filter(email::Column::Id.eq(id)),
        // A tenant's own server may answer any name, also one that is not its to give.
        (None, Some(provider_id)) => {
            found.filter(email::Column::ProviderMessageId.eq(provider_id)).limit(MAX_NAMESAKES)
        }
        (None, None) => return Ok(None),
    };
    let found: Vec<(ProjectId, EmailId)> = found.into_tuple().all(deps.db.read()).await?;
    if report.project_id.is_some() {
        return Ok(found.into_iter().next());
    }
    for (project_id, id) in found {
        let server = &projects::config(deps, &project_id).await?.emails.server;
        if server.is_shared || server.provider == MANAGED {
            return Ok(Some((project_id, id)));
        }
    }
    Ok(None)
}

/// Writes a report down. What was reported before stays; what came later overtakes what came earlier, in whatever order
/// they arrive.
async fn note(tx: &Tx, deps: &Deps, row: &email::Model, report: &Report) -> Result<()> {
    let at = || Set(Some(report.at));
    let first = |known: Option<Timestamp>| Set(Some(known.map_or(report.at, |known| known.min(report.at))));
    let mut changes = email::ActiveModel { can_have_delivery_info: Set(Some(true)), ..Default::default() };
    match report.what {
        What::Delivered => changes.delivered_at = first(row.delivered_at),
        What::Delayed if row.delivered_at.is_none() && row.bounced_at.is_none() => changes.delivery_delayed_at = at(),
        What::Delayed => {}
        What::Bounced => changes.bounced_at = first(row.bounced_at),
        What::Opened => changes.opened_at = first(row.opened_at),
        What::Clicked => {
            changes.clicked_at = first(row.clicked_at);
            changes.opened_at = first(row.opened_at);
        }
        What::CalledSpam => changes.marked_as_spam_at = first(row.marked_as_spam_at),
    }
    // Nobody opens what has not come.
    if matches!(report.what, What::Opened | What::Clicked | What::CalledSpam) && row.delivered_at.is_none() {
        changes.delivered_at = at();
    }
    if !matches!(report.what, What::Delayed) {
        changes.delivery_delayed_at = Set(None);
    }
    store::update(tx, row, deps.now(), changes).await?;
    if report.what == What::Bounced && row.bounced_at.is_none() {
        tell(tx, deps, row, EventKind::EmailFailed).await?;
    }
    Ok(())
}

/// The header by which reports find their mail.
pub(super) fn header(id: EmailId) -> (String, String) {
    (REFERENCE_HEADER.to_owned(), id.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mail_is_known_by_header_or_message_id_or_the_providers_name() {
        let id = EmailId::random();
        let event = |data: Value| {
            let text = json!({ "type": "email.delivered", "created_at": "2026-01-02T03:04:05.678Z", "data": data });
            Event::parse(text.to_string().as_bytes()).unwrap()
        };
        let named = |data: Value| event(data).email_id();
        assert_eq!(named(json!({ "headers": [{ "name": "x-entity-ref-id", "value": id }] })), Some(id));
        let message_id = format!("<{id}@auth.example.com>");
        assert_eq!(named(json!({ "headers": [{ "name": "Message-ID", "value": message_id }] })), Some(id));
        assert_eq!(named(json!({ "message_id": message_id })), Some(id));
        for nothing in [json!({}), json!(null), json!({ "headers": "x", "message_id": 5 }), json!({ "headers": [1] })] {
            assert_eq!(named(nothing), None);
        }
        assert_eq!(event(json!({ "email_id": "abc" })).provider_id().as_deref(), Some("abc"));
        assert_eq!(event(json!({})).at(), Some(Timestamp(1_767_323_045_678)));
        assert!(Event::parse(b"[]").is_none() && Event::parse(b"").is_none());
    }
}
