//! Application tokens: what an owner's page or script manages webhooks with, in the place of the admin key. A token is bound
//! to one project and good for 28 days (wire/webhooks §3.2, §7.6); it is signed, not stored, so it cannot be taken back
//! before its end, but dies with its project and with the server secret that signed it.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use postern_entity::ProjectId;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{require_admin, svix};
use crate::{
    Deps,
    actor::{Actor, Level},
    error::{Error, Result},
    ports::svix::SvixPortal,
    projects,
};

/// How long a token is good.
const TOKEN_SECONDS: i64 = 28 * 86_400;
/// What it is good for: no other kind of token of ours has this audience, and nothing else is signed with the key.
const AUDIENCE: &str = "webhooks";
const KEY_LABEL: &str = "postern/webhook-portal";
/// Longer ones are not ours.
const MAX_TOKEN_BYTES: usize = 2048;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: ProjectId,
    iat: i64,
    exp: i64,
}

/// A token that manages the webhooks of the project, and nothing else: one of ours, or the Svix server's where that delivers.
///
/// # Errors
/// Access; internal.
#[crate::boxed]
pub async fn portal(deps: &Deps, actor: &Actor) -> Result<SvixPortal> {
    require_admin(actor)?;
    if let Some(portal) = svix::portal(deps, actor).await? {
        return Ok(portal);
    }
    let issued_at = deps.now().seconds();
    let claims = Claims {
        iss: deps.settings.api_url(),
        aud: AUDIENCE.to_owned(),
        sub: actor.project_id.clone(),
        iat: issued_at,
        exp: issued_at.saturating_add(TOKEN_SECONDS),
    };
    let key = EncodingKey::from_secret(&deps.keyring.derive(0, KEY_LABEL)?);
    let token = encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(Error::internal)?;
    Ok(SvixPortal { token: token.into(), url: None })
}

/// Who shows this token: the administration of its project, for the operations of this feature only. `None` when it is none
/// of ours, has expired, or its project is gone.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn portal_actor(deps: &Deps, token: &SecretString) -> Result<Option<Actor>> {
    let Some(claims) = verified(deps, token.expose_secret())? else { return Ok(None) };
    let is_good = deps.now().seconds() < claims.exp && projects::lookup(deps, &claims.sub).await?.is_some();
    Ok(is_good.then(|| Actor::new(claims.sub, Level::Admin, None)))
}

/// What a token says that was signed under any of the server secrets. The signature is compared in constant time.
fn verified(deps: &Deps, token: &str) -> Result<Option<Claims>> {
    if token.len() > MAX_TOKEN_BYTES {
        return Ok(None);
    }
    let mut validation = Validation::new(Algorithm::HS256);
    // Against the clock that was handed in, by the caller.
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[deps.settings.api_url()]);
    for generation in 0..deps.keyring.generations() {
        let key = DecodingKey::from_secret(&deps.keyring.derive(generation, KEY_LABEL)?);
        if let Ok(found) = decode::<Claims>(token, &key, &validation) {
            return Ok(Some(found.claims));
        }
    }
    Ok(None)
}
