//! Reading the log, by position alone.

use postern_entity::{
    ProjectId, TeamId, Timestamp, UserId,
    event::{self, Column},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;

use super::{Audience, EventKind, sequencer::head};
use crate::{Code, Deps, Failure, Result, error::refuse, trace::TraceContext};

/// The longest page of [`read`].
pub const MAX_PAGE: u64 = 200;

/// An event with its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEvent {
    /// Its place, without gaps over all projects.
    pub position: i64,
    /// Where it happened.
    pub project_id: ProjectId,
    /// What happened.
    pub kind: EventKind,
    /// The user it is about.
    pub user_id: Option<UserId>,
    /// The team it is about.
    pub team_id: Option<TeamId>,
    /// The server's view right after the change; none once its user was deleted.
    pub payload: Option<Value>,
    /// When the change was made.
    pub created_at: Timestamp,
    /// The place in a trace of what caused it.
    pub cause: Option<TraceContext>,
}

/// What to read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFilter {
    /// Only these types; all when empty.
    pub kinds: Vec<EventKind>,
    /// Only what is about this user.
    pub user_id: Option<UserId>,
    /// Only what is about this team.
    pub team_id: Option<TeamId>,
}

impl EventFilter {
    /// What a user may follow: everything about it but what is there for audit alone.
    #[must_use]
    pub fn of_user(user_id: UserId) -> Self {
        let kinds = EventKind::ALL.iter().copied().filter(|kind| kind.audience() != Audience::None).collect();
        Self { kinds, user_id: Some(user_id), team_id: None }
    }

    /// What members of a team may follow: the same about the team, but for what it has, which is for those who administer it.
    #[must_use]
    pub fn of_team(team_id: TeamId) -> Self {
        let is_shown = |kind: &EventKind| kind.audience() != Audience::None && *kind != EventKind::ItemChanged;
        let kinds = EventKind::ALL.iter().copied().filter(is_shown).collect();
        Self { kinds, user_id: None, team_id: Some(team_id) }
    }
}

/// A stretch of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPage {
    /// What fits the filter, oldest first.
    pub events: Vec<LoggedEvent>,
    /// The stretch reaches up to here: read on after it. Beyond the last event when nothing else fits.
    pub position: i64,
    /// More may lie behind it already.
    pub has_more: bool,
}

/// Reads at most `limit` (and [`MAX_PAGE`]) events of a project after a position, or from the oldest that is kept.
///
/// # Errors
/// `CURSOR_EXPIRED` when events after that position are no longer kept, or when it lies beyond the end of the log: the
/// reader cannot go on without a gap. Those of the database.
#[crate::boxed]
pub async fn read(
    deps: &Deps,
    project_id: &ProjectId,
    after: Option<i64>,
    filter: &EventFilter,
    limit: u64,
) -> Result<EventPage> {
    let limit = limit.clamp(1, MAX_PAGE);
    let end = head(deps).await?.position;
    let mut query = event::Entity::find()
        .filter(Column::ProjectId.eq(project_id.clone()))
        .filter(Column::Position.gt(after.unwrap_or(0)))
        .filter(Column::Position.lte(end));
    if !filter.kinds.is_empty() {
        query = query.filter(Column::Kind.is_in(filter.kinds.iter().map(|kind| kind.as_str())));
    }
    if let Some(user_id) = filter.user_id {
        query = query.filter(Column::UserId.eq(user_id));
    }
    if let Some(team_id) = filter.team_id {
        query = query.filter(Column::TeamId.eq(team_id));
    }
    let rows = query.order_by_asc(Column::Position).limit(limit).all(deps.db.read()).await?;
    // Looked at last: whatever was pruned while the rows were read shows here.
    let pruned = head(deps).await?.pruned_position;
    if after.is_some_and(|after| after < pruned || after > end) {
        return refuse(cursor_expired());
    }
    let has_more = rows.len() as u64 == limit;
    let last = rows.last().and_then(|row| row.position);
    let position = if has_more { last.unwrap_or(end) } else { end.max(after.unwrap_or(0)) };
    // A newer version may have written types that this one does not know: those are for its readers.
    Ok(EventPage { events: rows.into_iter().filter_map(logged).collect(), position, has_more })
}

/// The newest position: reading after it answers only what is yet to come.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn newest(deps: &Deps) -> Result<i64> {
    Ok(head(deps).await?.position)
}

/// The smallest `after` that [`read`] accepts.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn oldest(deps: &Deps) -> Result<i64> {
    Ok(head(deps).await?.pruned_position)
}

fn cursor_expired() -> Failure {
    Failure::new(
        Code::CursorExpired,
        "The events after this cursor are no longer kept. Read the present state, then follow from the newest event.",
    )
}

/// `None` for rows without a position or of a type that this version does not know.
pub(super) fn logged(row: event::Model) -> Option<LoggedEvent> {
    Some(LoggedEvent {
        position: row.position?,
        kind: row.kind.parse().ok()?,
        project_id: row.project_id,
        user_id: row.user_id,
        team_id: row.team_id,
        payload: row.payload,
        created_at: row.created_at,
        cause: row.traceparent.and_then(|cause| cause.parse().ok()),
    })
}
