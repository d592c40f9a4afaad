//! Something that was asked of Stripe: written before, with what came of it after.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{ProjectId, PurchaseId, StripeOperationId, Timestamp};

/// A row of `stripe_operation`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "stripe_operation")]
pub struct Model {
    /// The key of the calls.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: StripeOperationId,
    /// Where.
    pub project_id: ProjectId,
    /// What it is about.
    pub purchase_id: PurchaseId,
    /// What is asked, with all that the calls need.
    pub request: Json,
    /// What Stripe answered.
    pub result: Option<Json>,
    /// What has become of it.
    pub state: StripeOperationState,
    /// Why it was refused.
    pub error: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it came to its end.
    pub ended_at: Option<Timestamp>,
}

/// What has become of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum StripeOperationState {
    /// Nobody knows yet.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// Stripe did it, and what follows is written down.
    #[sea_orm(string_value = "done")]
    Done,
    /// Stripe refused; nothing has changed.
    #[sea_orm(string_value = "refused")]
    Refused,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
