//! How fast each project may send mails, and how it goes.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp};

/// A row of `email_quota`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "email_quota")]
pub struct Model {
    /// The project.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: ProjectId,
    /// When a mail sent at the allowed rate from the beginning would be due next.
    pub next_at: Timestamp,
    /// Time between two mails at the allowed rate, in milliseconds.
    pub interval_millis: i64,
    /// When the rate was last computed.
    pub computed_at: Timestamp,
    /// Until then the project may send faster.
    pub boost_expires_at: Option<Timestamp>,
    /// Since when its server has not taken a mail because it could not be reached or did not answer; null while it does.
    pub failing_since: Option<Timestamp>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
