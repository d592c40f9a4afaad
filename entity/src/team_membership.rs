//! Who belongs to which team, with the profile shown there.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, TeamId, Timestamp, UserId};

/// A row of `team_membership`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "team_membership")]
pub struct Model {
    /// The team.
    #[sea_orm(primary_key, auto_increment = false)]
    pub team_id: TeamId,
    /// The member.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Owner of both.
    pub project_id: ProjectId,
    /// The team that the user has selected; at most one per user.
    pub is_selected: bool,
    /// Overrides the display name of the user within the team.
    pub display_name: Option<String>,
    /// Overrides the picture of the user within the team.
    pub profile_image_url: Option<String>,
    /// When the user joined.
    pub created_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
