//! Coming back from another site.

use postern_entity::oauth_visit;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::{
    case::Case,
    client::{callback_name, client_of, enabled},
    departure::unavailable,
    kind::ProviderKind,
    memory::{self, AWAY_SECONDS, Away, Back},
};
use crate::{
    Code, Deps,
    error::{Error, Failure, Result, refuse},
    linked_accounts::GivenTokens,
    ports::oauth::{Return, Visit},
    projects::{self, ProjectConfig},
    random::random_token,
    sessions::{ClientInfo, Method, Way},
};

/// The longest of what a site may hand along, in bytes.
const MAX_PARAMETER_BYTES: usize = 16 * 1024;

/// What a browser brings back from a site.
#[derive(Clone, Debug)]
pub struct Returned {
    /// The last part of the URL that it comes back to.
    pub provider: String,
    /// By which it is known.
    pub state: String,
    /// The site's code.
    pub code: Option<SecretString>,
    /// Why there is none (RFC 6749 §4.1.2.1).
    pub error: Option<String>,
    /// Which site says so (RFC 9207).
    pub issuer: Option<String>,
    /// What Apple tells of the user beside the code.
    pub apple_user: Option<String>,
    /// The browser has the cookie of [`super::cookie_name`].
    pub has_cookie: bool,
}

/// Where a browser goes that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// To the application, with a code for a session.
    In(Url),
    /// To the application, with the reason why there is none.
    Out(Url),
}

/// Takes back who left for a site.
///
/// # Errors
/// `BAD_REQUEST` for a state that is unknown, was brought back before or belongs to another browser or provider, and for a site
/// that refuses or cannot be believed; whatever else keeps somebody out goes to the application by the browser, and is answered here
/// only where the application's URLs are not trusted: `REDIRECT_URL_NOT_WHITELISTED`, `OUTER_OAUTH_TIMEOUT`,
/// `OAUTH_PROVIDER_ACCESS_DENIED`, `OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE`, those of a link
/// (`OAUTH_CONNECTION_ALREADY_CONNECTED_TO_ANOTHER_USER`), of an address that somebody has
/// (`CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE`), `SIGN_UP_NOT_ENABLED`, `SIGN_UP_REJECTED`.
#[crate::boxed]
pub async fn arrive(deps: &Deps, returned: Returned, client: &ClientInfo) -> Result<Arrival> {
    let Some((row, away)) = memory::away_with(deps, &returned.state).await? else { return refuse(unknown()) };
    if away.has_cookie && !returned.has_cookie {
        return refuse(unknown());
    }
    let project_id = &row.project_id;
    let config = &*projects::config(deps, project_id).await?;
    // A mix-up: another site hands over what it was told (RFC 9700 §4.4).
    let kind = config.auth.oauth.providers.get(&away.errand.provider_config_id);
    let kind = kind.and_then(|provider| ProviderKind::parse(&provider.kind));
    if kind.is_some_and(|kind| callback_name(&away.errand.provider_config_id, kind) != returned.provider) {
        return refuse(unknown());
    }
    let redirect = projects::trusted_oauth_redirect(config, &away.errand.redirect_uri);
    let outcome = match &redirect {
        Ok(url) => come_in(deps, config, &row, &away, &returned, client).await.map(|code| (url.clone(), code)),
        Err(_) => refuse(projects::not_whitelisted()),
    };
    match outcome {
        Ok((url, code)) => Ok(Arrival::In(with_code(url, &code, &away.state))),
        Err(error) => out(config, redirect.ok(), &away, error),
    }
}

