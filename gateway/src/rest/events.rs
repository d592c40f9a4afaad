//! `/events`: the log of what changed, for backends that would rather ask than be told. The twin of the query `events` of
//! GraphQL; each takes the cursors of the other.

use postern_domain::{
    Failure, Result, TeamId, Timestamp, UserId,
    events::{self, AuditFilter, EventFilter, EventKind, LoggedEvent},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    call::{ADMIN, Call, SERVER},
    input::{Empty, Ignored, Positive, input},
    reply::{Answer, List, Reply},
    routes::{About, Routes},
};
use crate::cursor;

/// The page when its size is not told.
const DEFAULT_LIMIT: u64 = 50;

pub(super) fn routes() -> Routes {
    let about = About::new("Events", "Reads what changed, oldest first", SERVER);
    let audit = About::new("Events", "Reads who did what, newest first", ADMIN);
    Routes::new().get("/events", read, about.query::<EventsQuery>()).get(
        "/audit-events",
        audit_log,
        audit.query::<AuditQuery>(),
    )
}

input! {
    /// `type`: one or several with commas between them.
    struct EventsQuery {
        after: Option<String>,
        limit: Option<Positive<200>>,
        kind as "type": Option<String>,
        user_id: Option<UserId>,
    }
}

input! {
    /// `type`: one or several with commas between them.
    struct AuditQuery {
        cursor: Option<String>,
        limit: Option<Positive<200>>,
        kind as "type": Option<String>,
        user_id: Option<UserId>,
    }
}

/// A stretch of the log.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EventFeed")]
struct Feed {
    items: Vec<EventView>,
    is_paginated: bool,
    pagination: Next,
    /// Whether more may lie behind it already.
    has_more: bool,
}

/// Where to go on, now or later.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EventFeedPagination")]
struct Next {
    next_cursor: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LoggedEvent")]
struct EventView {
    cursor: String,
    #[serde(rename = "type")]
    kind: &'static str,
    created_at_millis: Timestamp,
    user_id: Option<UserId>,
    team_id: Option<TeamId>,
    /// What a server saw right after the change; null once the user is deleted.
    data: Option<Value>,
}

impl EventView {
    fn of(event: LoggedEvent) -> Result<Self> {
        Ok(Self {
            cursor: cursor::encode(&event.position)?,
            kind: event.kind.as_str(),
            created_at_millis: event.created_at,
            user_id: event.user_id,
            team_id: event.team_id,
            data: event.payload,
        })
    }
}

async fn read(mut call: Call) -> Answer<Feed> {
    let actor = call.actor(SERVER)?;
    let (Empty, query, Ignored) = call.read::<_, EventsQuery, _>()?;
    let after = query.after.as_deref().map(|after| position("after", after)).transpose()?;
    let filter = EventFilter { kinds: kinds(query.kind.as_deref())?, user_id: query.user_id, team_id: None };
    let limit = query.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
    let page = events::read(&call.deps, &actor.project_id, after, &filter, limit).await?;
    Ok(Reply::ok(Feed {
        items: page.events.into_iter().map(EventView::of).collect::<Result<_>>()?,
        is_paginated: true,
        pagination: Next { next_cursor: cursor::encode(&page.position)? },
        has_more: page.has_more,
    }))
}

async fn audit_log(mut call: Call) -> Answer<List<EventView>> {
    let actor = call.actor(ADMIN)?;
    let (Empty, query, Ignored) = call.read::<_, AuditQuery, _>()?;
    let before = query.cursor.as_deref().map(|cursor| position("cursor", cursor)).transpose()?;
    let filter = AuditFilter { kinds: kinds(query.kind.as_deref())?, user_id: query.user_id };
    let limit = query.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
    let page = events::audit_log(&call.deps, &actor, before, &filter, limit).await?;
    let next = page.events.last().filter(|_| page.has_more).map(|event| cursor::encode(&event.position)).transpose()?;
    Ok(Reply::ok(List::page(page.events.into_iter().map(EventView::of).collect::<Result<_>>()?, next)))
}

fn position(name: &str, cursor: &str) -> Result<i64> {
    cursor::decode(cursor).ok_or_else(|| {
        Failure::schema(format!("query.{name} is no cursor of the log: use one that it answered")).into()
    })
}

fn kinds(names: Option<&str>) -> Result<Vec<EventKind>> {
    let parse = |name: &str| {
        let shown: String = name.chars().take(100).collect();
        name.parse().map_err(|_| Failure::schema(format!("query.type: there is no type of event {shown:?}")).into())
    };
    names.map_or_else(|| Ok(Vec::new()), |names| names.split(',').map(parse).collect())
}
