//! What tests stand on: servers of the outer world that do what they are told.

pub(crate) mod smtp;
