//! What other sites gave to act in a user's name.

use sea_orm::entity::prelude::*;

use crate::{LinkedAccountId, LinkedAccountTokenId, ProjectId, Timestamp};

/// A row of `linked_account_token`: one consent of a user at another site. Goes with the linked account. There is an access
/// token or a refresh token, or both.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "linked_account_token")]
pub struct Model {
    /// The consent; tokens are sealed for it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: LinkedAccountTokenId,
    /// The project of the account.
    pub project_id: ProjectId,
    /// The account it was given for.
    pub linked_account_id: LinkedAccountId,
    /// What the user consented to, separated by spaces.
    pub scopes: String,
    /// The newest access token, sealed.
    pub access_token: Option<Vec<u8>>,
    /// From then on the access token is refused; unknown when there is none.
    pub access_expires_at: Option<Timestamp>,
    /// What gets a new access token, sealed.
    pub refresh_token: Option<Vec<u8>>,
    /// When the user consented.
    pub created_at: Timestamp,
    /// The client of ours that it was given to, by which alone it is used; none is known of what another version kept.
    pub client: Option<String>,
    /// Until then somebody renews it, and nobody else does.
    pub renewing_until: Option<Timestamp>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
