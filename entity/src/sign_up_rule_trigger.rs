//! Sign-up rules that applied, lately: one row each time.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, SignUpRuleTriggerId, Timestamp};

/// A row of `sign_up_rule_trigger`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_up_rule_trigger")]
pub struct Model {
    /// The row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SignUpRuleTriggerId,
    /// Owner.
    pub project_id: ProjectId,
    /// Config key of the rule.
    pub rule_id: String,
    /// What it did: `allow`, `reject`, `restrict` or `log`.
    pub action: String,
    /// When.
    pub created_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
