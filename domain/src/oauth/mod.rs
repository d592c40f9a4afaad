//! Signing in with other sites, and linking their accounts (wire/auth §11).
//!
//! A browser departs for the site with a state, comes back to us with the site's code, and is sent on to the application with a
//! code of ours, which whoever began it exchanges for a session: the outer flow of RFC 6749 around an inner one.
//!
//! What is promised:
//! - Everybody is told at the return whether they will get in and why not, but nothing is written of users until the code is
//!   exchanged, with the verifier that only whoever began it has (RFC 7636). A stranger who has somebody else finish a visit
//!   that the stranger began gets neither their account here nor theirs at the site.
//! - A return and a code are taken once. A return is taken from the browser that left, where it could be given a cookie, and for
//!   the provider that it left for.
//! - An address that the site does not vouch for never leads to somebody's account.
//! - No transaction waits for a site; a site in trouble leaves nothing behind.

mod apple;
mod arrival;
mod case;
mod client;
mod departure;
mod exchange;
mod kind;
mod memory;

pub use self::{
    apple::sign_in_with_apple,
    arrival::{Arrival, Returned, arrive},
    departure::{Departing, Purpose, Travel, cookie_name, depart},
    kind::ProviderKind,
};
pub(crate) use self::{
    client::{client_of, enabled},
    departure::unavailable,
    exchange::exchange,
    memory::{prune_step, reseal},
};

#[cfg(test)]
mod tests;