/// Everything that keeps somebody out, and the code for whoever is let in.
async fn come_in(
    deps: &Deps,
    config: &ProjectConfig,
    row: &oauth_visit::Model,
    away: &Away,
    returned: &Returned,
    client: &ClientInfo,
) -> Result<String> {
    let project_id = &row.project_id;
    if !memory::take_back(deps, row).await? {
        return refuse(unknown());
    }
    if deps.now() >= row.created_at.plus_seconds(AWAY_SECONDS) {
        return refuse(Failure::new(Code::OuterOauthTimeout, "Signing in took too long. Please begin again."));
    }
    if let Some(error) = &returned.error {
        return refuse(refused_there(error));
    }
    let Some(code) = returned.code.clone().filter(|code| code.expose_secret().len() <= MAX_PARAMETER_BYTES) else {
        return refuse(Failure::bad_request("The other site sent no code (code)."));
    };
    let purpose = away.errand.purpose;
    let provider_config_id = &away.errand.provider_config_id;
    let (kind, provider) = enabled(config, provider_config_id, |provider| purpose.is_offered_by(provider))?;
    let provider_client = client_of(deps, provider_config_id, kind, provider)?;
    let returned = Return {
        code,
        departure: away.departure(returned.state.clone().into()),
        apple_user: returned.apple_user.clone().filter(|user| user.len() <= MAX_PARAMETER_BYTES),
        issuer: returned.issuer.clone(),
    };
    let visit = deps.providers.arrival(&provider_client, &returned).await;
    let Visit { account, tokens } = visit.map_err(|error| unavailable(&error))?;
    let back = &Back {
        errand: away.errand.clone(),
        kind,
        account,
        tokens: Some(GivenTokens::new(deps, &provider_client, tokens)),
        country: client.country.clone(),
    };
    back.account.check()?;
    let actor = &back.errand.actor(project_id);
    let way = &Way { provider: Some(kind.as_str()), ..Way::new(actor, Method::Oauth, client) };
    Case::foretell(deps, config, way, back, client).await?;
    let code = &random_token()?;
    deps.db.write(|tx| async move { memory::await_code(deps, &tx, row, code, back).await }).await?;
    Ok(code.clone())
}

/// The address of the application with what is to be told it.
fn with_code(mut url: Url, code: &str, state: &str) -> Url {
    url.query_pairs_mut().append_pair("code", code).append_pair("state", state);
    url
}

/// Sends the reason to the application, if there is a code of the contract for it and a URL that is trusted.
fn out(config: &ProjectConfig, redirect: Option<Url>, away: &Away, error: Error) -> Result<Arrival> {
    let Some(failure) = error.failure().filter(|failure| failure.code.is_wire()) else { return Err(error) };
    let elsewhere = || away.error_redirect_url.as_deref().and_then(|url| projects::trusted_url(config, url).ok());
    let Some(mut url) = redirect.or_else(elsewhere) else { return Err(error) };
    let details = failure.details.clone().filter(|details| !details.is_null());
    url.query_pairs_mut()
        .append_pair("error", "server_error")
        .append_pair("error_description", &failure.message)
        .append_pair("state", &away.state)
        .append_pair("errorCode", failure.code.as_str())
        .append_pair("message", &failure.message)
        .append_pair("details", &details.unwrap_or_else(|| Value::Object(Map::new())).to_string());
    Ok(Arrival::Out(url))
}

/// What the site's own error means (RFC 6749 §4.1.2.1; `user_cancelled…` is LinkedIn's, `user_…` Apple's).
fn refused_there(error: &str) -> Failure {
    match error {
        "access_denied" | "user_cancelled_authorize" | "user_cancelled_login" | "user_denied" => {
            Failure::new(Code::OauthProviderAccessDenied, "The other site says that access was denied.")
        }
        "temporarily_unavailable" | "server_error" => Failure::new(
            Code::OauthProviderTemporarilyUnavailable,
            "The other site is in trouble. Please try again later.",
        ),
        _ => {
            let told: String = error.chars().filter(char::is_ascii_graphic).take(64).collect();
            Failure::bad_request(format!("The other site refuses: {told}."))
        }
    }
}

fn unknown() -> Failure {
    Failure::bad_request("Nobody who left from here in this browser comes back like that. Please begin again.")
}
