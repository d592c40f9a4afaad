//! `/emails/outbox`: what became of the project's mails.

use postern_domain::{
    EmailId, Failure,
    emails::{
        self, SimpleStatus, Status, UpdateEmail,
        outbox::{self, DEFAULT_PAGE, ListEmails, OutboxEmail},
    },
    patch::Patch,
};
use uuid::Uuid;

use super::fields::{AnyObject, Millis, ToInput, True};
use crate::rest::{
    call::{Call, SERVER},
    input::{Empty, Ignored, Text, input},
    reply::{Answer, List, Refusal, Reply},
    routes::{About, Routes},
};

/// Longer than any status, number or id.
const MAX_WORD_CHARS: usize = 100;
type Word = Text<MAX_WORD_CHARS>;

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Emails", summary, SERVER);
    let one = "/emails/outbox/{id}";
    Routes::new()
        .get("/emails/outbox", list, about("Lists the mails of the outbox").query::<ListQuery>())
        .get(one, get, about("Reads a mail of the outbox").path::<EmailPath>())
        .patch(one, update, about("Changes a mail that has not left").path::<EmailPath>().body::<EmailPatch>())
}

input! {
    struct EmailPath { id: EmailId }
}

input! {
    struct EmailPatch {
        cancel: Option<True>,
        is_paused: Option<bool>,
        scheduled_at_millis: Option<Millis>,
        skip_deliverability_check: Option<bool>,
        tsx_source: Option<String>,
        theme_id: Patch<Uuid>,
        to: Option<ToInput>,
        variables: Option<AnyObject>,
    }
}

impl From<EmailPatch> for UpdateEmail {
    fn from(patch: EmailPatch) -> Self {
        Self {
            cancel: patch.cancel.is_some(),
            is_paused: patch.is_paused,
            scheduled_at: patch.scheduled_at_millis.map(|Millis(at)| at),
            skip_deliverability_check: patch.skip_deliverability_check,
            source: patch.tsx_source,
            theme_id: patch.theme_id.map(|id| id.to_string()),
            to: patch.to.map(|ToInput(to)| to),
            variables: patch.variables.map(|AnyObject(variables)| variables),
        }
    }
}

input! {
    /// Words that the contract refuses with a text, not as a violation of the schema.
    struct ListQuery { status: Option<Word>, simple_status: Option<Word>, limit: Option<Word>, cursor: Option<Word> }
}

impl TryFrom<ListQuery> for ListEmails {
    type Error = Refusal;

    fn try_from(query: ListQuery) -> Result<Self, Refusal> {
        let limit = |text: &str| text.parse().ok().filter(|limit| (1..=DEFAULT_PAGE).contains(limit));
        let cursor = |text: &str| text.parse().ok();
        Ok(Self {
            status: word(query.status, Status::parse, "status is none of the statuses of an email")?,
            simple_status: word(
                query.simple_status,
                SimpleStatus::parse,
                "simple_status must be in-progress, ok or error",
            )?,
            limit: word(query.limit, limit, &format!("limit must be a whole number from 1 to {DEFAULT_PAGE}"))?,
            cursor: word(query.cursor, cursor, "cursor must be the id of an email")?,
            after: None,
        })
    }
}

fn word<T>(word: Option<Word>, parse: impl Fn(&str) -> Option<T>, otherwise: &str) -> Result<Option<T>, Refusal> {
    match word {
        None => Ok(None),
        Some(Text(text)) => match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(Failure::bad_request(otherwise.to_owned()).into()),
        },
    }
}

async fn list(mut call: Call) -> Answer<List<OutboxEmail>> {
    let actor = call.actor(SERVER)?;
    let (_, query, _) = call.read::<Empty, ListQuery, Ignored>()?;
    let page = outbox::list(&call.deps, &actor, &query.try_into()?).await?;
    Ok(Reply::ok(List::page(page.items, page.next_cursor.map(|id| id.to_string()))))
}

async fn get(mut call: Call) -> Answer<OutboxEmail> {
    let actor = call.actor(SERVER)?;
    let (path, _, _) = call.read::<EmailPath, Ignored, Ignored>()?;
    Ok(Reply::ok(outbox::get(&call.deps, &actor, path.id).await?))
}

async fn update(mut call: Call) -> Answer<OutboxEmail> {
    let actor = call.actor(SERVER)?;
    let (path, _, patch) = call.read::<EmailPath, Ignored, EmailPatch>()?;
    Ok(Reply::ok(emails::update(&call.deps, &actor, path.id, patch.into()).await?))
}
