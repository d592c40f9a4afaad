//! Signing up and in, and what keeps somebody signed in.
//!
//! A session is one refresh token; any number of access tokens are minted from it, and it is not rotated. Access tokens are
//! stateless: REST accepts one until it expires, GraphQL and live connections also ask whether its session lives.
//!
//! `keys.rs` derives the signing keys, `tokens.rs` mints and verifies access tokens, `session.rs` holds the sessions they
//! come from, `activity.rs` their last uses. `codes.rs` makes and uses one-time codes; `sign_up.rs`, `password.rs`, `reset.rs`
//! and `verification.rs` are what people do, `second_factor.rs` the gate that every way to sign in ends at.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

mod activity;
pub(crate) mod codes;
mod invite;
pub mod jobs;
mod keys;
pub(crate) mod links;
mod live;
mod password;
mod reset;
mod second_factor;
mod session;
mod sign_up;
mod store;
#[cfg(test)]
pub(crate) mod test_scene;
mod tokens;
mod verification;

pub use activity::{ACTIVITY_FLUSH_INTERVAL, ClientInfo, flush_activity};
pub use codes::{CodeKind, OneTimeCode, check_code};
pub use invite::{Invite, create_invite};
pub use keys::{JwkSet, PublicKey};
pub use links::LinkTarget;
pub use live::{alive_among, is_alive, user_exists};
pub(crate) use password::{offers_passwords, prove_password};
pub(crate) use sign_up::{new_password, offers_sign_up};

pub use password::{MIN_PASSWORD_CHARS, set_password, sign_in_with_password, update_password};
pub use reset::{RESET_PASSWORD_PAGE, reset_password, send_password_reset};
pub use session::{
    MAX_SESSION_MILLIS, NewSession, Refreshed, Session, SignedIn, create, end_all_in, list, refresh, revoke,
    revoke_all, sign_out,
};
pub use sign_up::{PasswordSignUp, sign_up_anonymously, sign_up_with_password};
pub use tokens::{Claims, Subject, TokenError, UserKind, access_token_expired, jwks, mint, verify};
pub use verification::{VERIFY_EMAIL_PAGE, send_verification, send_verification_to_primary, verify_email};

use self::{activity::Activity, keys::KeyCache, live::LiveUsers, store::TokenHash, tokens::TokenCache};
use crate::{
    Actor, Deps, ProjectId, SessionId, Timestamp,
    db::Lookup,
    error::{Failure, Result, refuse},
    signal::Signals,
};

/// What is kept of sessions between requests. One per process; cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    keys: KeyCache,
    tokens: TokenCache,
    users: LiveUsers,
    activity: Activity,
    by_token: Lookup<TokenHash, postern_entity::session::Model>,
    lives: Lookup<SessionId, (ProjectId, Timestamp)>,
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
            by_token: Lookup::new(store::by_token_hashes),
            lives: Lookup::new(store::lives),
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
#[crate::boxed]
pub async fn prune_step(deps: &Deps) -> Result<bool> {
    let more_codes = codes::prune(deps).await?;
    Ok(session::prune(deps).await? || more_codes)
}

/// Refuses what a check before the transaction found, unless the request is the repetition of one that succeeded: then the
/// check found its own effect.
async fn refuse_unless_repeated<T>(deps: &Deps, actor: &Actor, operation: &'static str, failure: Failure) -> Result<T>
where
    T: Serialize + DeserializeOwned + Send,
{
    if actor.idempotency.is_none() {
        return refuse(failure);
    }
    let failure = &failure;
    deps.mutate(actor, operation, |_tx| async move { refuse(failure.clone()) }).await
}
