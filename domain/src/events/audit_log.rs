//! Looking back at who did what, newest first, for administrators.

use postern_entity::{
    UserId,
    event::{self, Column},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{EventKind, LoggedEvent, MAX_PAGE, read::logged, sequencer::head};
use crate::{Actor, Deps, Failure, Level, Result, error::refuse};

/// What to look for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditFilter {
    /// Only these types; all that are there for audit when empty.
    pub kinds: Vec<EventKind>,
    /// Only what is about this user.
    pub user_id: Option<UserId>,
}

/// A stretch of what happened, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditPage {
    /// What fits.
    pub events: Vec<LoggedEvent>,
    /// Older ones fit, too.
    pub has_more: bool,
}

/// Reads at most `limit` (and [`MAX_PAGE`]) entries of the caller's project that are older than a position, newest first. They
/// are kept as long as the log ([`super::RETENTION_DAYS`]).
///
/// # Errors
/// `FORBIDDEN` below admin level; `SCHEMA_ERROR` for types that are not there for audit.
#[crate::boxed]
pub async fn audit_log(
    deps: &Deps,
    actor: &Actor,
    before: Option<i64>,
    filter: &AuditFilter,
    limit: u64,
) -> Result<AuditPage> {
    if actor.level != Level::Admin {
        return refuse(Failure::forbidden("The audit log is for administrators."));
    }
    if let Some(kind) = filter.kinds.iter().find(|kind| !kind.is_audit()) {
        return refuse(Failure::schema(format!("types: {kind} is not there for audit")));
    }
    let limit = limit.clamp(1, MAX_PAGE);
    let end = head(deps).await?.position;
    let audit: Vec<_> = EventKind::ALL.iter().copied().filter(|kind| kind.is_audit()).collect();
    let kinds = if filter.kinds.is_empty() { &audit } else { &filter.kinds };
    let mut query = event::Entity::find()
        .filter(Column::ProjectId.eq(actor.project_id.clone()))
        .filter(Column::Position.lte(end.min(before.map_or(end, |before| before.saturating_sub(1)))))
        .filter(Column::Kind.is_in(kinds.iter().map(|kind| kind.as_str())));
    if let Some(user_id) = filter.user_id {
        query = query.filter(Column::UserId.eq(user_id));
    }
    let mut rows = query.order_by_desc(Column::Position).limit(limit + 1).all(deps.db.read()).await?;
    let has_more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(AuditPage { events: rows.into_iter().filter_map(logged).collect(), has_more })
}

#[cfg(test)]
mod tests;
