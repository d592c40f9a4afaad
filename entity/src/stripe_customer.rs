//! A customer as Stripe knows it. Written before Stripe is asked to make one, so that two requests make one.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, StripeCustomerId, Timestamp, item_balance::CustomerType};

/// A row of `stripe_customer`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "stripe_customer")]
pub struct Model {
    /// What it is made by: the key of the call.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: StripeCustomerId,
    /// Where the customer is.
    pub project_id: ProjectId,
    /// What sort of customer.
    pub customer_type: CustomerType,
    /// Which.
    pub customer_id: String,
    /// The one that purchases are made for; others are there when Stripe knows a customer twice.
    pub is_main: bool,
    /// `cus_…`; none until Stripe has answered.
    pub stripe_id: Option<String>,
    /// How many readings of its subscriptions have begun.
    pub syncs_begun: i64,
    /// The newest reading that was written down: an older one that comes later changes nothing.
    pub sync_done: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
