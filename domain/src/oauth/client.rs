//! Who a project is at a provider.

use url::Url;

use super::kind::ProviderKind;
use crate::{
    Code, Deps,
    error::{Failure, Result, refuse},
    ports::oauth::{AppleKey, ProviderClient},
    projects::{OAuthProvider, ProjectConfig},
};

/// A provider of the project's config, with its type, that is switched on for what it is wanted for.
///
/// # Errors
/// `OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED`.
pub(crate) fn enabled<'a>(
    config: &'a ProjectConfig,
    provider_config_id: &str,
    is_on: impl Fn(&OAuthProvider) -> bool,
) -> Result<(ProviderKind, &'a OAuthProvider)> {
    let provider = config.auth.oauth.providers.get(provider_config_id).filter(|provider| is_on(provider));
    match provider.and_then(|provider| Some((ProviderKind::parse(&provider.kind)?, provider))) {
        Some(found) => Ok(found),
        None => refuse(not_enabled()),
    }
}

/// Our client there: the project's own, or the installation's that it shares.
///
/// # Errors
/// `OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED` when neither has one.
pub(crate) fn client_of(
    deps: &Deps,
    provider_config_id: &str,
    kind: ProviderKind,
    provider: &OAuthProvider,
) -> Result<ProviderClient> {
    let credentials = if provider.is_shared {
        deps.settings.shared_oauth.get(&kind).map(|shared| (shared.id.clone(), shared.secret.clone()))
    } else {
        provider.client_id.clone().zip(provider.client_secret.clone())
    };
    let is_usable = |issuer: &String| {
        Url::parse(issuer)
            .is_ok_and(|url| url.scheme() == "https" || (url.scheme() == "http" && deps.settings.local_mode))
    };
    let issuer = provider.issuer_url.clone().filter(is_usable);
    let Some((client_id, client_secret)) = credentials.filter(|_| kind != ProviderKind::Oidc || issuer.is_some())
    else {
        return refuse(not_enabled());
    };
    let own = |value: &Option<String>| value.clone().filter(|_| !provider.is_shared);
    Ok(ProviderClient {
        kind,
        is_shared: provider.is_shared,
        client_id,
        client_secret,
        callback: callback(deps, callback_name(provider_config_id, kind)),
        issuer,
        facebook_config_id: own(&provider.facebook_config_id),
        microsoft_tenant_id: own(&provider.microsoft_tenant_id),
        apple_key: own(&provider.apple_team_id)
            .zip(own(&provider.apple_key_id))
            .map(|(team_id, key_id)| AppleKey { team_id, key_id }),
    })
}

/// How a provider is called in the URL that browsers come back to: by its type, and by its key where there may be several
/// of the type.
pub(super) fn callback_name(provider_config_id: &str, kind: ProviderKind) -> &str {
    if kind == ProviderKind::Oidc { provider_config_id } else { kind.as_str() }
}

fn callback(deps: &Deps, name: &str) -> Url {
    let mut url = deps.settings.public_url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "v1", "auth", "oauth", "callback", name]);
    }
    url
}

fn not_enabled() -> Failure {
    Failure::new(
        Code::OauthProviderNotFoundOrNotEnabled,
        "This project has no such provider, or has it switched off, or has no client there.",
    )
}
