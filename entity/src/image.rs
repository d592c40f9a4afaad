//! Uploaded pictures.

use sea_orm::entity::prelude::*;

use crate::{ImageId, ProjectId, TeamId, Timestamp, UserId};

/// A row of `image`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "image")]
pub struct Model {
    /// The picture.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ImageId,
    /// Owner.
    pub project_id: ProjectId,
    /// Whose it is; with a team, as that member of the team.
    pub user_id: Option<UserId>,
    /// The team whose it is.
    pub team_id: Option<TeamId>,
    /// The field, where it is a picture of the project itself.
    pub slot: Option<String>,
    /// MIME type.
    pub content_type: String,
    /// The content.
    pub content: Vec<u8>,
    /// When it was uploaded.
    pub created_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
