//! Signing in from one of Apple's native apps, which gets an ID token without a browser (wire/auth §11).

use std::sync::OnceLock;

use secrecy::{ExposeSecret, SecretString};

use super::{
    case::Case,
    client::enabled,
    departure::{Purpose, unavailable},
    exchange::is_overtaken,
    kind::ProviderKind,
    memory::{Back, Errand},
};
use crate::{
    Actor, Code, Deps,
    error::{Failure, Result, refuse},
    limits,
    ports::oauth::ProviderError,
    projects,
    sessions::{ClientInfo, Method, SignedIn, Way, let_in},
};

/// Key of the provider in the config.
const APPLE: &str = "apple";
/// The longest ID token, in bytes.
const MAX_ID_TOKEN_BYTES: usize = 16 * 1024;

/// Signs in whoever shows an ID token of Apple's for one of the project's apps. Second factors are not asked for: the device
/// has done that.
///
/// # Errors
/// `OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED`; `APPLE_BUNDLE_ID_NOT_CONFIGURED`; `RATE_LIMITED`; `INVALID_APPLE_CREDENTIALS`;
/// `OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE`; `CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE`; `SIGN_UP_NOT_ENABLED`;
/// `SIGN_UP_REJECTED`.
#[crate::boxed]
pub async fn sign_in_with_apple(
    deps: &Deps,
    actor: &Actor,
    id_token: &SecretString,
    client: &ClientInfo,
) -> Result<SignedIn> {
    let project_id = &actor.project_id;
    let config = &*projects::config(deps, project_id).await?;
    let (kind, provider) = enabled(config, APPLE, |provider| provider.allow_sign_in)?;
    if kind != ProviderKind::Apple {
        return refuse(Failure::new(Code::OauthProviderNotFoundOrNotEnabled, "The provider is not Apple."));
    }
    let bundle_ids: Vec<_> = provider.apple_bundles.values().filter_map(|bundle| bundle.bundle_id.clone()).collect();
    if bundle_ids.is_empty() {
        return refuse(Failure::new(
            Code::AppleBundleIdNotConfigured,
            "This project has no bundle ids of apps set up for Apple.",
        ));
    }
    limits::visited(deps, actor, client).await?;
    if id_token.expose_secret().len() > MAX_ID_TOKEN_BYTES {
        return refuse(invalid());
    }
    let account = match deps.providers.apple_native(&bundle_ids, id_token).await {
        Ok(account) => account,
        Err(error @ ProviderError::Unavailable(_)) => return refuse(unavailable(&error)),
        Err(error) => {
            tracing::info!(%error, "an ID token of Apple's is not believed");
            return refuse(invalid());
        }
    };
    let back = &Back {
        errand: Errand {
            provider_config_id: APPLE.to_owned(),
            purpose: Purpose::Authenticate,
            // No anonymous user becomes a regular one by it.
            traveller: None,
            redirect_uri: String::new(),
            code_challenge: String::new(),
            after_callback_redirect_url: None,
        },
        kind,
        account,
        tokens: None,
        country: client.country.clone(),
    };
    back.account.check()?;
    let nobody = &Actor { user: None, ..actor.clone() };
    let way = &Way { provider: Some(kind.as_str()), ..Way::new(nobody, Method::Oauth, client) };
    Case::foretell(deps, config, way, back, client).await?;
    let decision = &OnceLock::new();
    let come_in = async || {
        let come_in = deps.mutate(nobody, "oauth.sign_in_with_apple", |tx| async move {
            let case = Case::of(deps, &tx, config, way, back).await?;
            let (user, is_new) = case.carry_out(deps, &tx, config, way, back, decision).await?;
            let_in(deps, &tx, user.id, is_new, way).await
        });
        come_in.await
    };
    let outcome = match come_in().await {
        Err(error) if is_overtaken(&error) => come_in().await,
        outcome => outcome,
    };
    outcome?.finish(deps, actor, client).await
}

fn invalid() -> Failure {
    Failure::new(Code::InvalidAppleCredentials, "This is no ID token of Apple's for an app of this project.")
}
