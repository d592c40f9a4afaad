//! The event log: read by pages, and followed live.

pub(crate) mod query;
pub(crate) mod subscription;
pub(crate) mod tail;
pub(crate) mod types;
