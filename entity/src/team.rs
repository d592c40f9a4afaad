//! Teams of a project.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, TeamId, Timestamp, positional::positional};

/// A row of `team`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "team")]
pub struct Model {
    /// The team.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TeamId,
    /// Owner.
    pub project_id: ProjectId,
    /// Any text, may be empty.
    pub display_name: String,
    /// The same as it is searched.
    pub display_name_folded: String,
    /// Picture.
    pub profile_image_url: Option<String>,
    /// Read and written by members and by servers.
    pub client_metadata: Option<Json>,
    /// Read by members, written by servers.
    pub client_read_only_metadata: Option<Json>,
    /// Read and written by servers only.
    pub server_metadata: Option<Json>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a column last changed.
    pub updated_at: Timestamp,
}

positional!(Model {
    id project_id display_name display_name_folded profile_image_url client_metadata client_read_only_metadata
    server_metadata created_at updated_at
});

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
