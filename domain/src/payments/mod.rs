//! Products: what is sold, to whom, and what follows (wire: payments). A purchase is a row, with the version of the product
//! that it bought; the items it includes are granted by `items`, under keys that name the purchase.
//!
//! What is promised:
//! - What was sold stays as it was sold: versions of products are written once (`product.rs`).
//! - Whatever tells of a purchase twice, or in another order, makes it once (`stripe/`).
//! - What is asked of Stripe is neither forgotten nor done twice (`stripe/operation.rs`).
//! - Amounts are whole numbers of the smallest unit of their currency (`money.rs`).
//!
//! Lock order: customer, operation, purchase, balances.
//!
//! `choice.rs` is which product is meant and who may have it, `purchases.rs` what a purchase is and grants, `grant.rs`,
//! `checkout.rs`, `cancel.rs`, `switch.rs` and `refund.rs` what callers do, `owned.rs` and `transactions.rs` what they see.

pub mod cancel;
pub mod checkout;
mod choice;
mod grant;
pub mod jobs;
mod mails;
pub mod money;
mod owned;
pub mod product;
mod purchases;
mod refund;
mod store;
pub mod stripe;
mod switch;
pub mod transactions;

pub use postern_entity::{
    purchase::{PurchaseKind, PurchaseSource, PurchaseStatus},
    stripe_event::{Model as StripeEvent, StripeEventState},
};

pub(crate) use self::cancel::{end_all_at_stripe, remove_some};
pub use self::{
    cancel::{Cancelled, cancel},
    choice::ProductChoice,
    grant::{Granted, grant},
    owned::{OwnedProduct, OwnedSubscription, SwitchOption, products},
    refund::{RefundEnd, RefundEntry, RefundPurchase, refund},
    switch::{SwitchProduct, switch},
};

#[cfg(test)]
mod tests;
