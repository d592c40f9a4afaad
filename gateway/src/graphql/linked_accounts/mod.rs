//! Linked accounts of other sites: types, queries and mutations.

pub(crate) mod mutation;
pub(crate) mod query;
pub(crate) mod types;
