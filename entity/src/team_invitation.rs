//! Invitations into teams that were neither accepted nor taken back.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, TeamId, TeamInvitationId, Timestamp, VerificationCodeId};

/// A row of `team_invitation`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "team_invitation")]
pub struct Model {
    /// The invitation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TeamInvitationId,
    /// Owner.
    pub project_id: ProjectId,
    /// Where to.
    pub team_id: TeamId,
    /// The code that was mailed. The invitation goes with it.
    pub code_id: VerificationCodeId,
    /// Whom it was mailed to, normalised.
    pub recipient_email: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is good for nothing.
    pub expires_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
