//! API keys of users and teams: types, queries and mutations.

pub(crate) mod mutation;
pub(crate) mod query;
pub(crate) mod types;
