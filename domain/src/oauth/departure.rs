//! Leaving for another site.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    client::{client_of, enabled},
    kind::ProviderKind,
    memory::{self, Away, Errand, Traveller},
};
use crate::{
    Actor, Code, Deps, api_keys,
    authorization_codes::check_proof,
    bot_challenge::{self, BotChallenge},
    error::{Failure, Result, refuse},
    identity, limits,
    ports::oauth::{Departure, ProviderError},
    projects::{self, OAuthProvider},
    random::{is_token, random_token},
    sessions::{self, ClientInfo},
    validation::Violations,
};

/// The longest state that an application may hand along, in characters.
const MAX_STATE_CHARS: usize = 2_048;
/// The longest URLs that are kept, in characters.
const MAX_URL_CHARS: usize = 8_192;
/// The most scopes besides those that every user is asked for.
const MAX_SCOPES: usize = 50;
const MAX_SCOPE_CHARS: usize = 256;

/// What somebody goes to another site for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// To sign in or up with an account there.
    Authenticate,
    /// To link an account there to the user who is signed in here.
    Link,
}

impl Purpose {
    /// Whether a provider is switched on for it.
    pub(super) fn is_offered_by(self, provider: &OAuthProvider) -> bool {
        match self {
            Self::Authenticate => provider.allow_sign_in,
            Self::Link => provider.allow_sign_in || provider.allow_connected_accounts,
        }
    }
}

/// A visit that an application begins.
#[derive(Clone, Debug)]
pub struct Departing {
    /// Key of the provider in the project's config.
    pub provider: String,
    /// What for.
    pub purpose: Purpose,
    /// The access token of the user who is to be linked, or of the anonymous one who is to become a regular one, where the
    /// caller is not known by it already.
    pub token: Option<SecretString>,
    /// Where the browser goes in the end, with code and state. Whether it is trusted is asked when it comes back.
    pub redirect_uri: String,
    /// By which the application knows its own request again.
    pub state: String,
    /// SHA-256 of the verifier, as base64url.
    pub code_challenge: String,
    /// Only `S256`.
    pub code_challenge_method: Option<String>,
    /// What the user is asked for besides who they are, separated by spaces.
    pub scopes: Option<String>,
    /// Where errors go when `redirect_uri` is not trusted.
    pub error_redirect_url: Option<String>,
    /// Where the application goes on. Must be trusted.
    pub after_callback_redirect_url: Option<String>,
    /// What shows that it is no program.
    pub challenge: BotChallenge,
    /// Whether the browser is given a cookie, by which it is known again.
    pub has_cookie: bool,
}

/// A visit that has begun.
#[derive(Clone, Debug)]
pub struct Travel {
    /// Where the browser goes.
    pub location: Url,
    /// Name of the cookie, for [`Departing::has_cookie`].
    pub cookie: String,
    /// For how long the browser keeps it, in seconds.
    pub cookie_seconds: i64,
    /// The site has the browser come back by a form, with which only a cookie for other sites is sent.
    pub returns_by_form: bool,
}

/// The cookie by which a browser is known that left with a state; none for what is no state of ours, so that nothing else gets
/// into a header.
#[must_use]
pub fn cookie_name(state: &str) -> Option<String> {
    is_token(state).then(|| cookie_of(state))
}

fn cookie_of(state: &str) -> String {
    format!("stack-oauth-inner-{state}")
}

