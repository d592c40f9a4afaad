//! Signing up and in, sessions, passwords, second factors, passkeys, other sites, and verifying addresses; what sign-up rules say, and who
//! did what.

pub(crate) mod audit;
pub(crate) mod challenge;
pub(crate) mod hand_over;
pub(crate) mod magic_link;
pub(crate) mod mutation;
pub(crate) mod oauth;
pub(crate) mod password;
pub(crate) mod query;
pub(crate) mod second_factor;
pub(crate) mod sign_in;
pub(crate) mod sign_up_rules;
pub(crate) mod types;
pub(crate) mod verification;
