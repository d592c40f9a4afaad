//! Signing up and in, and what keeps somebody signed in.
//!
//! A session is one refresh token; any number of access tokens are minted from it, and it is not rotated. Access tokens are
//! stateless: REST accepts one until it expires, GraphQL and live connections also ask whether its session lives.
//!
//! `keys.rs` derives the signing keys, `tokens.rs` mints and verifies access tokens, `begin.rs` and `session.rs` hold the sessions
//! they come from, `activity.rs` their last uses. `codes.rs` makes and uses one-time codes; `sign_up.rs`, `password.rs`, `reset.rs`,
//! `magic_link.rs` and `verification.rs` are what people do, `second_factor.rs` the gate that every way to sign in ends at;
//! `way.rs` is what the audit tells of it. Passkeys, logins of programs, authorization codes and other sites' accounts have rooms
//! of their own, and pass the same gate.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

mod activity;
mod begin;
pub(crate) mod codes;
mod invite;
pub mod jobs;
mod keys;
pub(crate) mod links;
mod live;
mod magic_link;
mod newcomer;
mod password;
pub(crate) mod recovery_codes;
mod reset;
mod second_factor;
mod session;
mod sign_up;
mod store;
#[cfg(test)]
pub(crate) mod test_scene;
mod tokens;
mod verification;
mod way;

pub use activity::{ACTIVITY_FLUSH_INTERVAL, ClientInfo, flush_activity};
pub use codes::{CodeKind, OneTimeCode, check_code, look_at_link};
pub use invite::{Invite, create_invite};
pub use keys::{JwkSet, PublicKey};
pub use links::LinkTarget;
pub use live::{alive_among, is_alive, user_exists};
pub(crate) use live::{is_own_and_alive_in, require_live};
pub(crate) use newcomer::Newcomer;
pub(crate) use password::{Outcome, offers_passwords, prove_password};
pub(crate) use sign_up::{new_password, offers_sign_up, require_may_sign_up};

pub(crate) use begin::take_over;
pub use begin::{MAX_SESSION_MILLIS, NewSession, SignedIn, create};
pub use magic_link::{
    SIGN_IN_PAGE, SentCode, check_sign_in_code, send_sign_in_code, sign_in_code_to_type, sign_in_with_magic_link,
};
pub use password::{MIN_PASSWORD_CHARS, set_password, sign_in_with_password, update_password};
pub use recovery_codes::{RECOVERY_CODES, create_recovery_codes};
pub use reset::{RESET_PASSWORD_PAGE, reset_password, send_password_reset};
pub use second_factor::{SecondFactor, sign_in_with_second_factor};
pub(crate) use second_factor::{let_in, pass_in};
pub(crate) use session::of_token;
pub use session::{Refreshed, Session, end_all_in, list, refresh, revoke, revoke_all, sign_out};
pub use sign_up::{PasswordSignUp, sign_up_anonymously, sign_up_with_password};
pub use tokens::{Claims, Subject, TokenError, UserKind, access_token_expired, jwks, mint, verify};
pub use verification::{VERIFY_EMAIL_PAGE, send_verification, send_verification_to_primary, verify_email};
pub use way::Method;
pub(crate) use way::{Way, handed_over};

use self::{activity::Activity, keys::KeyCache, live::LiveUsers, store::TokenHash, tokens::TokenCache};
use crate::{
    Actor, Deps, ProjectId, SessionId, Timestamp, UserId, authorization_codes, cli_logins,
    db::Lookup,
    error::{Failure, Result, refuse},
    oauth, sign_up_rules,
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

/// How many sessions are looked at to know a network.
const MAX_PLACES: u64 = 100;

/// Whether somebody is signed in as the user from a network.
pub(crate) async fn is_signed_in_from(
    deps: &Deps,
    project_id: &ProjectId,
    user_id: UserId,
    network: &str,
) -> Result<bool> {
    let places = store::places(deps.db.read(), project_id, user_id, deps.now(), MAX_PLACES).await?;
    let last_used = |ip: &String| ip.parse().ok().map(activity::network_of);
    Ok(places.iter().any(|(begun, ip)| {
        begun.as_deref() == Some(network) || ip.as_ref().and_then(last_used).as_deref() == Some(network)
    }))
}

/// Removes some sessions and codes of all sorts that expired long ago, and folds old counts of sign-up rules, of all projects.
/// Answers whether more may be left.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn prune_step(deps: &Deps) -> Result<bool> {
    let more = [
        codes::prune(deps).await?,
        authorization_codes::prune_step(deps).await?,
        cli_logins::prune_step(deps).await?,
        oauth::prune_step(deps).await?,
        sign_up_rules::prune_step(deps).await?,
        session::prune(deps).await?,
    ];
    Ok(more.contains(&true))
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
