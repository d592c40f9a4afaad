//! Items: credits, seats, quotas that customers have a quantity of (wire: payments §2–4). A customer is a user, a team, or
//! anything that only the application knows; which items there are is said by the project's config.
//!
//! What is promised:
//! - A balance is the exact fold of its ledger at the instant asked (`ledger/`). What ends and what repeats is true at its
//!   instant, whether or not a worker has written it down yet.
//! - [`change()`] without `allow_negative` never overdraws, whatever races: changes of a balance hold its row.
//! - Reading and changing cost what is open, not what has happened: the ledger is only ever appended to.
//! - A source, which is an item included in a purchase, grants each of its repeats once: how many it has granted is written
//!   with what it granted, and its key is never used twice.
//!
//! `ledger/` is the fold, `balance.rs` its rows, `customer.rs` who customers are and who may look at them, `change.rs` and
//! `read.rs` what callers do, `together.rs` how changes share transactions, `sources.rs` what purchases do, `fold.rs` what the
//! worker does, `seats.rs` how many people a team of project `internal` may be.

mod balance;
mod change;
mod customer;
mod fold;
pub mod jobs;
mod ledger;
mod read;
pub mod seats;
mod sources;
mod store;
mod together;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::read::balances_of;
pub use self::{
    change::{ItemChange, MAX_DESCRIPTION_CHARS, MAX_OPEN_GRANTS, change},
    customer::{Customer, CustomerType, MAX_CUSTOM_ID_CHARS, require_access, require_exists},
    fold::fold_step,
    ledger::MAX_QUANTITY,
    read::{get, list, of_customers},
    sources::{Expires, Interval, IntervalUnit, Lasting, NewSource, end_in, grant_in, lasting_in, live_in, rescale_in},
    together::ItemChanges,
};

/// What a customer has of an item; also its form on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// The item, by its key in the config.
    pub id: String,
    /// What the config calls it.
    pub display_name: String,
    /// How much; negative when the customer owes.
    pub quantity: i64,
}

impl Item {
    /// How much there is to use.
    #[must_use]
    pub fn non_negative_quantity(&self) -> i64 {
        self.quantity.max(0)
    }
}

#[cfg(test)]
mod tests;
