//! Mails that somebody writes before they are sent.

use sea_orm::entity::prelude::*;

use crate::{EmailDraftId, ProjectId, Timestamp};

/// A row of `email_draft`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "email_draft")]
pub struct Model {
    /// The draft.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EmailDraftId,
    /// Owner.
    pub project_id: ProjectId,
    /// Its name, for people.
    pub display_name: String,
    /// Source of the template.
    pub template_source: String,
    /// Chosen theme; null means none, or the project's selection.
    pub theme_id: Option<String>,
    /// Sent with whatever theme the project has selected by then.
    pub uses_selected_theme: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was last sent.
    pub sent_at: Option<Timestamp>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
