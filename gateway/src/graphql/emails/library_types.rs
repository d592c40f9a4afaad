//! What mails are made from, and what became of them, as the schema shows them.

use async_graphql::{Enum, ID};
use postern_domain::emails::{
    DeliveryInfo, Sent, Theme,
    library::{drafts::Draft, preview::Preview, templates::Template, themes},
};
use postern_gateway_macros::guarded;

use crate::graphql::scalars::{DateTime, IntoId, SafeInt};

/// Which theme something wears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum EmailThemeUse {
    /// The one that the project has selected.
    Selected,
    /// None.
    None,
    /// One of its own.
    Own,
}

fn theme_use(theme: &Theme) -> EmailThemeUse {
    match theme {
        Theme::Selected => EmailThemeUse::Selected,
        Theme::None => EmailThemeUse::None,
        Theme::Id(_) => EmailThemeUse::Own,
    }
}

fn theme_id(theme: &Theme) -> Option<ID> {
    match theme {
        Theme::Id(id) => Some(id.into_id()),
        Theme::Selected | Theme::None => None,
    }
}

/// A template.
pub(crate) struct EmailTemplateObject(pub(crate) Template);

/// What mails are made from.
#[guarded(ADMIN, graphql(name = "EmailTemplate"))]
impl EmailTemplateObject {
    /// Its id.
    #[access(ADMIN)]
    fn id(&self) -> ID {
        (&self.0.id).into_id()
    }

    /// Its name, for people.
    #[access(ADMIN)]
    fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// Its source: MiniJinja over MJML.
    #[access(ADMIN)]
    fn source(&self) -> &str {
        &self.0.source
    }

    /// Which theme its mails wear.
    #[access(ADMIN)]
    fn theme(&self) -> EmailThemeUse {
        theme_use(&self.0.theme)
    }

    /// Its own theme.
    #[access(ADMIN)]
    fn theme_id(&self) -> Option<ID> {
        theme_id(&self.0.theme)
    }
}

/// A theme.
pub(crate) struct EmailThemeObject(pub(crate) themes::Theme);

/// What stands around the content of mails.
#[guarded(ADMIN, graphql(name = "EmailTheme"))]
impl EmailThemeObject {
    /// Its id.
    #[access(ADMIN)]
    fn id(&self) -> ID {
        (&self.0.id).into_id()
    }

    /// Its name, for people.
    #[access(ADMIN)]
    fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// Its source: MiniJinja over MJML.
    #[access(ADMIN)]
    fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether mails wear it unless told otherwise.
    #[access(ADMIN)]
    fn is_selected(&self) -> bool {
        self.0.is_selected
    }
}

/// A draft.
pub(crate) struct EmailDraftObject(pub(crate) Draft);

/// A mail that somebody writes before it is sent.
#[guarded(ADMIN, graphql(name = "EmailDraft"))]
impl EmailDraftObject {
    /// Its id.
    #[access(ADMIN)]
    fn id(&self) -> ID {
        self.0.id.into_id()
    }

    /// Its name, for people.
    #[access(ADMIN)]
    fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// Its source: MiniJinja over MJML.
    #[access(ADMIN)]
    fn source(&self) -> &str {
        &self.0.source
    }

    /// Which theme its mails wear.
    #[access(ADMIN)]
    fn theme(&self) -> EmailThemeUse {
        theme_use(&self.0.theme)
    }

    /// Its own theme.
    #[access(ADMIN)]
    fn theme_id(&self) -> Option<ID> {
        theme_id(&self.0.theme)
    }

    /// When it was last changed.
    #[access(ADMIN)]
    fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    /// When it was last sent.
    #[access(ADMIN)]
    fn sent_at(&self) -> Option<DateTime> {
        self.0.sent_at.map(Into::into)
    }
}

/// A preview.
pub(crate) struct EmailPreviewObject(pub(crate) Preview);

/// What a template looks like with its examples.
#[guarded(ADMIN, graphql(name = "EmailPreview"))]
impl EmailPreviewObject {
    /// Subject.
    #[access(ADMIN)]
    fn subject(&self) -> &str {
        &self.0.subject
    }

    /// HTML part.
    #[access(ADMIN)]
    fn html(&self) -> &str {
        &self.0.html
    }

    /// Text part.
    #[access(ADMIN)]
    fn text(&self) -> &str {
        &self.0.text
    }

    /// Name of the notification category that it states.
    #[access(ADMIN)]
    fn notification_category(&self) -> Option<&str> {
        self.0.notification_category.as_deref()
    }
}

/// What became of mails, and how many may leave.
pub(crate) struct EmailDeliveryInfoObject(pub(crate) DeliveryInfo);

/// What became of the project's mails, and how many may leave.
#[guarded(SERVER, graphql(name = "EmailDeliveryInfo"))]
impl EmailDeliveryInfoObject {
    /// In the last hour.
    #[access(SERVER)]
    fn last_hour(&self) -> EmailsSent {
        self.0.stats.hour.into()
    }

    /// In the last day.
    #[access(SERVER)]
    fn last_day(&self) -> EmailsSent {
        self.0.stats.day.into()
    }

    /// In the last week.
    #[access(SERVER)]
    fn last_week(&self) -> EmailsSent {
        self.0.stats.week.into()
    }

    /// In the last thirty days.
    #[access(SERVER)]
    fn last_month(&self) -> EmailsSent {
        self.0.stats.month.into()
    }

    /// Mails per second that may leave now.
    #[access(SERVER)]
    fn rate_per_second(&self) -> f64 {
        self.0.rate_per_second
    }

    /// From 0.1 to 1: what is left of the rate for mails that came back or were called spam.
    #[access(SERVER)]
    fn penalty_factor(&self) -> f64 {
        self.0.penalty_factor
    }

    /// Whether mails leave faster now.
    #[access(SERVER)]
    fn is_boost_active(&self) -> bool {
        self.0.is_boost_active
    }

    /// Until when they do, or last did.
    #[access(SERVER)]
    fn boost_expires_at(&self) -> Option<DateTime> {
        self.0.boost_expires_at.map(Into::into)
    }
}

/// What was sent in a window of time, and how it was received.
#[guarded(SERVER)]
pub(crate) struct EmailsSent {
    /// Taken by a server.
    #[access(SERVER)]
    sent: SafeInt,
    /// Of these, came back.
    #[access(SERVER)]
    bounced: SafeInt,
    /// Of these, called spam.
    #[access(SERVER)]
    marked_as_spam: SafeInt,
}

impl From<Sent> for EmailsSent {
    fn from(sent: Sent) -> Self {
        let Sent { sent, bounced, marked_as_spam } = sent;
        Self { sent: SafeInt(sent), bounced: SafeInt(bounced), marked_as_spam: SafeInt(marked_as_spam) }
    }
}
