//! Reading the outbox, as the REST contract shows it (wire: emails §1.4). Secrets are redacted here for everybody: the
//! readable columns never held them.

use postern_entity::{EmailId, Timestamp, UserId, email};
use schemars::JsonSchema;
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod view;

pub use self::view::{OutboxEmail, RenderedContent, Rendering, Sending};
use super::{
    status::{SimpleStatus, Status},
    store,
};
use crate::{
    actor::{Actor, Level},
    deps::Deps,
    error::{Error, Failure, Result, refuse},
};

/// The most mails of one page.
pub const MAX_PAGE: u32 = 200;
/// How many there are unless asked otherwise.
pub const DEFAULT_PAGE: u32 = 100;

/// Which mails to list.
#[derive(Clone, Debug, Default)]
pub struct ListEmails {
    /// Only those of this status.
    pub status: Option<Status>,
    /// Only those of this simple status.
    pub simple_status: Option<SimpleStatus>,
    /// How many, from 1 to [`MAX_PAGE`]; [`DEFAULT_PAGE`] when not given.
    pub limit: Option<u32>,
    /// The mail to begin with: it is the first of the page.
    pub cursor: Option<EmailId>,
    /// The place to begin behind.
    pub after: Option<Place>,
}

/// A place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// When the mail there was enqueued.
    pub created_at: Timestamp,
    /// The mail there.
    pub id: EmailId,
}

/// A page of the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Newest first.
    pub items: Vec<OutboxEmail>,
    /// The first mail of the next page.
    pub next_cursor: Option<EmailId>,
}

/// A page of the mails of the caller's project, newest first.
///
/// # Errors
/// `FORBIDDEN` below server level; `BAD_REQUEST` for a limit out of range or a cursor that is no mail of the project.
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor, wanted: &ListEmails) -> Result<Page> {
    require_server(actor)?;
    let limit = wanted.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return refuse(Failure::bad_request(format!("limit must be between 1 and {MAX_PAGE}")));
    }
    let mut found = filtered(actor, wanted);
    if let Some(after) = wanted.after {
        found = found.filter(behind(after));
    }
    if let Some(cursor) = wanted.cursor {
        let Some(first) = store::find(deps.db.read(), &actor.project_id, cursor).await? else {
            return refuse(Failure::bad_request("cursor is not the id of a mail of this project"));
        };
        let is_first = email::Column::Id.eq(first.id);
        let place = Place { created_at: first.created_at, id: first.id };
        found = found.filter(Condition::any().add(is_first).add(behind(place)));
    }
    let mut rows = found
        .order_by_desc(email::Column::CreatedAt)
        .order_by_asc(email::Column::Id)
        .limit(u64::from(limit) + 1)
        .all(deps.db.read())
        .await?;
    let next_cursor = if rows.len() > limit as usize { rows.pop().map(|row| row.id) } else { None };
    Ok(Page { items: rows.into_iter().map(OutboxEmail::of).collect::<Result<_>>()?, next_cursor })
}

/// A mail at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RecentEmail {
    /// The mail.
    pub id: EmailId,
    /// Its subject; empty until it is rendered.
    pub subject: String,
    /// When it was sent, or is to be.
    pub sent_at_millis: i64,
    /// To whom.
    pub to: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// The newest mails of the caller's project, at most a hundred (wire: emails §10).
///
/// # Errors
/// `FORBIDDEN` below ADMIN.
#[crate::boxed]
pub async fn recent(deps: &Deps, actor: &Actor) -> Result<Vec<RecentEmail>> {
    if actor.level < Level::Admin {
        return refuse(Failure::forbidden("the newest mails need admin access"));
    }
    let rows = email::Entity::find()
        .filter(email::Column::ProjectId.eq(actor.project_id.clone()))
        .order_by_desc(email::Column::CreatedAt)
        .order_by_asc(email::Column::Id)
        .limit(u64::from(DEFAULT_PAGE))
        .all(deps.db.read())
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(RecentEmail {
                to: addressees(row.recipient_user_id, row.recipient_emails)?,
                id: row.id,
                subject: row.rendered_subject.unwrap_or_default(),
                sent_at_millis: row.finished_sending_at.unwrap_or(row.scheduled_at).millis(),
                error: row.render_error.or(row.send_error),
            })
        })
        .collect()
}

/// To whom a mail goes, for people: its addresses, or the user whose primary one it goes to.
pub(super) fn addressees(user_id: Option<UserId>, emails: Value) -> Result<Vec<String>> {
    let emails: Vec<String> = serde_json::from_value(emails).map_err(Error::internal)?;
    Ok(match user_id {
        Some(user_id) if emails.is_empty() => vec![format!("User ID: {user_id}")],
        _ => emails,
    })
}

/// One mail of the caller's project.
///
/// # Errors
/// `FORBIDDEN` below server level; `NOT_FOUND` when the project has no such mail.
#[crate::boxed]
pub async fn get(deps: &Deps, actor: &Actor, id: EmailId) -> Result<OutboxEmail> {
    require_server(actor)?;
    match store::find(deps.db.read(), &actor.project_id, id).await? {
        Some(row) => OutboxEmail::of(row),
        None => refuse(not_found()),
    }
}

pub(super) fn not_found() -> Failure {
    Failure::not_found("There is no such email.")
}

pub(super) fn require_server(actor: &Actor) -> Result<()> {
    if actor.is_server() { Ok(()) } else { refuse(Failure::forbidden("the outbox needs server access")) }
}

/// How many mails of the caller's project the filters of `wanted` let through.
///
/// # Errors
/// `FORBIDDEN` below server level.
#[crate::boxed]
pub async fn count(deps: &Deps, actor: &Actor, wanted: &ListEmails) -> Result<u64> {
    require_server(actor)?;
    Ok(filtered(actor, wanted).count(deps.db.read()).await?)
}

fn filtered(actor: &Actor, wanted: &ListEmails) -> Select<email::Entity> {
    let mut found = email::Entity::find().filter(email::Column::ProjectId.eq(actor.project_id.clone()));
    if let Some(status) = wanted.status {
        found = found.filter(status.condition());
    }
    if let Some(simple) = wanted.simple_status {
        found = found.filter(simple.condition());
    }
    found
}

/// What stands below a place in the order of the list.
fn behind(place: Place) -> Condition {
    let same_instant =
        Condition::all().add(email::Column::CreatedAt.eq(place.created_at)).add(email::Column::Id.gt(place.id));
    Condition::any().add(email::Column::CreatedAt.lt(place.created_at)).add(same_instant)
}
