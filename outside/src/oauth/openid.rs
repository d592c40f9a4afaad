//! OpenID Connect: issuers, their keys, and what an ID token must be to be believed (Core 1.0 §3.1.3.7, Discovery 1.0).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moka::future::Cache;
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalProviderMetadata, ClaimsVerificationError, ClientId, IssuerUrl,
    JsonWebKeySetUrl, Nonce, ProviderMetadata, SignatureVerificationError,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreIdToken,
        CoreIdTokenClaims, CoreIdTokenVerifier, CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm,
        CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType,
    },
};
use postern_domain::{
    Timestamp,
    ports::oauth::{Account, ProviderError},
    time::Clock,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::calls::Calls;

/// How long what an issuer says of itself is believed.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// A token signed by a key that is not known yet has the keys fetched again, but not more often.
const REFETCHED_AFTER: Duration = Duration::from_secs(60);
/// The most issuers that are kept.
const MAX_ISSUERS: u64 = 1_000;
/// Signatures that whoever knows only what is public cannot make.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// What else an issuer says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Further {
    /// RFC 9207 §3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Further {}

type Metadata = ProviderMetadata<
    Further,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Where the keys of an issuer are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// Told by the issuer itself.
    Discovered(&'a str),
    /// Known beforehand.
    Known { issuer: &'static str, keys: &'static str },
}

/// An issuer with its keys.
#[derive(Debug)]
pub(super) struct Issuer {
    name: IssuerUrl,
    keys: CoreJsonWebKeySet,
    pub(super) metadata: Option<Metadata>,
    since: Instant,
}

/// An ID token that somebody hands over, and what it must fit.
pub(super) struct Presented<'a> {
    pub(super) id_token: &'a str,
    /// Whom it is for.
    pub(super) client_id: &'a str,
    /// What it must repeat; whoever shows one of a native app has none from here.
    pub(super) nonce: Option<&'a SecretString>,
    /// What came beside it.
    pub(super) access_token: Option<&'a SecretString>,
}

#[derive(Clone)]
pub(super) struct Issuers {
    calls: Calls,
    clock: Arc<dyn Clock>,
    known: Cache<String, Arc<Issuer>>,
}

impl Issuers {
    pub(super) fn new(calls: Calls, clock: Arc<dyn Clock>) -> Self {
        Self { calls, clock, known: Cache::builder().max_capacity(MAX_ISSUERS).time_to_live(KEPT_FOR).build() }
    }

    /// What an issuer says of itself.
    pub(super) async fn get(&self, source: Source<'_>) -> Result<Arc<Issuer>, ProviderError> {
        let fetched = self.known.try_get_with(source.key(), self.fetch(source)).await;
        fetched.map_err(|error| ProviderError::clone(&error))
    }

    async fn fetch(&self, source: Source<'_>) -> Result<Arc<Issuer>, ProviderError> {
        let name = IssuerUrl::new(source.name().to_owned()).map_err(unusable)?;
        let (keys, metadata) = match source {
            Source::Discovered(_) => {
                let found = Metadata::discover_async(name.clone(), &self.calls).await.map_err(unusable)?;
                check_endpoints(&name, &found)?;
                (found.jwks().clone(), Some(found))
            }
            Source::Known { keys, .. } => {
                let url = JsonWebKeySetUrl::new(keys.to_owned()).map_err(unusable)?;
                (CoreJsonWebKeySet::fetch_async(&url, &self.calls).await.map_err(unusable)?, None)
            }
        };
        Ok(Arc::new(Issuer { name, keys, metadata, since: Instant::now() }))
    }

    /// Who the token says that somebody is, if it is to be believed.
    ///
    /// # Errors
    /// `Unacceptable` when it is not.
    pub(super) async fn identify(
        &self,
        source: Source<'_>,
        presented: &Presented<'_>,
    ) -> Result<Account, ProviderError> {
        let issuer = self.get(source).await?;
        let now = self.clock.now();
        match issuer.verify(presented, now) {
            // Signed by a key that has come since (Core 1.0 §10.1.1).
            Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey))
                if issuer.since.elapsed() > REFETCHED_AFTER =>
            {
                self.known.invalidate(&source.key()).await;
                self.get(source).await?.verify(presented, now)
            }
            verified => verified,
        }
        .map_err(|error| ProviderError::Unacceptable(format!("The provider's ID token cannot be trusted: {error}.")))
    }
}

