//! Providers that people sign in with, for real: the protocol by `oauth2`, ID tokens by `openidconnect`, what is peculiar to
//! one of them in its row of `sites.rs`.

mod apple;
mod calls;
mod openid;
mod profile;
mod sites;
mod terms;

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
    basic::{
        BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
        BasicTokenType,
    },
};
use postern_domain::{
    oauth::ProviderKind,
    ports::{
        http::HttpClient,
        oauth::{Account, Departure, ProviderClient, ProviderError, Providers, Return, Tokens, Visit},
    },
    time::Clock,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use self::{
    calls::{CallError, Calls, TokenCalls},
    openid::{Issuer, Issuers, Presented, Source},
    sites::{Identity, Site, site},
    terms::{Terms, Told, asked_scopes, userinfo_of},
};

/// How long all calls of one operation may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Calls providers. Cheap to clone.
#[derive(Clone)]
pub struct OAuthProviders {
    calls: Calls,
    issuers: Issuers,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Serialize, Deserialize)]
struct IdTokenField {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdTokenField {}

type TokenAnswer = StandardTokenResponse<IdTokenField, BasicTokenType>;

type Protocol<Endpoint = EndpointSet> = oauth2::Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    Endpoint,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    Endpoint,
>;

impl OAuthProviders {
    /// Calls providers by `http`. A stand-in, for tests, serves each host of a provider below a path of the host's name.
    #[must_use]
    pub fn new(http: Arc<dyn HttpClient>, clock: Arc<dyn Clock>, stand_in: Option<Url>) -> Self {
        let calls = Calls::new(http, stand_in);
        Self { issuers: Issuers::new(calls.clone(), Arc::clone(&clock)), calls, clock }
    }

    fn protocol(&self, client: &ProviderClient, terms: &Terms<'_>) -> Result<Protocol, ProviderError> {
        let secret = match client.kind {
            ProviderKind::Apple => apple::client_secret(client, self.clock.now())?,
            _ => client.client_secret.expose_secret().to_owned(),
        };
        // A browser goes to the stand-in as well; what the program calls is led there by `calls`.
        let authorize = self.calls.place_of(&terms.authorize)?.into();
        Ok(Protocol::<EndpointNotSet>::new(ClientId::new(client.client_id.clone()))
            .set_client_secret(ClientSecret::new(secret))
            .set_auth_type(if terms.wants_basic { AuthType::BasicAuth } else { AuthType::RequestBody })
            .set_auth_uri(AuthUrl::new(authorize).map_err(|_| CallError::Url)?)
            .set_token_uri(TokenUrl::new(terms.token.clone()).map_err(|_| CallError::Url)?)
            .set_redirect_uri(RedirectUrl::from_url(client.callback.clone())))
    }

    async fn depart(&self, client: &ProviderClient, departure: &Departure) -> Result<Url, ProviderError> {
        let terms = self.terms(client).await?;
        let protocol = self.protocol(client, &terms)?;
        let state = departure.state.expose_secret().to_owned();
        let mut request = protocol.authorize_url(|| CsrfToken::new(state));
        for scope in asked_scopes(client.kind, &departure.extra_scopes) {
            request = request.add_scope(Scope::new(scope));
        }
        for (name, value) in terms.parameters {
            request = request.add_extra_param(*name, *value);
        }
        if terms.takes_proof {
            let verifier = PkceCodeVerifier::new(departure.verifier.expose_secret().to_owned());
            request = request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        }
        if matches!(terms.identity, Told::IdToken { .. }) {
            request = request.add_extra_param("nonce", departure.nonce.expose_secret());
        }
        if let (ProviderKind::Facebook, Some(config_id)) = (client.kind, &client.facebook_config_id) {
            request = request.add_extra_param("config_id", config_id);
        }
        Ok(request.url().0)
    }

