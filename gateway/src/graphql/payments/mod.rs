//! Products, purchases and transactions.

pub(crate) mod input;
pub(crate) mod mutation;
pub(crate) mod query;
pub(crate) mod transaction;
pub(crate) mod types;
