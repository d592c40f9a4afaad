//! Something that a customer bought or was granted: a subscription or a one-time purchase.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{ProjectId, PurchaseId, Timestamp, item_balance::CustomerType};

/// A row of `purchase`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "purchase")]
pub struct Model {
    /// Known to the owner.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PurchaseId,
    /// Where it was sold.
    pub project_id: ProjectId,
    /// Again and again, or once.
    pub kind: PurchaseKind,
    /// What sort of customer.
    pub customer_type: CustomerType,
    /// Which: the id of a user or team as text, or whatever the application calls it.
    pub customer_id: String,
    /// Key of the product; none for one that came with the request.
    pub product_id: Option<String>,
    /// The product as it is now sold: a row of `product_version`.
    pub version_id: String,
    /// The product line it fills.
    pub line_id: Option<String>,
    /// It is an add-on to another product, and so does not fill its line.
    pub is_add_on: bool,
    /// Key of the price; none when nothing was paid.
    pub price_id: Option<String>,
    /// How many pieces.
    pub quantity: i64,
    /// The version that was bought at first; a subscription may have been changed since.
    pub sold_version_id: String,
    /// Its price.
    pub sold_price_id: Option<String>,
    /// How many pieces of it.
    pub sold_quantity: i64,
    /// How many pieces of what is sold now were taken back.
    pub revoked_quantity: i64,
    /// How it came about.
    pub source: PurchaseSource,
    /// How it stands; a one-time purchase is always active.
    pub status: PurchaseStatus,
    /// `sub_…` or `pi_…`; none when Stripe knows nothing of it.
    pub stripe_id: Option<String>,
    /// How often it has begun to grant items: 0 until it is paid. Names the sources of what it grants.
    pub started: i64,
    /// Begin of the present period.
    pub period_start: Option<Timestamp>,
    /// End of the present period.
    pub period_end: Option<Timestamp>,
    /// It ends with the present period.
    pub cancel_at_period_end: bool,
    /// When it was cancelled.
    pub canceled_at: Option<Timestamp>,
    /// From then on it is over.
    pub ends_at: Option<Timestamp>,
    /// When it was paid back, wholly or in part.
    pub refunded_at: Option<Timestamp>,
    /// When it was bought.
    pub created_at: Timestamp,
}

/// What sort of purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum PurchaseKind {
    /// Paid again and again, until it ends.
    #[sea_orm(string_value = "subscription")]
    Subscription,
    /// Paid once.
    #[sea_orm(string_value = "one_time")]
    OneTime,
}

/// How a purchase came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum PurchaseSource {
    /// It was paid.
    #[sea_orm(string_value = "purchase_page")]
    PurchasePage,
    /// Somebody tried out buying.
    #[sea_orm(string_value = "test_mode")]
    TestMode,
    /// A server granted it.
    #[sea_orm(string_value = "api_grant")]
    ApiGrant,
}

/// How a subscription stands, as Stripe spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum PurchaseStatus {
    /// Paid.
    #[sea_orm(string_value = "active")]
    Active,
    /// Not to be paid yet.
    #[sea_orm(string_value = "trialing")]
    Trialing,
    /// Cancelled; the period that was paid may go on.
    #[sea_orm(string_value = "canceled")]
    Canceled,
    /// Its trial ended without a way to pay.
    #[sea_orm(string_value = "paused")]
    Paused,
    /// The first payment is awaited.
    #[sea_orm(string_value = "incomplete")]
    Incomplete,
    /// The first payment never came.
    #[sea_orm(string_value = "incomplete_expired")]
    IncompleteExpired,
    /// A payment is awaited.
    #[sea_orm(string_value = "past_due")]
    PastDue,
    /// A payment never came.
    #[sea_orm(string_value = "unpaid")]
    Unpaid,
}

/// None declared: queries join by hand where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
