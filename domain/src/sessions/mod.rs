//! Signing up and in, and what keeps somebody signed in.
//!
//! A session is one refresh token; any number of access tokens are minted from it, and it is not rotated. Access tokens are
//! stateless: REST accepts one until it expires, GraphQL and live connections also ask whether its session lives.
//!
//! `keys.rs` derives the signing keys, `tokens.rs` mints and verifies access tokens, `session.rs` holds the sessions they
//! come from, `activity.rs` their last uses, `codes.rs` the one-time codes of every other way in.

use std::fmt;

mod activity;
mod codes;
pub mod jobs;
mod keys;
mod live;
mod session;
mod store;
mod tokens;

pub use activity::{ACTIVITY_FLUSH_INTERVAL, ClientInfo, flush_activity};
pub use codes::{CodeKind, OneTimeCode, check_code};
pub use keys::{JwkSet, PublicKey};
pub use live::{is_alive, user_exists};
pub use session::{
    MAX_SESSION_MILLIS, NewSession, Refreshed, Session, SignedIn, create, end_all_in, list, refresh, revoke,
    revoke_all, sign_out,
};
pub use tokens::{Claims, Subject, TokenError, UserKind, access_token_expired, jwks, mint, verify};

use self::{activity::Activity, keys::KeyCache, live::LiveUsers, tokens::TokenCache};
use crate::{Deps, error::Result, signal::Signals};

/// What is kept of sessions between requests. One per process; cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    keys: KeyCache,
    tokens: TokenCache,
    users: LiveUsers,
    activity: Activity,
}

impl Sessions {
    /// Nothing is kept yet. Forgets what `signals` tells has ended.
    #[must_use]
    pub fn new(signals: &Signals) -> Self {
        Self {
            keys: keys::cache(),
            tokens: tokens::cache(),
            users: LiveUsers::new(signals),
            activity: Activity::default(),
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// Removes some sessions and codes that expired long ago, of all projects. Answers whether more may be left.
///
/// # Errors
/// Internal only.
pub async fn prune_step(deps: &Deps) -> Result<bool> {
    let more_codes = codes::prune(deps).await?;
    Ok(session::prune(deps).await? || more_codes)
}
