//! Mails, as the schema shows them.

use async_graphql::{Context, Enum, ID};
use postern_domain::{
    Timestamp,
    emails::{Recipient, SimpleStatus, Status, outbox::OutboxEmail},
};
use postern_gateway_macros::guarded;
use serde_json::Value;

use crate::graphql::{
    error::Result,
    loaders::Loaders,
    scalars::{DateTime, IntoId},
    users::types::UserObject,
};

/// Where a mail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Status")]
pub(crate) enum EmailStatus {
    /// Held back.
    Paused,
    /// Not sent, for a reason.
    Skipped,
    /// Waits to be rendered.
    Preparing,
    /// Being rendered.
    Rendering,
    /// Its source does not render.
    RenderError,
    /// Waits for its time.
    Scheduled,
    /// Waits for its turn.
    Queued,
    /// On its way to the server.
    Sending,
    /// No server takes it.
    ServerError,
    /// Taken by the server.
    Sent,
    /// The recipient called it spam.
    MarkedAsSpam,
    /// The recipient followed a link.
    Clicked,
    /// The recipient opened it.
    Opened,
    /// Came back.
    Bounced,
    /// The provider is still trying.
    DeliveryDelayed,
}

/// Where a mail stands, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "SimpleStatus")]
pub(crate) enum EmailSimpleStatus {
    /// Not ended yet.
    InProgress,
    /// Ended well.
    Ok,
    /// Ended badly.
    Error,
}

/// A mail of the outbox.
pub(crate) struct EmailObject(pub(crate) OutboxEmail);

fn time(millis: Option<i64>) -> Option<DateTime> {
    millis.map(|millis| Timestamp(millis).into())
}

/// A mail of the outbox. Codes and links that let somebody in are redacted.
#[guarded(SERVER, graphql(name = "Email"))]
impl EmailObject {
    /// The id, the same as over REST.
    #[access(SERVER)]
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// Where it stands.
    #[access(SERVER)]
    fn status(&self) -> Option<EmailStatus> {
        Status::parse(self.0.status).map(Into::into)
    }

    /// The same, roughly.
    #[access(SERVER)]
    fn simple_status(&self) -> Option<EmailSimpleStatus> {
        SimpleStatus::parse(self.0.simple_status).map(Into::into)
    }

    /// When it was enqueued.
    #[access(SERVER)]
    fn created_at(&self) -> DateTime {
        Timestamp(self.0.created_at_millis).into()
    }

    /// When it last changed.
    #[access(SERVER)]
    fn updated_at(&self) -> DateTime {
        Timestamp(self.0.updated_at_millis).into()
    }

    /// Not to be sent before.
    #[access(SERVER)]
    fn scheduled_at(&self) -> DateTime {
        Timestamp(self.0.scheduled_at_millis).into()
    }

    /// Held back.
    #[access(SERVER)]
    fn is_paused(&self) -> bool {
        self.0.is_paused
    }

    /// The addresses that it was given; none when it goes to the primary address of its user.
    #[access(SERVER)]
    fn to_addresses(&self) -> Vec<&str> {
        match &self.0.to {
            Recipient::UserPrimaryEmail { .. } => Vec::new(),
            Recipient::UserCustomEmails { emails, .. } | Recipient::CustomEmails { emails } => {
                emails.iter().map(String::as_str).collect()
            }
        }
    }

    /// The user it goes to; null for a mail to addresses, and once the user is gone.
    #[access(SERVER)]
    async fn to_user(&self, ctx: &Context<'_>) -> Result<Option<UserObject>> {
        match &self.0.to {
            Recipient::UserPrimaryEmail { user_id } | Recipient::UserCustomEmails { user_id, .. } => {
                Ok(Loaders::of(ctx)?.user(*user_id).await?.map(UserObject))
            }
            Recipient::CustomEmails { .. } => Ok(None),
        }
    }

    /// Subject; null until it is rendered.
    #[access(SERVER)]
    fn subject(&self) -> Option<&str> {
        self.0.content.as_ref().map(|content| content.subject.as_str())
    }

