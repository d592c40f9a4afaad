//! The job queue.

use sea_orm::entity::prelude::*;

use crate::{JobId, ProjectId, Timestamp};

/// A row of `job`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    /// The job.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: JobId,
    /// Owner; null for the installation's own jobs.
    pub project_id: Option<ProjectId>,
    /// Which pool of slots runs it.
    pub lane: String,
    /// What is to be done.
    pub kind: String,
    /// Unique within the kind: a second job with the same key is not made.
    pub key: Option<String>,
    /// What the handler needs.
    pub payload: Json,
    /// How far it has come.
    pub state: JobState,
    /// Smaller runs sooner.
    pub priority: i32,
    /// Pending: from when on it may run. Running: when the lease ends and others may take the job over.
    pub due_at: Timestamp,
    /// How often it was claimed.
    pub attempts: i32,
    /// Claimed this often without an end, it is dead.
    pub max_attempts: i32,
    /// Raised by every claim: an ack with an older number is refused.
    pub fence: i64,
    /// How many of the latest attempts in a row never ended, so that the job was taken over.
    pub takeovers: i32,
    /// Who claimed it last; for people.
    pub worker: Option<String>,
    /// What went wrong last; for people.
    pub last_error: Option<String>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it was done or died; null while it is open.
    pub finished_at: Option<Timestamp>,
    /// From when on the row may be removed; null while it is open, and for dead jobs.
    pub prune_at: Option<Timestamp>,
    /// The place in a trace of what caused it, as W3C's `traceparent`.
    pub traceparent: Option<String>,
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum JobState {
    /// Waits for its time and a slot.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// Claimed under a lease.
    #[sea_orm(string_value = "running")]
    Running,
    /// Ended well.
    #[sea_orm(string_value = "done")]
    Done,
    /// Given up; kept until somebody looks at it.
    #[sea_orm(string_value = "dead")]
    Dead,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
