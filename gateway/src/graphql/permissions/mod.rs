//! Permissions: what a project defines, and who holds what.

pub(crate) mod mutation;
pub(crate) mod query;
pub(crate) mod types;
