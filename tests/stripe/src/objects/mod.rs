//! The objects: how each looks, and what calls do with it. What customers do in browsers is in `deeds`.

pub(crate) mod account;
pub(crate) mod checkout;
pub(crate) mod customer;
pub(crate) mod invoice;
pub(crate) mod methods;
pub(crate) mod payment;
pub(crate) mod refund;
pub(crate) mod setup;
pub(crate) mod subscription;

use serde_json::{Value, json};

/// Where pages of the real one would be.
pub(crate) const PAGES: &str = "https://stripe.invalid";

/// An address that nothing is known of.
pub(crate) fn no_address() -> Value {
    json!({ "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null })
}
