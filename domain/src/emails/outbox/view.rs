//! A mail as the outbox shows it.

use postern_entity::{EmailId, Timestamp, email};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Place;
use crate::{
    emails::{Recipient, status::Status, store, template::BUILT_IN_TEMPLATES},
    error::{Error, Result},
};

/// A mail of the outbox. The first fields are always there, the others as far as the mail has come.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OutboxEmail {
    /// The mail.
    pub id: EmailId,
    /// When it was enqueued.
    pub created_at_millis: i64,
    /// When it last changed.
    pub updated_at_millis: i64,
    /// Source of the template.
    pub tsx_source: String,
    /// Theme; null for none.
    pub theme_id: Option<String>,
    /// To whom.
    pub to: Recipient,
    /// Variables of the template, secrets redacted.
    pub variables: Map<String, Value>,
    /// Whether no deliverability checker is asked.
    pub skip_deliverability_check: bool,
    /// Not to be sent before.
    pub scheduled_at_millis: i64,
    /// `draft` or `programmatic-call`.
    pub created_with: String,
    /// The draft.
    pub email_draft_id: Option<String>,
    /// The template.
    pub email_programmatic_call_template_id: Option<String>,
    /// Failed tries.
    pub send_retries: i32,
    /// When the next try is due.
    pub next_send_retry_at_millis: Option<i64>,
    /// The failed tries.
    pub send_attempt_errors: Option<Value>,
    /// Where it stands.
    pub status: &'static str,
    /// The same, roughly.
    pub simple_status: &'static str,
    /// Held back.
    pub is_paused: bool,
    /// There is something to see.
    pub has_rendered: bool,
    /// It arrived, as far as is known.
    pub has_delivered: bool,
    /// How rendering went.
    #[serde(flatten)]
    pub rendering: Rendering,
    /// What is sent.
    #[serde(flatten)]
    pub content: Option<RenderedContent>,
    /// How sending went.
    #[serde(flatten)]
    pub sending: Sending,
}

/// How rendering went, as far as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rendering {
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_rendering_at_millis: Option<i64>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendered_at_millis: Option<i64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub render_error: Option<String>,
}

/// A rendered mail, secrets redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RenderedContent {
    /// Subject.
    pub subject: String,
    /// HTML part.
    pub html: Option<String>,
    /// Text part.
    pub text: Option<String>,
    /// Nobody can switch such mails off.
    pub is_transactional: bool,
    /// Goes before others.
    pub is_high_priority: bool,
    /// Its category.
    pub notification_category_id: Option<Uuid>,
}

/// How sending went, as far as it came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Sending {
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_sending_at_millis: Option<i64>,
    /// When it failed for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_at_millis: Option<i64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_error: Option<String>,
    /// When it was decided not to send it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_at_millis: Option<i64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_reason: Option<String>,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_details: Option<Value>,
    /// When it came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounced_at_millis: Option<i64>,
    /// When the provider said that it takes longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_delayed_at_millis: Option<i64>,
    /// When it arrived; when the server took it, where the provider does not report more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_at_millis: Option<i64>,
    /// When it was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_at_millis: Option<i64>,
    /// When a link in it was followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clicked_at_millis: Option<i64>,
    /// When it was called spam.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked_as_spam_at_millis: Option<i64>,
    /// Whether the provider reports delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_have_delivery_info: Option<bool>,
    /// Ours: those of several recipients that the server refused, each with its reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_recipients: Option<Value>,
}

impl OutboxEmail {
    /// Where it stands in the list.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { created_at: Timestamp(self.created_at_millis), id: self.id }
    }

    pub(in crate::emails) fn of(email: email::Model) -> Result<Self> {
        let status = Status::of(&email);
        // A paused mail shows nothing of how far it had come.
        let shows_progress = status != Status::Paused;
        let content = if shows_progress { RenderedContent::of(&email) } else { None };
        Ok(Self {
            id: email.id,
            created_at_millis: email.created_at.millis(),
            updated_at_millis: email.updated_at.millis(),
            to: to(&email)?,
            variables: match &email.variables {
                Value::Object(variables) => variables.clone(),
                _ => Map::new(),
            },
            skip_deliverability_check: email.skip_deliverability_check,
            scheduled_at_millis: email.scheduled_at.millis(),
            send_retries: email.send_retries,
            next_send_retry_at_millis: email.next_send_retry_at.map(|at| at.millis()),
            send_attempt_errors: email.send_attempt_errors.clone(),
            status: status.as_str(),
            simple_status: status.simple().as_str(),
            is_paused: email.is_paused,
            has_rendered: content.is_some(),
            has_delivered: is_delivered(status),
            rendering: if shows_progress { Rendering::of(&email) } else { Rendering::default() },
            content,
            sending: if shows_progress { Sending::of(&email, status) } else { Sending::default() },
            tsx_source: source(&email.template_source, email.template_id.as_deref()),
            theme_id: email.theme_id,
            created_with: email.created_with,
            email_draft_id: email.draft_id,
            email_programmatic_call_template_id: email.template_id,
        })
    }
}