/// What is to be kept to oneself goes to endpoints that nobody listens to on the way, unless the issuer itself has none such,
/// which only local mode allows; and a browser is sent to a web site.
fn check_endpoints(issuer: &IssuerUrl, metadata: &Metadata) -> Result<(), ProviderError> {
    let endpoints = [
        Some(metadata.authorization_endpoint().url()),
        metadata.token_endpoint().map(|url| url.url()),
        Some(metadata.jwks_uri().url()),
        metadata.userinfo_endpoint().map(|url| url.url()),
    ];
    let allows_http = issuer.url().scheme() == "http";
    let is_fit = |url: &&Url| url.scheme() == "https" || (allows_http && url.scheme() == "http");
    if endpoints.iter().flatten().all(is_fit) {
        return Ok(());
    }
    Err(ProviderError::Unavailable("The issuer names endpoints that are not reached by https.".to_owned()))
}

impl Source<'_> {
    fn name(&self) -> &str {
        match self {
            // Compared letter by letter with what tokens say.
            Self::Discovered(name) => name,
            Self::Known { issuer, .. } => issuer,
        }
    }

    /// Under which it is kept: what an issuer says of itself is not what is known of it beforehand.
    fn key(&self) -> String {
        let how = match self {
            Self::Discovered(_) => "discovered",
            Self::Known { .. } => "known",
        };
        format!("{how} {}", self.name())
    }
}

impl Issuer {
    fn verify(&self, presented: &Presented<'_>, now: Timestamp) -> Result<Account, ClaimsVerificationError> {
        let garbled = |_| ClaimsVerificationError::Other("it is no signed token".to_owned());
        let id_token: CoreIdToken = presented.id_token.parse().map_err(garbled)?;
        let client_id = ClientId::new(presented.client_id.to_owned());
        let verifier = CoreIdTokenVerifier::new_public_client(client_id, self.name.clone(), self.keys.clone())
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || now.to_utc().unwrap_or_default());
        let claims = match presented.nonce {
            Some(nonce) => id_token.claims(&verifier, &Nonce::new(nonce.expose_secret().to_owned()))?,
            None => id_token.claims(&verifier, |_: Option<&Nonce>| Ok(()))?,
        };
        if let (Some(told), Some(access_token)) = (claims.access_token_hash(), presented.access_token) {
            let token = AccessToken::new(access_token.expose_secret().to_owned());
            let alg = id_token.signing_alg().map_err(ClaimsVerificationError::SignatureVerification)?;
            let key = id_token.signing_key(&verifier).map_err(ClaimsVerificationError::SignatureVerification)?;
            let of_token = AccessTokenHash::from_token(&token, alg, key)
                .map_err(|error| ClaimsVerificationError::Unsupported(error.to_string()))?;
            if of_token != *told {
                return Err(ClaimsVerificationError::Other("at_hash is not that of the access token".to_owned()));
            }
        }
        Ok(account(claims))
    }

    /// Whether the answer comes from here (RFC 9207 §2.4): a mix-up of providers hands over the code of another.
    pub(super) fn is_sender(&self, told: Option<&str>) -> bool {
        let tells = self
            .metadata
            .as_ref()
            .is_some_and(|metadata| metadata.additional_metadata().authorization_response_iss_parameter_supported);
        told.map_or(!tells, |told| told == self.name.as_str())
    }
}

fn account(claims: &CoreIdTokenClaims) -> Account {
    let email = claims.email().map(|email| email.as_str().to_owned()).filter(|email| !email.is_empty());
    Account {
        id: claims.subject().as_str().to_owned(),
        is_email_verified: email.is_some() && claims.email_verified() == Some(true),
        email,
        display_name: claims
            .name()
            .and_then(|name| name.get(None).or(name.iter().next().map(|(_, name)| name)))
            .map(|name| name.as_str().to_owned())
            .filter(|name| !name.is_empty()),
        picture: claims.picture().and_then(|url| url.get(None)).and_then(|url| Url::parse(url.as_str()).ok()),
    }
}

fn unusable(error: impl std::error::Error) -> ProviderError {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    ProviderError::Unavailable(format!("{error}{cause}"))
}

#[cfg(test)]
mod tests;
