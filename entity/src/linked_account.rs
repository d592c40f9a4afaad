//! Accounts of other sites that users have linked.

use sea_orm::entity::prelude::*;

use crate::{LinkedAccountId, ProjectId, Timestamp, UserId};

/// A row of `linked_account`. Goes with its user. A user has an account once; in a project one user signs in with an
/// account, and a user signs in with one account of a type.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "linked_account")]
pub struct Model {
    /// The link.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: LinkedAccountId,
    /// The project of its user.
    pub project_id: ProjectId,
    /// Whose it is.
    pub user_id: UserId,
    /// Key of the provider in the project's config.
    pub provider_config_id: String,
    /// Type of the provider, such as `github`, as it was when the account was linked.
    pub kind: String,
    /// The account's id there.
    pub account_id: String,
    /// The account's address there.
    pub email: Option<String>,
    /// The user signs in with it.
    pub allow_sign_in: bool,
    /// The application reaches the other site by it.
    pub allow_connected_accounts: bool,
    /// When it was linked.
    pub created_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
