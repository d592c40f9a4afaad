//! Visits to sites that people sign in with.

use sea_orm::entity::prelude::*;

use crate::{OAuthVisitId, ProjectId, Timestamp};

/// A row of `oauth_visit`: somebody who has left for another site, came back, and is to be let in by a code.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_visit")]
pub struct Model {
    /// The visit; what is remembered is sealed for it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: OAuthVisitId,
    /// Where they are to come in.
    pub project_id: ProjectId,
    /// SHA-256 of the state that the site sends back (RFC 6749 §4.1.1).
    pub state_hash: Vec<u8>,
    /// SHA-256 of the code by which they are let in; none until they came back.
    pub code_hash: Option<Vec<u8>>,
    /// What is remembered of them, sealed; wiped when the code is used.
    pub memory: Option<Vec<u8>>,
    /// When they left.
    pub created_at: Timestamp,
    /// When they came back: that is taken once.
    pub returned_at: Option<Timestamp>,
    /// When the code was used.
    pub used_at: Option<Timestamp>,
    /// From then on nothing is known of it.
    pub kept_until: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
