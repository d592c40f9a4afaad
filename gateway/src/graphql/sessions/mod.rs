//! Signing up and in, sessions, passwords, and verifying addresses.

pub(crate) mod mutation;
pub(crate) mod password;
pub(crate) mod query;
pub(crate) mod sign_in;
pub(crate) mod types;
pub(crate) mod verification;