/// Begins a visit to a provider of the project.
///
/// # Errors
/// In this order: `SCHEMA_ERROR`; `OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED`; `BAD_REQUEST` for a link without a user;
/// `REDIRECT_URL_NOT_WHITELISTED`; `RATE_LIMITED`; those of the bot challenge;
/// `OAUTH_EXTRA_SCOPE_NOT_AVAILABLE_WITH_SHARED_OAUTH_KEYS`; those of the token, and of a session that has ended;
/// `OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE` when the site is not found.
#[crate::boxed]
pub async fn depart(deps: &Deps, actor: &Actor, input: Departing, client: &ClientInfo) -> Result<Travel> {
    api_keys::require_no_key(actor)?;
    let extra_scopes = check(&input)?;
    let project_id = &actor.project_id;
    let config = &*projects::config(deps, project_id).await?;
    let (kind, provider) = enabled(config, &input.provider, |provider| input.purpose.is_offered_by(provider))?;
    let provider_client = client_of(deps, &input.provider, kind, provider)?;
    if input.purpose == Purpose::Link && input.token.is_none() && actor.user.is_none() {
        return refuse(Failure::bad_request("Linking an account needs the access token of the user (token)."));
    }
    let after = input.after_callback_redirect_url.as_deref();
    let after_callback_redirect_url =
        after.map(|url| projects::trusted_url(config, url)).transpose()?.map(String::from);
    limits::visited(deps, actor, client).await?;
    let makes_user = input.purpose == Purpose::Authenticate;
    bot_challenge::require_passed(deps, actor, &input.challenge, client, makes_user).await?;
    if provider.is_shared && !extra_scopes.is_empty() {
        return refuse(Failure::new(
            Code::OauthExtraScopeNotAvailableWithSharedOauthKeys,
            "Only with a client of the project's own can users be asked for more than who they are.",
        ));
    }
    let traveller = traveller(deps, actor, &input).await?;
    let departure = Departure {
        state: random_token()?.into(),
        nonce: random_token()?.into(),
        verifier: random_token()?.into(),
        extra_scopes,
    };
    let location = deps.providers.departure(&provider_client, &departure).await.map_err(|error| unavailable(&error))?;
    let errand = Errand {
        provider_config_id: input.provider,
        purpose: input.purpose,
        traveller,
        redirect_uri: without_fragment(&input.redirect_uri),
        code_challenge: input.code_challenge,
        after_callback_redirect_url,
    };
    let away = Away::new(errand, input.state, input.error_redirect_url, input.has_cookie, &departure);
    let state = departure.state.expose_secret();
    memory::remember(deps, project_id, state, &away).await?;
    Ok(Travel {
        location,
        cookie: cookie_of(state),
        cookie_seconds: memory::AWAY_SECONDS,
        returns_by_form: kind == ProviderKind::Apple,
    })
}

/// The scopes besides those of everybody.
fn check(input: &Departing) -> Result<Vec<String>> {
    let mut violations = Violations::default();
    violations.text("redirect_uri", &input.redirect_uri, MAX_URL_CHARS);
    violations.require(Url::parse(&input.redirect_uri).is_ok(), "redirect_uri", "must be a URL");
    violations.require(!input.state.is_empty(), "state", "must not be empty");
    violations.text("state", &input.state, MAX_STATE_CHARS);
    check_proof(&mut violations, &input.code_challenge, input.code_challenge_method.as_deref());
    for (field, url) in [
        ("error_redirect_url", &input.error_redirect_url),
        ("after_callback_redirect_url", &input.after_callback_redirect_url),
    ] {
        violations.text(field, url.as_deref().unwrap_or_default(), MAX_URL_CHARS);
    }
    let scopes: Vec<String> = input.scopes.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect();
    let fits = scopes.len() <= MAX_SCOPES && scopes.iter().all(|scope| is_scope(scope));
    violations.require(
        fits,
        "provider_scope",
        format_args!("must be at most {MAX_SCOPES} scopes of at most {MAX_SCOPE_CHARS} characters (RFC 6749 §3.3)"),
    );
    violations.finish()?;
    Ok(scopes)
}

/// RFC 6749 §3.3.
fn is_scope(text: &str) -> bool {
    text.len() <= MAX_SCOPE_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// A fragment is the application's own business.
fn without_fragment(url: &str) -> String {
    url.split('#').next().unwrap_or_default().to_owned()
}

/// The user for whom the browser leaves: to get an account linked, or to stay the same user who is anonymous so far. Their
/// session lives.
async fn traveller(deps: &Deps, actor: &Actor, input: &Departing) -> Result<Option<Traveller>> {
    let user = match &input.token {
        Some(token) => identity::user_of_token(deps, &actor.project_id, token).await?,
        None => actor.user.clone(),
    };
    let acting = Actor::new(actor.project_id.clone(), actor.level, user);
    let user = match input.purpose {
        Purpose::Link => identity::require_user(&acting)?,
        Purpose::Authenticate => match acting.user.as_ref().filter(|user| user.is_anonymous) {
            Some(user) => user,
            None => return Ok(None),
        },
    };
    sessions::require_live(deps, &acting).await?;
    Ok(Some(Traveller::of(user)))
}

/// What is told of a site that cannot be dealt with. What it said is for the log of whoever runs it: it may hold anything.
pub(crate) fn unavailable(error: &ProviderError) -> Failure {
    match error {
        ProviderError::Unavailable(_) => {
            tracing::warn!(%error, "a provider cannot be reached");
            Failure::new(
                Code::OauthProviderTemporarilyUnavailable,
                "The other site is in trouble or out of reach. Please try again later.",
            )
        }
        ProviderError::Refused(text) | ProviderError::Ended(text) | ProviderError::Unacceptable(text) => {
            tracing::info!(%error, "a provider refuses, or is not believed");
            Failure::bad_request(text.clone())
        }
    }
}
