//! A product as it was when it was sold. Written once; later changes of the config make others.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, Timestamp};

/// A row of `product_version`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "product_version")]
pub struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: ProjectId,
    /// SHA-256 of what follows, in base64.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Its key in the config; none for a product that came with the request.
    pub product_id: Option<String>,
    /// All of it.
    pub product: Json,
    /// When it was first sold.
    pub created_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