    async fn arrive(&self, client: &ProviderClient, returned: &Return) -> Result<Visit, ProviderError> {
        let terms = self.terms(client).await?;
        if let Told::IdToken { issuer, .. } = &terms.identity
            && !issuer.is_sender(returned.issuer.as_deref())
        {
            return Err(ProviderError::Unacceptable("The answer is not from this provider.".to_owned()));
        }
        let protocol = self.protocol(client, &terms)?;
        let mut request = protocol.exchange_code(AuthorizationCode::new(returned.code.expose_secret().to_owned()));
        if terms.takes_proof {
            let verifier = returned.departure.verifier.expose_secret().to_owned();
            request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier));
        }
        let answer = request.request_async(&TokenCalls(&self.calls)).await.map_err(not_granted)?;
        let mut tokens = tokens(client.kind, &answer);
        // RFC 6749 §5.1: left out when it is what was asked for.
        tokens.scopes =
            tokens.scopes.or_else(|| Some(asked_scopes(client.kind, &returned.departure.extra_scopes).collect()));
        let id_token = answer.extra_fields().id_token.as_deref();
        let mut account = self.account(client, &terms, &tokens.access_token, id_token, &returned.departure).await?;
        if let (ProviderKind::Apple, Some(user)) = (client.kind, &returned.apple_user) {
            account.display_name = account.display_name.or_else(|| apple::name(user));
        }
        Ok(Visit { account, tokens })
    }

    async fn account(
        &self,
        client: &ProviderClient,
        terms: &Terms<'_>,
        access_token: &SecretString,
        id_token: Option<&str>,
        departure: &Departure,
    ) -> Result<Account, ProviderError> {
        match &terms.identity {
            Told::Profile(profile) => {
                let client_id = client_id_to_tell(client);
                let told = self.calls.resource(profile.url, access_token, client_id).await?;
                let listed = match &profile.emails {
                    Some(emails) => Some(self.calls.resource(emails.url, access_token, client_id).await?),
                    None => None,
                };
                profile::account(client.kind, profile, &told, listed.as_ref())
            }
            Told::IdToken { source, issuer } => {
                let Some(id_token) = id_token else {
                    return Err(ProviderError::Unacceptable("The provider gave no ID token.".to_owned()));
                };
                let presented = Presented {
                    id_token,
                    client_id: &client.client_id,
                    nonce: Some(&departure.nonce),
                    access_token: Some(access_token),
                };
                let account = self.issuers.identify(*source, &presented).await?;
                self.completed(account, issuer, access_token).await
            }
        }
    }

    /// Asks for what the ID token leaves out (OpenID Connect Core 1.0 §5.4): with a code, claims are told there only.
    async fn completed(
        &self,
        account: Account,
        issuer: &Issuer,
        access_token: &SecretString,
    ) -> Result<Account, ProviderError> {
        let Some(url) = userinfo_of(issuer).filter(|_| account.email.is_none()) else { return Ok(account) };
        let told = self.calls.resource(url, access_token, None).await?;
        let told = profile::account(ProviderKind::Oidc, &sites::CLAIMS, &told, None)?;
        // §5.3.2: otherwise it tells of somebody else.
        if told.id != account.id {
            return Err(ProviderError::Unacceptable(
                "The provider tells of another account than its ID token.".to_owned(),
            ));
        }
        Ok(Account {
            display_name: account.display_name.or(told.display_name),
            picture: account.picture.or(told.picture),
            ..told
        })
    }

    async fn renew(&self, client: &ProviderClient, refresh_token: &SecretString) -> Result<Tokens, ProviderError> {
        let terms = self.terms(client).await?;
        let protocol = self.protocol(client, &terms)?;
        let token = RefreshToken::new(refresh_token.expose_secret().to_owned());
        let answer = protocol.exchange_refresh_token(&token).request_async(&TokenCalls(&self.calls)).await;
        Ok(tokens(client.kind, &answer.map_err(not_granted)?))
    }

    async fn is_taken(&self, client: &ProviderClient, access_token: &SecretString) -> Result<bool, ProviderError> {
        let terms = self.terms(client).await?;
        let url = match &terms.identity {
            Told::Profile(profile) => Some(profile.url),
            Told::IdToken { issuer, .. } => userinfo_of(issuer),
        };
        // One that tells nothing by it shows itself when it is used.
        let Some(url) = url else { return Ok(true) };
        match self.calls.resource(url, access_token, client_id_to_tell(client)).await {
            Ok(_) => Ok(true),
            Err(ProviderError::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Providers for OAuthProviders {
    async fn departure(&self, client: &ProviderClient, departure: &Departure) -> Result<Url, ProviderError> {
        in_time(self.depart(client, departure)).await
    }

    async fn arrival(&self, client: &ProviderClient, returned: &Return) -> Result<Visit, ProviderError> {
        in_time(self.arrive(client, returned)).await
    }

    async fn refresh(&self, client: &ProviderClient, refresh_token: &SecretString) -> Result<Tokens, ProviderError> {
        in_time(self.renew(client, refresh_token)).await
    }

    async fn accepts(&self, client: &ProviderClient, access_token: &SecretString) -> Result<bool, ProviderError> {
        in_time(self.is_taken(client, access_token)).await
    }

    async fn apple_native(&self, bundle_ids: &[String], id_token: &SecretString) -> Result<Account, ProviderError> {
        let Some(Site { identity: Identity::IdToken { issuer, keys }, .. }) = site(ProviderKind::Apple) else {
            return Err(ProviderError::Refused("Apple tells by no ID token.".to_owned()));
        };
        let identify = async {
            let mut refused = ProviderError::Unacceptable("No app is known.".to_owned());
            for client_id in bundle_ids {
                let id_token = id_token.expose_secret();
                let presented = Presented { id_token, client_id, nonce: None, access_token: None };
                match self.issuers.identify(Source::Known { issuer, keys }, &presented).await {
                    Err(error @ ProviderError::Unacceptable(_)) => refused = error,
                    identified => return identified,
                }
            }
            Err(refused)
        };
        in_time(identify).await
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, ProviderError>> + Send) -> Result<T, ProviderError> {
    let late = |_| Err(ProviderError::Unavailable("no complete answer in time".to_owned()));
    tokio::time::timeout(TIMEOUT, work).await.unwrap_or_else(late)
}

/// Twitch wants to know who calls besides.
fn client_id_to_tell(client: &ProviderClient) -> Option<&str> {
    (client.kind == ProviderKind::Twitch).then_some(&client.client_id)
}

fn tokens(kind: ProviderKind, answer: &TokenAnswer) -> Tokens {
    let told = answer.scopes().map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect::<Vec<_>>());
    let implied = site(kind).map(|site| site.implied_scopes).unwrap_or_default();
    let scopes = told.map(|mut scopes| {
        let narrower = implied.iter().filter(|(wide, _)| scopes.iter().any(|scope| scope == wide));
        scopes.extend(
            narrower.flat_map(|(_, narrow)| narrow.iter().map(|scope| (*scope).to_owned())).collect::<Vec<_>>(),
        );
        scopes
    });
    Tokens {
        access_token: answer.access_token().secret().clone().into(),
        expires_in: answer.expires_in(),
        refresh_token: answer.refresh_token().map(|token| token.secret().clone().into()),
        scopes: scopes.filter(|scopes| !scopes.is_empty()),
    }
}

/// Of what a provider says only the code is told: the rest is for whoever set it up, and may hold anything.
fn not_granted(error: RequestTokenError<CallError, BasicErrorResponse>) -> ProviderError {
    match error {
        RequestTokenError::ServerResponse(answer) => match answer.error() {
            BasicErrorResponseType::Extension(code) if code == "temporarily_unavailable" || code == "server_error" => {
                ProviderError::Unavailable(format!("it says {code}"))
            }
            BasicErrorResponseType::InvalidGrant => {
                ProviderError::Ended("The provider says that what was granted is over.".to_owned())
            }
            code => {
                let code: String = code.as_ref().chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
                ProviderError::Refused(format!("The provider refuses: {code}."))
            }
        },
        RequestTokenError::Request(error) => error.into(),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            ProviderError::Unavailable("it answers something that is neither tokens nor an error".to_owned())
        }
    }
}

impl std::fmt::Debug for OAuthProviders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuthProviders").finish_non_exhaustive()
    }
}
