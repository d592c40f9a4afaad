//! Mails: the outbox, sending, and what mails are made from.

pub(crate) mod input;
pub(crate) mod library;
pub(crate) mod library_types;
pub(crate) mod mutation;
pub(crate) mod query;
pub(crate) mod types;
