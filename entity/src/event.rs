//! The event log: what changed, in the order others may read it.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, TeamId, Timestamp, UserId};

/// A row of `event`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// Order of writing. Not the order of commits, so nothing may be read by it.
    #[sea_orm(primary_key)]
    pub seq: i64,
    /// Place in the log, without gaps over all projects; null until the sequencer has seen the committed row.
    pub position: Option<i64>,
    /// Owner.
    pub project_id: ProjectId,
    /// The type as text, such as `user.created`.
    pub kind: String,
    /// The user it is about.
    pub user_id: Option<UserId>,
    /// The team it is about.
    pub team_id: Option<TeamId>,
    /// The server's view right after the change; null once erased.
    pub payload: Option<Json>,
    /// When the change was made.
    pub created_at: Timestamp,
    /// The place in a trace of what caused it, as W3C's `traceparent`.
    pub traceparent: Option<String>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
