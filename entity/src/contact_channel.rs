//! Contact channels of users: e-mail addresses.

use sea_orm::entity::prelude::*;

use crate::{ContactChannelId, ProjectId, Timestamp, UserId, positional::positional};

/// A row of `contact_channel`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "contact_channel")]
pub struct Model {
    /// The channel.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ContactChannelId,
    /// Owner.
    pub project_id: ProjectId,
    /// Whose it is.
    pub user_id: UserId,
    /// Always `email`.
    pub kind: String,
    /// Normalised: trimmed, lower case.
    pub value: String,
    /// At most one per user and kind.
    pub is_primary: bool,
    /// The user has proven to hold it.
    pub is_verified: bool,
    /// Usable to sign in; unique per project and value.
    pub used_for_auth: bool,
    /// When it was added.
    pub created_at: Timestamp,
}

positional!(Model {
    id project_id user_id kind value is_primary is_verified used_for_auth created_at
});

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
