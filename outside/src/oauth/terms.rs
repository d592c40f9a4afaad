//! On what terms a client deals with its provider: by the row of a site that is known by name, or as an issuer tells.

use std::sync::Arc;

use openidconnect::core::CoreClientAuthMethod;
use postern_domain::{
    oauth::ProviderKind,
    ports::oauth::{ProviderClient, ProviderError},
};

use super::{
    OAuthProviders,
    openid::{Issuer, Source},
    sites::{Identity, Profile, Site, site},
};

/// What is asked of everybody at a provider that is found by its issuer (OpenID Connect Core 1.0 §5.4).
const OPENID_SCOPES: &[&str] = &["openid", "profile", "email"];
/// Whose personal accounts sign in at Microsoft where the project names no tenant.
const MICROSOFT_CONSUMERS: &str = "consumers";

/// Where a client finds its provider, and how it deals with it.
pub(super) struct Terms<'a> {
    pub(super) authorize: String,
    pub(super) token: String,
    pub(super) parameters: &'static [(&'static str, &'static str)],
    pub(super) takes_proof: bool,
    pub(super) wants_basic: bool,
    pub(super) identity: Told<'a>,
}

/// How a provider tells who somebody is.
pub(super) enum Told<'a> {
    Profile(&'static Profile),
    IdToken { source: Source<'a>, issuer: Arc<Issuer> },
}

impl OAuthProviders {
    pub(super) async fn terms<'a>(&self, client: &'a ProviderClient) -> Result<Terms<'a>, ProviderError> {
        match (site(client.kind), &client.issuer) {
            (Some(site), _) => self.terms_of_site(site, client).await,
            (None, Some(issuer)) => self.terms_of_issuer(issuer).await,
            (None, None) => Err(ProviderError::Refused("The provider has no issuer.".to_owned())),
        }
    }

    async fn terms_of_site<'a>(
        &self,
        site: &'static Site,
        client: &'a ProviderClient,
    ) -> Result<Terms<'a>, ProviderError> {
        let identity = match &site.identity {
            Identity::Profile(profile) => Told::Profile(profile),
            Identity::IdToken { issuer, keys } => {
                let source = Source::Known { issuer, keys };
                Told::IdToken { source, issuer: self.issuers.get(source).await? }
            }
        };
        let tenant = client.microsoft_tenant_id.as_deref().unwrap_or(MICROSOFT_CONSUMERS);
        if !tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
            return Err(ProviderError::Refused("The tenant of Microsoft's is no id and no domain.".to_owned()));
        }
        Ok(Terms {
            authorize: site.authorize.replace("{tenant}", tenant),
            token: site.token.replace("{tenant}", tenant),
            parameters: site.parameters,
            takes_proof: site.takes_proof,
            wants_basic: site.wants_basic,
            identity,
        })
    }

    async fn terms_of_issuer<'a>(&self, name: &'a str) -> Result<Terms<'a>, ProviderError> {
        let source = Source::Discovered(name);
        let issuer = self.issuers.get(source).await?;
        let metadata = issuer.metadata.as_ref();
        let (Some(authorize), Some(token)) = (
            metadata.map(|metadata| metadata.authorization_endpoint().as_str().to_owned()),
            metadata.and_then(|metadata| metadata.token_endpoint()).map(|url| url.as_str().to_owned()),
        ) else {
            return Err(ProviderError::Unavailable("The issuer tells of no endpoint for tokens.".to_owned()));
        };
        // The default where the issuer does not say (Discovery 1.0 §3).
        let wants_basic = metadata
            .and_then(|metadata| metadata.token_endpoint_auth_methods_supported())
            .is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        Ok(Terms {
            authorize,
            token,
            parameters: &[],
            takes_proof: true,
            wants_basic,
            identity: Told::IdToken { source, issuer },
        })
    }
}

fn base_scopes(kind: ProviderKind) -> &'static [&'static str] {
    site(kind).map_or(OPENID_SCOPES, |site| site.scopes)
}

pub(super) fn asked_scopes(kind: ProviderKind, extra: &[String]) -> impl Iterator<Item = String> + '_ {
    let base = base_scopes(kind);
    let further = extra.iter().filter(move |scope| !base.contains(&scope.as_str())).cloned();
    base.iter().map(|scope| (*scope).to_owned()).chain(further)
}

pub(super) fn userinfo_of(issuer: &Issuer) -> Option<&str> {
    Some(issuer.metadata.as_ref()?.userinfo_endpoint()?.as_str())
}
