//! Users: types, queries and mutations.

pub(crate) mod input;
pub(crate) mod mutation;
pub(crate) mod query;
pub(crate) mod types;
