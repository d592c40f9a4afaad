//! How often each sign-up rule applied before what `sign_up_rule_trigger` holds.

use sea_orm::entity::prelude::*;

use crate::ProjectId;

/// A row of `sign_up_rule_total`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_up_rule_total")]
pub struct Model {
    /// Owner.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: ProjectId,
    /// Config key of the rule.
    #[sea_orm(primary_key, auto_increment = false)]
    pub rule_id: String,
    /// How often.
    pub count: i64,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
