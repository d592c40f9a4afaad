//! Signing up and in, and what keeps somebody signed in.
//!
//! A session is one refresh token; any number of access tokens are minted from it, and it is not rotated. Access tokens are
//! stateless: REST accepts one until it expires, GraphQL and live connections also ask whether its session lives.
//!
//! `keys.rs` derives the signing keys, `tokens.rs` mints and verifies access tokens.

use std::fmt;

mod codes;
mod keys;
mod live;
mod tokens;

pub use codes::{CodeKind, OneTimeCode, check_code, prune_codes};
pub use keys::{JwkSet, PublicKey};
pub use live::{is_alive, user_exists};
pub use tokens::{Claims, Subject, TokenError, UserKind, access_token_expired, jwks, mint, verify};

use self::{keys::KeyCache, live::LiveUsers, tokens::TokenCache};
use crate::signal::Signals;

/// What is kept of sessions between requests. One per process; cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    keys: KeyCache,
    tokens: TokenCache,
    users: LiveUsers,
}

impl Sessions {
    /// Nothing is kept yet. Forgets what `signals` tells has ended.
    #[must_use]
    pub fn new(signals: &Signals) -> Self {
        Self { keys: keys::cache(), tokens: tokens::cache(), users: LiveUsers::new(signals) }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}
