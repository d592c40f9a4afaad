//! Sites whose accounts people sign in with or link: OAuth 2.0 (RFC 6749) with proof keys (RFC 7636), and OpenID Connect.
//! What is peculiar to a provider is known behind this port only.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::oauth::ProviderKind;

/// Our client at a provider.
#[derive(Clone, Debug)]
pub struct ProviderClient {
    /// Which provider.
    pub kind: ProviderKind,
    /// It is the installation's, which projects share.
    pub is_shared: bool,
    /// Who we are there.
    pub client_id: String,
    /// What shows it. For Apple either a client secret as it is, or the private key (PKCS #8, PEM) that signs them.
    pub client_secret: SecretString,
    /// Where the provider sends browsers back to.
    pub callback: Url,
    /// Where an OpenID Connect provider is found, as its tokens spell it; `oidc` only.
    pub issuer: Option<String>,
    /// Facebook Login for Business only.
    pub facebook_config_id: Option<String>,
    /// Which accounts of Microsoft's may sign in; its personal ones without it.
    pub microsoft_tenant_id: Option<String>,
    /// Whose key and which of them, where `client_secret` is a key of Apple's.
    pub apple_key: Option<AppleKey>,
}

/// Names of a key that signs client secrets for Apple.
#[derive(Clone, Debug)]
pub struct AppleKey {
    /// Id of the team that owns the key.
    pub team_id: String,
    /// Id of the key.
    pub key_id: String,
}

/// A visit that is to begin.
#[derive(Clone, Debug)]
pub struct Departure {
    /// By which we know the browser again.
    pub state: SecretString,
    /// What the provider repeats in its ID token.
    pub nonce: SecretString,
    /// What shows that who comes back has left from here (RFC 7636 §4.1).
    pub verifier: SecretString,
    /// What the user is asked for besides who they are.
    pub extra_scopes: Vec<String>,
}

/// Who came back, and what they brought.
#[derive(Clone, Debug)]
pub struct Return {
    /// Good for the tokens.
    pub code: SecretString,
    /// As when they left.
    pub departure: Departure,
    /// What Apple's form tells of the user beside the code, the first time only: JSON.
    pub apple_user: Option<String>,
    /// Who says so (RFC 9207), where the provider tells.
    pub issuer: Option<String>,
}

/// What came of a visit.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Who it was.
    pub account: Account,
    /// What they gave.
    pub tokens: Tokens,
}

/// An account at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id there; never empty.
    pub id: String,
    /// Its address, as the provider writes it.
    pub email: Option<String>,
    /// The provider says that whoever has the account holds the address. Never without an address.
    pub is_email_verified: bool,
    /// The name that it shows.
    pub display_name: Option<String>,
    /// Where its picture is.
    pub picture: Option<Url>,
}

/// What acts in a user's name at a provider.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// For calls.
    pub access_token: SecretString,
    /// How long it is good, where the provider tells.
    pub expires_in: Option<Duration>,
    /// Gets further ones, where the provider gives it.
    pub refresh_token: Option<SecretString>,
    /// What the user consented to; `None` when the provider tells nothing new of it.
    pub scopes: Option<Vec<String>>,
}

/// Why nothing came of a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It is out of reach, in trouble, or answers what makes no sense. Later may be better.
    #[error("{0}")]
    Unavailable(String),
    /// It does not take what it was handed: a code, an access token, our credentials.
    #[error("{0}")]
    Refused(String),
    /// What was granted is over: the code or the refresh token was used, revoked, or is too old (`invalid_grant`).
    #[error("{0}")]
    Ended(String),
    /// What it answers is not to be trusted, or is not enough to know who came.
    #[error("{0}")]
    Unacceptable(String),
}

/// Calls providers.
#[async_trait]
pub trait Providers: Send + Sync {
    /// Where a browser goes to begin a visit.
    ///
    /// # Errors
    /// [`ProviderError`].
    async fn departure(&self, client: &ProviderClient, departure: &Departure) -> Result<Url, ProviderError>;

    /// Takes the code for the tokens, and asks who it is.
    ///
    /// # Errors
    /// [`ProviderError`].
    async fn arrival(&self, client: &ProviderClient, returned: &Return) -> Result<Visit, ProviderError>;

    /// Gets a new access token.
    ///
    /// # Errors
    /// [`ProviderError`]; `Ended` when the user has revoked it.
    async fn refresh(&self, client: &ProviderClient, refresh_token: &SecretString) -> Result<Tokens, ProviderError>;

    /// Whether the provider takes an access token still.
    ///
    /// # Errors
    /// [`ProviderError`] when it cannot be known.
    async fn accepts(&self, client: &ProviderClient, access_token: &SecretString) -> Result<bool, ProviderError>;

    /// Who signed in to one of Apple's native apps, among those with these bundle ids.
    ///
    /// # Errors
    /// [`ProviderError`].
    async fn apple_native(&self, bundle_ids: &[String], id_token: &SecretString) -> Result<Account, ProviderError>;
}
