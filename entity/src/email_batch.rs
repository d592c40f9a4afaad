//! One content for many users, put into the outbox a few mails at a time. A row is gone once all of them are there.

use sea_orm::entity::prelude::*;

use crate::{EmailBatchId, ProjectId, Timestamp, UserId};

/// A row of `email_batch`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "email_batch")]
pub struct Model {
    /// The batch.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EmailBatchId,
    /// Owner.
    pub project_id: ProjectId,
    /// What the mails say and how they are sent (`domain::emails::compose`).
    pub content: Json,
    /// List of the users; null for everybody who had signed up when it was made.
    pub user_ids: Option<Json>,
    /// How many users of the list have their mail.
    pub done: i32,
    /// For everybody: when the last user who has a mail signed up.
    pub after_signed_up_at: Option<Timestamp>,
    /// For everybody: that user.
    pub after_user_id: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
