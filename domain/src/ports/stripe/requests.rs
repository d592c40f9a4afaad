//! What Stripe is asked to make.

use super::Metadata;

/// What can be paid, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPaymentIntent {
    /// All of it.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// `cus_…`
    pub customer_id: String,
    /// To be found on it later.
    pub metadata: Metadata,
}

/// What is paid again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BillingUnit {
    /// Every day.
    Day,
    /// Every week.
    Week,
    /// Every month.
    #[default]
    Month,
    /// Every year.
    Year,
}

/// A recurring price, made on the spot with a product of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecurringPrice {
    /// What the product is called on invoices.
    pub product_name: String,
    /// Minor units of one piece.
    pub unit_amount: i64,
    /// Lower case.
    pub currency: String,
    /// Every so many.
    pub interval_count: u32,
    /// Of these.
    pub interval: BillingUnit,
}

/// A subscription to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSubscription {
    /// `cus_…`
    pub customer_id: String,
    /// What it costs.
    pub price: RecurringPrice,
    /// How many pieces.
    pub quantity: i64,
    /// Days before the first payment; 0 for none.
    pub trial_days: u32,
    /// To be found on it later.
    pub metadata: Metadata,
}

/// What a subscription is changed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// `si_…`
    pub item_id: String,
    /// What it costs from now on.
    pub price: RecurringPrice,
    /// How many pieces.
    pub quantity: i64,
    /// To be found on it later, in place of what was there.
    pub metadata: Metadata,
}

/// What a page of Stripe's own is to sell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckoutOf {
    /// Once; `product_name` and the amount of one piece.
    OneTime {
        /// What is bought.
        product_name: String,
        /// Minor units of one piece.
        unit_amount: i64,
        /// Lower case.
        currency: String,
    },
    /// Again and again.
    Subscription {
        /// What it costs.
        price: RecurringPrice,
        /// Days before the first payment; 0 for none.
        trial_days: u32,
    },
}

/// A page of Stripe's own that is to be opened (Checkout Session).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCheckout {
    /// `cus_…`
    pub customer_id: String,
    /// What is sold.
    pub of: CheckoutOf,
    /// How many pieces.
    pub quantity: i64,
    /// To be found on the page, and on the payment intent or subscription later.
    pub metadata: Metadata,
    /// Where the browser goes when it is paid.
    pub success_url: String,
    /// Where the browser goes when its user turns back.
    pub cancel_url: String,
}
