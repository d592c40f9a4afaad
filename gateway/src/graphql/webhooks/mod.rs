//! Outgoing webhooks: endpoints, what was sent to them, and managing both.

pub(crate) mod input;
pub(crate) mod message;
pub(crate) mod mutation;
pub(crate) mod query;
pub(crate) mod types;
