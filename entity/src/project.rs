//! Projects: the tenants. Every other row belongs to one.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, TeamId, Timestamp};

/// A row of `project`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "project")]
pub struct Model {
    /// `internal` or a UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ProjectId,
    /// Shown to people; may be empty.
    pub display_name: String,
    /// Never null; empty when unset.
    pub description: String,
    /// Logo.
    pub logo_url: Option<String>,
    /// Wide logo.
    pub logo_full_url: Option<String>,
    /// Logo on dark ground.
    pub logo_dark_mode_url: Option<String>,
    /// Wide logo on dark ground.
    pub logo_full_dark_mode_url: Option<String>,
    /// A flag for dashboards; the server enforces nothing by it.
    pub is_production_mode: bool,
    /// A flag for dashboards, set at creation.
    pub is_development_environment: bool,
    /// The team of project `internal` whose members administer this project.
    pub owner_team_id: Option<TeamId>,
    /// How far a dashboard has led the owner through set-up.
    pub onboarding_status: String,
    /// What the owner chose on the way; kept for dashboards.
    pub onboarding_state: Option<Json>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a column last changed.
    pub updated_at: Timestamp,
    /// Deleted: not there for anybody; its rows are being removed.
    pub deleted_at: Option<Timestamp>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
