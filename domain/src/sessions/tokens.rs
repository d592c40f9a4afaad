//! Access tokens: JSON Web Tokens (RFC 7519) signed with ES256, as wire/auth §2 lists their claims. They are a snapshot of
//! the user at the moment of minting; operations read the live user.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, Validation, dangerous::insecure_decode_claims, decode, decode_header};
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::keys::{self, JwkSet};
use crate::{
    Code, Deps, ProjectId, SessionId, TeamId, Timestamp, UserId,
    error::{Error, Failure, Result},
    users::{RestrictedReason, User},
};

/// Longer tokens are not ours: names and addresses in them are bounded.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// How many verified tokens are remembered.
const MAX_CACHED_TOKENS: u64 = 10_000;
/// The longest that a verified token is remembered; its own expiry is looked at each time.
const TOKEN_CACHE_LIFETIME: Duration = Duration::from_secs(600);
/// The only role.
const ROLE: &str = "authenticated";
/// The only branch.
pub(crate) const MAIN_BRANCH: &str = "main";

/// The kinds of users that verifiers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserKind {
    /// Signed in, nothing missing.
    Regular,
    /// Signed in, but something is missing or forbidden; not anonymous.
    Restricted,
    /// Made without any credentials.
    Anonymous,
}

impl UserKind {
    /// All kinds, in the order in which key sets list them.
    pub const ALL: [Self; 3] = [Self::Regular, Self::Restricted, Self::Anonymous];

    fn audience_suffix(self) -> &'static str {
        match self {
            Self::Regular => "",
            Self::Restricted => ":restricted",
            Self::Anonymous => ":anon",
        }
    }

    fn issuer_segment(self) -> &'static str {
        match self {
            Self::Regular => "projects",
            Self::Restricted => "projects-restricted-users",
            Self::Anonymous => "projects-anonymous-users",
        }
    }
}

/// Whom a token is good for: the claim `aud`, and the label of the keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Audience {
    pub(super) project_id: ProjectId,
    pub(super) kind: UserKind,
}

impl Audience {
    fn issuer(&self, deps: &Deps) -> String {
        format!("{}/{}/{}", deps.settings.api_url(), self.kind.issuer_segment(), self.project_id)
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.project_id, self.kind.audience_suffix())
    }
}

impl FromStr for Audience {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (project, kind) = [UserKind::Restricted, UserKind::Anonymous]
            .into_iter()
            .find_map(|kind| Some((text.strip_suffix(kind.audience_suffix())?, kind)))
            .unwrap_or((text, UserKind::Regular));
        let project_id = ProjectId(project.to_owned());
        // Only ids that projects can have, written as we write them: anything else would fill the cache of keys.
        let known = project_id.is_internal() || Uuid::parse_str(project).is_ok_and(|id| id.to_string() == project);
        if known { Ok(Self { project_id, kind }) } else { Err(()) }
    }
}

/// The user and session that a token is minted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Owner.
    pub project_id: ProjectId,
    /// Who.
    pub user_id: UserId,
    /// The session it comes from.
    pub session_id: SessionId,
    /// Display name.
    pub name: Option<String>,
    /// Primary address.
    pub email: Option<String>,
    /// Whether that address is verified.
    pub email_verified: bool,
    /// Selected team.
    pub selected_team_id: Option<TeamId>,
    /// When the user signed up.
    pub signed_up_at: Timestamp,
    /// Why the user is restricted, if it is.
    pub restricted_reason: Option<RestrictedReason>,
    /// Sign-in asks for a second factor.
    pub requires_totp_mfa: bool,
}

impl Subject {
    /// The user as it is now, in this session.
    #[must_use]
    pub fn new(user: &User, session_id: SessionId) -> Self {
        Self {
            project_id: user.project_id.clone(),
            user_id: user.id,
            session_id,
            name: user.display_name.clone(),
            email: user.primary_address().map(str::to_owned),
            email_verified: user.primary_email.as_ref().is_some_and(|email| email.is_verified),
            selected_team_id: user.selected_team.as_ref().map(|team| team.id),
            signed_up_at: user.signed_up_at,
            restricted_reason: user.restricted_reason,
            requires_totp_mfa: user.requires_totp_mfa,
        }
    }

    fn kind(&self) -> UserKind {
        match self.restricted_reason {
            None => UserKind::Regular,
            Some(RestrictedReason::Anonymous) => UserKind::Anonymous,
            Some(RestrictedReason::EmailNotVerified | RestrictedReason::RestrictedByAdministrator) => {
                UserKind::Restricted
            }
        }
    }
}

/// What a token says. Every claim is always present; null where it may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// `<API>/projects/<project>`, with another segment for restricted and anonymous users.
    pub iss: String,
    /// The project, with a suffix for restricted and anonymous users.
    pub aud: String,
    /// The user.
    pub sub: UserId,
    /// When it was minted, in seconds.
    pub iat: i64,
    /// From when on it is refused, in seconds.
    pub exp: i64,
    /// The project.
    pub project_id: ProjectId,
    /// Always `main`.
    pub branch_id: String,
    /// The session.
    pub refresh_token_id: SessionId,
    /// Always `authenticated`.
    pub role: String,
    /// Display name.
    pub name: Option<String>,
    /// Primary address.
    pub email: Option<String>,
    /// Whether that address is verified.
    pub email_verified: bool,
    /// Selected team.
    pub selected_team_id: Option<TeamId>,
    /// When the user signed up, in seconds.
    pub signed_up_at: i64,
    /// The user has no credentials.
    pub is_anonymous: bool,
    /// Anonymous, or something else is missing or forbidden.
    pub is_restricted: bool,
    /// What it is, exactly when restricted.
    pub restricted_reason: Option<RestrictedReason>,
    /// Sign-in asks for a second factor.
    pub requires_totp_mfa: bool,
}