/// The source of a mail; a mail that is made from a template of the project has none of its own until it is rendered.
fn source(own: &str, template_id: Option<&str>) -> String {
    let built_in = || BUILT_IN_TEMPLATES.iter().find(|template| Some(template.id) == template_id);
    if own.is_empty() { built_in().map_or("", |template| template.source).to_owned() } else { own.to_owned() }
}

fn is_delivered(status: Status) -> bool {
    matches!(status, Status::Sent | Status::Opened | Status::Clicked | Status::MarkedAsSpam)
}

fn to(email: &email::Model) -> Result<Recipient> {
    let emails = || serde_json::from_value::<Vec<String>>(email.recipient_emails.clone()).map_err(Error::internal);
    Ok(match (email.recipient_kind.as_str(), email.recipient_user_id) {
        (store::USER_PRIMARY_EMAIL, Some(user_id)) => Recipient::UserPrimaryEmail { user_id },
        (store::USER_CUSTOM_EMAILS, Some(user_id)) => Recipient::UserCustomEmails { user_id, emails: emails()? },
        _ => Recipient::CustomEmails { emails: emails()? },
    })
}

impl Rendering {
    fn of(email: &email::Model) -> Self {
        Self {
            started_rendering_at_millis: email.started_rendering_at.map(|at| at.millis()),
            rendered_at_millis: email.rendered_at.map(|at| at.millis()),
            render_error: email.render_error.clone(),
        }
    }
}

impl RenderedContent {
    fn of(email: &email::Model) -> Option<Self> {
        Some(Self {
            subject: email.rendered_subject.clone()?,
            html: email.rendered_html.clone(),
            text: email.rendered_text.clone(),
            is_transactional: email.rendered_is_transactional.unwrap_or_default(),
            is_high_priority: email.is_high_priority,
            notification_category_id: email.rendered_category_id,
        })
    }
}

impl Sending {
    fn of(email: &email::Model, status: Status) -> Self {
        let started = Self {
            started_sending_at_millis: email.started_sending_at.map(|at| at.millis()),
            refused_recipients: email.refused_recipients.clone(),
            ..Self::default()
        };
        let finished_at_millis = email.finished_sending_at.map(|at| at.millis());
        match status {
            Status::Skipped => Self {
                skipped_at_millis: Some(email.updated_at.millis()),
                skipped_reason: email.skipped_reason.clone(),
                skipped_details: email.skipped_details.clone(),
                ..started
            },
            Status::ServerError => {
                Self { error_at_millis: finished_at_millis, server_error: email.send_error.clone(), ..started }
            }
            Status::Bounced => Self {
                bounced_at_millis: email.bounced_at.map(|at| at.millis()),
                can_have_delivery_info: Some(true),
                ..started
            },
            Status::DeliveryDelayed => Self {
                delivery_delayed_at_millis: email.delivery_delayed_at.map(|at| at.millis()),
                can_have_delivery_info: Some(true),
                ..started
            },
            Status::Sent | Status::Opened | Status::Clicked | Status::MarkedAsSpam => {
                let reported_at = email.delivered_at.map(|at| at.millis());
                Self {
                    delivered_at_millis: reported_at.or(finished_at_millis),
                    opened_at_millis: only(status == Status::Opened, email.opened_at),
                    clicked_at_millis: only(status == Status::Clicked, email.clicked_at),
                    marked_as_spam_at_millis: only(status == Status::MarkedAsSpam, email.marked_as_spam_at),
                    can_have_delivery_info: email.can_have_delivery_info,
                    ..started
                }
            }
            _ => started,
        }
    }
}

fn only(is_shown: bool, at: Option<Timestamp>) -> Option<i64> {
    at.filter(|_| is_shown).map(|at| at.millis())
}
