//! Logins of programs without a browser: begun by the program, completed in a browser, taken by the program.

use sea_orm::entity::prelude::*;

use crate::{CliLoginId, ProjectId, Timestamp};

/// A row of `cli_login`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "cli_login")]
pub struct Model {
    /// The login.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CliLoginId,
    /// Owner.
    pub project_id: ProjectId,
    /// SHA-256 of the code by which the program asks how far it is.
    pub polling_hash: Vec<u8>,
    /// SHA-256 of the code that the browser carries.
    pub login_hash: Vec<u8>,
    /// Refresh token of the anonymous session that the program has, sealed; none when it has none, or once it was claimed.
    pub anonymous_token: Option<Vec<u8>>,
    /// Refresh token that the program is to have, sealed; none until the browser hands it over, and once it was taken.
    pub refresh_token: Option<Vec<u8>>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// From then on it is refused.
    pub expires_at: Timestamp,
    /// When the browser claimed the anonymous session.
    pub claimed_at: Option<Timestamp>,
    /// When the browser completed it.
    pub completed_at: Option<Timestamp>,
    /// When the program took the token.
    pub used_at: Option<Timestamp>,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