/// Why a token is not taken.
#[derive(Debug)]
pub enum TokenError {
    /// No token of this installation: form, signature, issuer.
    Unparsable,
    /// It was one.
    Expired(Arc<Claims>),
    /// Our own failure.
    Internal(Error),
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        Self::Internal(error)
    }
}

/// Tokens that were verified lately, by the SHA-256 of their text.
pub(super) type TokenCache = Cache<[u8; 32], Arc<Claims>>;

pub(super) fn cache() -> TokenCache {
    Cache::builder().max_capacity(MAX_CACHED_TOKENS).time_to_live(TOKEN_CACHE_LIFETIME).build()
}

/// A token for `subject`, good for as long as the settings say.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn mint(deps: &Deps, subject: &Subject) -> Result<String> {
    let audience = Audience { project_id: subject.project_id.clone(), kind: subject.kind() };
    let issued_at = deps.now().seconds();
    let claims = Claims {
        iss: audience.issuer(deps),
        aud: audience.to_string(),
        sub: subject.user_id,
        iat: issued_at,
        exp: issued_at.saturating_add(deps.settings.access_token_seconds),
        project_id: subject.project_id.clone(),
        branch_id: MAIN_BRANCH.to_owned(),
        refresh_token_id: subject.session_id,
        role: ROLE.to_owned(),
        name: subject.name.clone(),
        email: subject.email.clone(),
        email_verified: subject.email_verified,
        selected_team_id: subject.selected_team_id,
        signed_up_at: subject.signed_up_at.seconds(),
        is_anonymous: audience.kind == UserKind::Anonymous,
        is_restricted: audience.kind != UserKind::Regular,
        restricted_reason: subject.restricted_reason,
        requires_totp_mfa: subject.requires_totp_mfa,
    };
    let payload = BASE64.encode(serde_json::to_vec(&claims).map_err(Error::internal)?);
    let keys = keys::of(&deps.keyring, &deps.sessions.keys, &audience).await?;
    keys.sign(|key_id| {
        let header = json!({ "alg": "ES256", "kid": key_id }).to_string();
        Ok(format!("{}.{payload}", BASE64.encode(header)))
    })
}

/// What `token` says, when this installation signed it and it has not expired.
///
/// # Errors
/// [`TokenError`] says which.
#[crate::boxed]
pub async fn verify(deps: &Deps, token: &str) -> Result<Arc<Claims>, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Unparsable);
    }
    let fingerprint: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    let cache = &deps.sessions.tokens;
    let claims = match cache.get(&fingerprint).await {
        Some(claims) => claims,
        None => {
            let claims = Arc::new(verify_signature(deps, token).await?);
            cache.insert(fingerprint, Arc::clone(&claims)).await;
            claims
        }
    };
    if claims.exp <= deps.now().seconds() { Err(TokenError::Expired(claims)) } else { Ok(claims) }
}

async fn verify_signature(deps: &Deps, token: &str) -> Result<Claims, TokenError> {
    #[derive(Deserialize)]
    struct Claimed {
        aud: String,
    }
    let unparsable = |_| TokenError::Unparsable;
    // Read before anything is verified: it only says which keys to verify with.
    let claimed: Claimed = insecure_decode_claims(token).map_err(unparsable)?;
    let audience: Audience = claimed.aud.parse().map_err(|()| TokenError::Unparsable)?;
    let key_id = decode_header(token).map_err(unparsable)?.kid.ok_or(TokenError::Unparsable)?;
    let keys = keys::of(&deps.keyring, &deps.sessions.keys, &audience).await?;
    let key = keys.verifying(&key_id).ok_or(TokenError::Unparsable)?;

    let mut validation = Validation::new(Algorithm::ES256);
    // Against the clock that was handed in, by the caller.
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.set_audience(&[audience.to_string()]);
    validation.set_issuer(&[audience.issuer(deps)]);
    let claims = decode::<Claims>(token, key, &validation).map_err(unparsable)?.claims;
    if claims.project_id == audience.project_id { Ok(claims) } else { Err(TokenError::Unparsable) }
}

/// The refusal of a token that is no longer good: expired, or its session has ended. Without claims there was no token.
#[must_use]
pub fn access_token_expired(claims: Option<&Claims>) -> Failure {
    Failure::new(Code::AccessTokenExpired, "The access token has expired, or there is none.").with(json!({
        "expired_at_millis": claims.map(|claims| claims.exp.saturating_mul(1000)),
        "project_id": claims.map(|claims| &claims.project_id),
        "user_id": claims.map(|claims| claims.sub),
        "refresh_token_id": claims.map(|claims| claims.refresh_token_id),
    }))
}

/// The public keys that verify tokens of `kinds` of users of the project, which must exist.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn jwks(deps: &Deps, project_id: &ProjectId, kinds: &[UserKind]) -> Result<JwkSet> {
    let mut set = JwkSet { keys: Vec::new() };
    for kind in UserKind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
        let audience = Audience { project_id: project_id.clone(), kind };
        let keys = keys::of(&deps.keyring, &deps.sessions.keys, &audience).await?;
        set.keys.extend(keys.published.iter().cloned());
    }
    Ok(set)
}

#[cfg(test)]
mod tests;
