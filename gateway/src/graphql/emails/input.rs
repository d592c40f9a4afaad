//! What callers ask for when they send and change mails.

use async_graphql::{ID, InputObject, MaybeUndefined};
use postern_domain::emails::{Audience, Body, Recipient, SendEmails, Theme, UpdateEmail};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::graphql::{
    error::{Error, Result},
    scalars::{DateTime, parse_id, patch},
};

/// What to see.
#[derive(InputObject)]
pub(crate) struct EmailPreviewInput {
    /// A template of the project; or else:
    pub(super) template_id: Option<ID>,
    /// The source of one.
    pub(super) source: Option<String>,
    /// A theme of the project; the selected one when nothing is said of themes.
    pub(super) theme_id: Option<ID>,
    /// The source of a theme.
    pub(super) theme_source: Option<String>,
    /// No theme at all.
    #[graphql(default)]
    pub(super) no_theme: bool,
}

/// A mail to users. Its content is one of `html`, `templateId` and `draftId`.
#[derive(InputObject)]
pub(crate) struct SendEmailInput {
    /// To these users, at most 10,000; or else:
    user_ids: Option<Vec<ID>>,
    /// To everybody who has signed up by now, anonymous users too.
    #[graphql(default)]
    all_users: bool,
    /// This HTML.
    html: Option<String>,
    /// A template of the project.
    template_id: Option<ID>,
    /// The template's variables, an object.
    variables: Option<Value>,
    /// A draft.
    draft_id: Option<ID>,
    /// Instead of the template's subject.
    subject: Option<String>,
    /// Instead of the template's category.
    notification_category_name: Option<String>,
    /// Its theme; null for the selected one, as is when not given but for drafts, which have their own.
    theme_id: MaybeUndefined<ID>,
    /// No theme at all.
    #[graphql(default)]
    no_theme: bool,
    /// Goes before others of the project.
    #[graphql(default)]
    is_high_priority: bool,
    /// Not to be sent before.
    scheduled_at: Option<DateTime>,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

impl TryFrom<SendEmailInput> for SendEmails {
    type Error = Error;

    fn try_from(input: SendEmailInput) -> Result<Self> {
        let to = match (input.user_ids, input.all_users) {
            (Some(ids), false) => {
                let ids = ids.iter().map(|id| parse_id(id, "userIds")).collect::<Result<_>>()?;
                Some(Audience::Users(ids))
            }
            (None, true) => Some(Audience::Everybody),
            _ => None,
        };
        let content = match (input.html, input.template_id, input.draft_id, input.variables) {
            (Some(html), None, None, None) => Body::Html(html),
            (None, Some(id), None, given) => {
                Body::Template { id: id.0, variables: given.map(variables).transpose()?.unwrap_or_default() }
            }
            (None, None, Some(id), None) => Body::Draft(parse_id(&id, "draftId")?),
            _ => {
                let one = "Give exactly one of `html`, `templateId` and `draftId`; `variables` go with `templateId`.";
                return Err(Error::bad_input(one));
            }
        };
        let theme = match (input.theme_id, input.no_theme) {
            (MaybeUndefined::Undefined, false) => None,
            (MaybeUndefined::Null, false) => Some(Theme::Selected),
            (MaybeUndefined::Value(id), false) => Some(own_theme(&id)?),
            (MaybeUndefined::Undefined, true) => Some(Theme::None),
            _ => return Err(Error::bad_input("Give at most one of `themeId` and `noTheme`.")),
        };
        Ok(Self {
            to,
            content,
            theme,
            subject: input.subject,
            notification_category_name: input.notification_category_name,
            is_high_priority: input.is_high_priority,
            scheduled_at: input.scheduled_at.map(|at| at.0),
        })
    }
}

/// The theme of this id.
pub(super) fn own_theme(id: &ID) -> Result<Theme> {
    Ok(Theme::Id(parse_id::<Uuid>(id, "themeId")?.to_string()))
}

fn variables(value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(variables) => Ok(variables),
        _ => Err(Error::bad_input("`variables` must be an object.")),
    }
}

/// To whom a mail goes: to a user, at its primary address or at others, or to addresses.
#[derive(InputObject)]
pub(crate) struct EmailToInput {
    /// The user.
    user_id: Option<ID>,
    /// The addresses; with a user, its primary one when none are given.
    addresses: Option<Vec<String>>,
}

impl TryFrom<EmailToInput> for Recipient {
    type Error = Error;

    fn try_from(to: EmailToInput) -> Result<Self> {
        let user_id = to.user_id.map(|id| parse_id(&id, "to.userId")).transpose()?;
        Ok(match (user_id, to.addresses) {
            (Some(user_id), None) => Self::UserPrimaryEmail { user_id },
            (Some(user_id), Some(emails)) => Self::UserCustomEmails { user_id, emails },
            (None, Some(emails)) => Self::CustomEmails { emails },
            (None, None) => return Err(Error::bad_input("`to` needs `userId` or `addresses`.")),
        })
    }
}

/// What to change of a mail that has not left: what is not given stays.
#[derive(InputObject)]
pub(crate) struct UpdateEmailInput {
    /// The mail.
    pub(super) id: ID,
    /// Not to send it at all. Then nothing else counts.
    #[graphql(default)]
    cancel: bool,
    /// Whether it is held back.
    is_paused: Option<bool>,
    /// Not to be sent before.
    scheduled_at: Option<DateTime>,
    /// Whether no deliverability checker is asked.
    skip_deliverability_check: Option<bool>,
    /// Another source. Renders and sends the mail anew, as do the next three.
    source: Option<String>,
    /// Another theme; null for none.
    theme_id: MaybeUndefined<ID>,
    /// Somebody else.
    to: Option<EmailToInput>,
    /// Other variables, an object.
    variables: Option<Value>,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

impl TryFrom<UpdateEmailInput> for UpdateEmail {
    type Error = Error;

    fn try_from(input: UpdateEmailInput) -> Result<Self> {
        Ok(Self {
            cancel: input.cancel,
            is_paused: input.is_paused,
            scheduled_at: input.scheduled_at.map(|at| at.0),
            skip_deliverability_check: input.skip_deliverability_check,
            source: input.source,
            theme_id: patch(input.theme_id).try_map(|id| parse_id::<Uuid>(&id, "themeId"))?.map(|id| id.to_string()),
            to: input.to.map(TryInto::try_into).transpose()?,
            variables: input.variables.map(variables).transpose()?,
        })
    }
}

/// Makes mails leave faster.
#[derive(InputObject)]
pub(crate) struct BoostEmailCapacityInput {
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}

/// A mail server to try out.
#[derive(InputObject)]
pub(crate) struct SendTestEmailInput {
    /// Where to send the mail.
    pub(super) recipient: String,
    /// Host of the server.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
    /// User at the server; empty for none.
    #[graphql(default)]
    pub(super) username: String,
    /// Password at the server.
    #[graphql(default, secret)]
    pub(super) password: String,
    /// Display name of the sender.
    #[graphql(default)]
    pub(super) sender_name: String,
    /// Address of the sender.
    pub(super) sender_email: String,
}

/// Whom to invite to sign in.
#[derive(InputObject)]
pub(crate) struct InviteToSignInInput {
    /// The address.
    pub(super) email: String,
    /// Where the link leads: a URL that the project trusts.
    pub(super) callback_url: String,
    /// Makes the mutation repeatable for 24 hours.
    pub(super) idempotency_key: Option<String>,
}