    /// HTML part; null until it is rendered.
    #[access(SERVER)]
    fn html(&self) -> Option<&str> {
        self.0.content.as_ref()?.html.as_deref()
    }

    /// Text part; null until it is rendered.
    #[access(SERVER)]
    fn text(&self) -> Option<&str> {
        self.0.content.as_ref()?.text.as_deref()
    }

    /// Whether the recipient cannot do without it; null until it is rendered.
    #[access(SERVER)]
    fn is_transactional(&self) -> Option<bool> {
        self.0.content.as_ref().map(|content| content.is_transactional)
    }

    /// Its notification category, if it has a known one.
    #[access(SERVER)]
    fn notification_category_id(&self) -> Option<ID> {
        self.0.content.as_ref()?.notification_category_id.map(IntoId::into_id)
    }

    /// Source of the template.
    #[access(SERVER)]
    fn source(&self) -> &str {
        &self.0.tsx_source
    }

    /// Its theme; null for none.
    #[access(SERVER)]
    fn theme_id(&self) -> Option<ID> {
        self.0.theme_id.as_ref().map(IntoId::into_id)
    }

    /// The project's template that it was made from.
    #[access(SERVER)]
    fn template_id(&self) -> Option<ID> {
        self.0.email_programmatic_call_template_id.as_ref().map(IntoId::into_id)
    }

    /// The draft that it was made from.
    #[access(SERVER)]
    fn draft_id(&self) -> Option<ID> {
        self.0.email_draft_id.as_ref().map(IntoId::into_id)
    }

    /// Variables of the template.
    #[access(SERVER)]
    fn variables(&self) -> Value {
        Value::Object(self.0.variables.clone())
    }

    /// Why it does not render.
    #[access(SERVER)]
    fn render_error(&self) -> Option<&str> {
        self.0.rendering.render_error.as_deref()
    }

    /// Why no server takes it.
    #[access(SERVER)]
    fn server_error(&self) -> Option<&str> {
        self.0.sending.server_error.as_deref()
    }

    /// Why it is not sent, as over REST.
    #[access(SERVER)]
    fn skipped_reason(&self) -> Option<&str> {
        self.0.sending.skipped_reason.as_deref()
    }

    /// Failed tries.
    #[access(SERVER)]
    fn send_retries(&self) -> i32 {
        self.0.send_retries
    }

    /// What was said at the failed tries, as over REST.
    #[access(SERVER)]
    fn send_attempt_errors(&self) -> Option<&Value> {
        self.0.send_attempt_errors.as_ref()
    }

    /// When the next try is due.
    #[access(SERVER)]
    fn next_send_retry_at(&self) -> Option<DateTime> {
        time(self.0.next_send_retry_at_millis)
    }

    /// Those of several recipients that the server refused, each with its reason.
    #[access(SERVER)]
    fn refused_recipients(&self) -> Option<&Value> {
        self.0.sending.refused_recipients.as_ref()
    }

    /// When the last try began.
    #[access(SERVER)]
    fn started_sending_at(&self) -> Option<DateTime> {
        time(self.0.sending.started_sending_at_millis)
    }

    /// When it arrived; when the server took it, where the provider does not report more.
    #[access(SERVER)]
    fn delivered_at(&self) -> Option<DateTime> {
        time(self.0.sending.delivered_at_millis)
    }

    /// When it came back.
    #[access(SERVER)]
    fn bounced_at(&self) -> Option<DateTime> {
        time(self.0.sending.bounced_at_millis)
    }

    /// When it was opened.
    #[access(SERVER)]
    fn opened_at(&self) -> Option<DateTime> {
        time(self.0.sending.opened_at_millis)
    }

    /// When a link in it was followed.
    #[access(SERVER)]
    fn clicked_at(&self) -> Option<DateTime> {
        time(self.0.sending.clicked_at_millis)
    }

    /// When it was called spam.
    #[access(SERVER)]
    fn marked_as_spam_at(&self) -> Option<DateTime> {
        time(self.0.sending.marked_as_spam_at_millis)
    }
}
