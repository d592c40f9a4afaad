//! What a customer has of an item: the row that changes of it hold, with what is owed and when it changes next by itself.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{ItemBalanceId, ProjectId, TeamId, Timestamp, UserId};

/// A row of `item_balance`, unique by project, customer and item. What is open of its grants is in `item_grant`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "item_balance")]
pub struct Model {
    /// Known to nobody outside.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ItemBalanceId,
    /// Where the customer is.
    pub project_id: ProjectId,
    /// What sort of customer.
    pub customer_type: CustomerType,
    /// Which: the id of a user or team as text, or whatever the application calls it.
    pub customer_id: String,
    /// The customer, if it is a user; the row goes with it.
    pub user_id: Option<UserId>,
    /// The customer, if it is a team; the row goes with it.
    pub team_id: Option<TeamId>,
    /// The item, by its key in the config.
    pub item_id: String,
    /// What is owed: 0 or less. Never beside open grants.
    pub debt: i64,
    /// The instant that this row and its grants and sources tell of; it never goes back.
    pub folded_at: Timestamp,
    /// The place of the next grant or source.
    pub next_place: i64,
    /// How many rows of `item_grant` there are.
    pub open_grants: i64,
    /// How many rows of `item_source` will grant again.
    pub open_sources: i64,
    /// When a grant ends or a source grants next; null when nothing will.
    pub due_at: Option<Timestamp>,
}

/// What sort of customer has items.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "lowercase")]
pub enum CustomerType {
    /// A user of the project.
    #[sea_orm(string_value = "user")]
    User,
    /// A team of the project.
    #[sea_orm(string_value = "team")]
    Team,
    /// Something that only the application knows.
    #[sea_orm(string_value = "custom")]
    Custom,
}

impl CustomerType {
    /// As config, wire and rows spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Team => "team",
            Self::Custom => "custom",
        }
    }
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
