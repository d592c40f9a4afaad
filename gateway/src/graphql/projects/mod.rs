//! The caller's project.

pub(crate) mod query;
pub(crate) mod types;
