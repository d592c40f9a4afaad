//! An invoice of a subscription, as Stripe last told it.

use sea_orm::entity::prelude::*;

use crate::{ProjectId, PurchaseId, Timestamp};

/// A row of `purchase_invoice`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "purchase_invoice")]
pub struct Model {
    /// Where it was sold.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: ProjectId,
    /// `in_…`
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The subscription.
    pub purchase_id: PurchaseId,
    /// The one that the subscription began with.
    pub is_creation: bool,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    pub status: Option<String>,
    /// All of it, in minor units.
    pub total: i64,
    /// What was paid, in minor units.
    pub amount_paid: i64,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Page of the invoice.
    pub hosted_url: Option<String>,
    /// `pi_…` by which it was paid.
    pub payment_intent_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
