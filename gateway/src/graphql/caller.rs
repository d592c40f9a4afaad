//! Who asks a GraphQL question: the same headers as REST, or `Authorization: Bearer`, or an API key; for sockets the same names in
//! `connection_init`. Beyond what REST asks, the session must still be there and a browser's page must be trusted.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use postern_domain::{
    Actor, Deps, Failure, Level, SessionId,
    actor::ActingUser,
    error::refuse,
    identity::{self, Credentials, Identified},
    projects,
    sessions::ClientInfo,
};
use sha2::{Digest, Sha256};

use super::error::Result;
use crate::identity::{both_families, credentials, either};

/// The header that makes the mutations of a request repeatable.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Who asks, and from where. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Arc<Known>);

#[derive(Debug)]
struct Known {
    /// None when the request named no project: then it can ask for nothing but the names of types.
    identified: Option<Identified>,
    credentials: Credentials,
    idempotency_key: Option<String>,
    client: ClientInfo,
    request_id: Option<String>,
}

impl Caller {
    /// As the domain knows the caller.
    pub(crate) fn actor(&self) -> Option<&Actor> {
        self.0.identified.as_ref().map(|identified| &identified.actor)
    }

    /// The sessions that the caller's rights hang on: its user's, and that of the owner who administers the project.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        let identified = self.0.identified.as_ref();
        let user = identified.and_then(|identified| identified.actor.user.as_ref());
        user.into_iter().chain(self.owner()).map(|user| user.session_id)
    }

    /// The owner who administers the project, where an access token stood in for the key.
    pub(crate) fn owner(&self) -> Option<&ActingUser> {
        self.0.identified.as_ref().and_then(|identified| identified.owner.as_ref())
    }

    /// The key that the caller sent to make its mutations repeatable.
    pub(crate) fn idempotency_key(&self) -> Option<&str> {
        self.0.idempotency_key.as_deref()
    }

    /// Where the caller is.
    pub(crate) fn client(&self) -> &ClientInfo {
        &self.0.client
    }

    /// Under which the log knows the request.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The same for callers that show the same key, be it the project's or a user's, or are the same owner, to the same project.
    pub(crate) fn key_fingerprint(&self) -> [u8; 32] {
        let credentials = self.key_only();
        let owner = self.owner().map(|owner| owner.id.to_string());
        let parts = [
            &owner,
            &credentials.access_type,
            &credentials.project_id,
            &credentials.publishable_client_key,
            &credentials.secret_server_key,
            &credentials.super_secret_admin_key,
            &credentials.development_override_key,
            &credentials.api_key,
        ];
        let mut hash = Sha256::new();
        for part in parts {
            let part = part.as_deref().unwrap_or_default();
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// Whether the key is still good, or the owner is one still. Access tokens, which a live connection outlives, do not count: their sessions do.
    ///
    /// # Errors
    /// Internal only.
    pub(crate) async fn key_is_good(&self, deps: &Deps) -> postern_domain::Result<bool> {
        if let (Some(owner), Some(actor)) = (self.owner(), self.actor()) {
            return identity::still_administers(deps, &actor.project_id, owner).await;
        }
        match identity::identify(deps, &self.key_only()).await {
            Ok(_) => Ok(true),
            Err(error) if error.failure().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn key_only(&self) -> Credentials {
        let level = self.actor().map(|actor| actor.level.as_str().to_owned());
        Credentials {
            access_type: level,
            access_token: None,
            bearer_token: None,
            admin_access_token: None,
            ..self.0.credentials.clone()
        }
    }
}

/// Finds out who asks.
///
/// # Errors
/// Those of request authentication (wire requests-and-errors §3); `ACCESS_TOKEN_EXPIRED` when the session is gone;
/// `FORBIDDEN` when a page asks that may not speak for the project.
pub(crate) async fn recognise(
    deps: &Deps,
    headers: &HeaderMap,
    client: ClientInfo,
    request_id: Option<String>,
) -> Result<Caller> {
    let credentials =
        Credentials { bearer_token: bearer_token(headers), api_key: api_key(headers), ..credentials(headers) };
    let identified = identity::identify(deps, &credentials).await?;
    if let Some(identified) = &identified {
        identity::require_live_sessions(deps, identified).await?;
        check_page(deps, &identified.actor, headers).await?;
    }
    let idempotency_key = headers.get(IDEMPOTENCY_KEY).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    Ok(Caller(Arc::new(Known { identified, credentials, idempotency_key, client, request_id })))
}

fn api_key(headers: &HeaderMap) -> Option<String> {
    either(headers, both_families!("api-key")).map(ToOwned::to_owned)
}

fn bearer_token(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// A browser says which page asks. At CLIENT level the project must trust it; secret keys have no place in a page, but for
/// our own GraphiQL in local mode.
async fn check_page(deps: &Deps, actor: &Actor, headers: &HeaderMap) -> Result<()> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    if deps.settings.local_mode && origin == deps.settings.public_url.origin().ascii_serialization() {
        return Ok(());
    }
    if actor.level > Level::Client {
        let text = "A page in a browser may not use a server or admin key.";
        return Ok(refuse(Failure::forbidden(text))?);
    }
    let config = projects::config(deps, &actor.project_id).await?;
    if projects::is_trusted_origin(&config, origin) {
        return Ok(());
    }
    let text = "This project does not trust the page that asks: add its domain to the trusted domains.";
    Ok(refuse(Failure::forbidden(text))?)
}
