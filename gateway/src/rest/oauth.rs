//! `/auth/oauth/*`: visits to other sites, as browsers see them. What the official clients send here are URLs and forms without our
//! headers; unknown parameters are ignored, as RFC 6749 §3.1 asks.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use postern_domain::{
    Actor, Level, identity,
    oauth::{self, Arrival, Departing, Purpose, Returned, Travel, cookie_name},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::{
    call::{Call, OPEN},
    input::{Ignored, OneOf, Words, input},
    reply::{Answer, Answers, Nothing, Refusal, Reply, json_response},
    routes::{About, Routes},
    sign_in::{BotPhase, NewTokens, challenge},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Sign-in", summary, &[]);
    let (authorize, callback) = ("/auth/oauth/authorize/{provider_config_id}", "/auth/oauth/callback/{provider}");
    Routes::new()
        .get(
            authorize,
            depart,
            about("Sends a browser to another site to sign in there").path::<ProviderPath>().query::<Authorize>(),
        )
        .get(callback, come_back, about("Takes a browser back from another site").path::<CallbackPath>().answers(303))
        .post(
            callback,
            come_back_by_form,
            about("Takes a browser back from a site that sends a form").path::<CallbackPath>().answers(303),
        )
        .post(
            "/auth/oauth/callback/apple/native",
            native,
            About::new("Sign-in", "Signs in from one of Apple's native apps", OPEN).body::<NativeBody>(),
        )
}

input! {
    struct ProviderPath { provider_config_id: String }
}

input! {
    #[expect(dead_code, reason = "for the document: what comes back is read as it is")]
    struct CallbackPath { provider: String }
}

input! {
    struct NativeBody { id_token: String }
}

/// What a visit is for.
#[derive(Debug)]
struct Purposes;

impl Words for Purposes {
    const WORDS: &'static [&'static str] = &["authenticate", "link"];
}

/// How a browser is told where to go.
#[derive(Debug)]
struct Modes;

impl Words for Modes {
    const WORDS: &'static [&'static str] = &["redirect", "json"];
}

/// The only words that some parameters of the protocol have here.
macro_rules! only {
    ($name:ident $word:literal) => {
        #[derive(Debug)]
        struct $name;

        impl Words for $name {
            const WORDS: &'static [&'static str] = &[$word];
        }
    };
}

only! { Legacy "legacy" }
only! { CodeAnswer "code" }
only! { CodeGrant "authorization_code" }

input! {
    struct Authorize {
        client_id: String,
        client_secret: String,
        redirect_uri: String,
        #[expect(dead_code, reason = "it has one value")]
        scope: OneOf<Legacy>,
        state: String,
        code_challenge: String,
        code_challenge_method: String,
        #[expect(dead_code, reason = "it has one value")]
        response_type: OneOf<CodeAnswer>,
        #[expect(dead_code, reason = "it has one value")]
        grant_type: OneOf<CodeGrant>,
        kind as "type": Option<OneOf<Purposes>>,
        token: Option<String>,
        provider_scope: Option<String>,
        error_redirect_uri: Option<String>,
        error_redirect_url: Option<String>,
        after_callback_redirect_url: Option<String>,
        stack_response_mode: Option<OneOf<Modes>>,
        hexclave_response_mode: Option<OneOf<Modes>>,
        bot_challenge_token: Option<String>,
        bot_challenge_phase: Option<BotPhase>,
        bot_challenge_unavailable: Option<String>,
    }
}

/// Where the browser goes next.
#[derive(Debug, Serialize, JsonSchema)]
struct Location {
    location: String,
}

/// A browser on its way to another site.
enum Leaving {
    /// Told to the application, which sends it there.
    Told(Reply<Location>),
    /// Sent there, with a cookie by which it is known again.
    Sent(Travel, bool),
}

impl Answers for Result<Leaving, Refusal> {
    const MEDIA_TYPE: Option<&'static str> = Some("application/json");

    fn shape(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Location>()
    }
}

impl IntoResponse for Leaving {
    fn into_response(self) -> Response {
        match self {
            Self::Told(reply) => reply.into_response(),
            Self::Sent(travel, is_secure) => {
                let mut response = redirect(StatusCode::TEMPORARY_REDIRECT, &travel.location);
                // A form comes from another site, and only such a cookie is sent along.
                let other_sites = travel.returns_by_form;
                let same_site = if other_sites { "None" } else { "Lax" };
                let secure = if is_secure || other_sites { "; Secure" } else { "" };
                let (name, seconds) = (travel.cookie, travel.cookie_seconds);
                let cookie = format!("{name}=true; Path=/; HttpOnly; Max-Age={seconds}; SameSite={same_site}{secure}");
                set_cookie(&mut response, &cookie);
                response
            }
        }
    }
}

async fn depart(mut call: Call) -> Result<Leaving, Refusal> {
    call.ignore_unknown_query::<Authorize>();
    let (path, query, _) = call.read::<ProviderPath, Authorize, Ignored>()?;
    let project_id = identity::oauth_visitor(&call.deps, &query.client_id, &query.client_secret).await?;
    let mode = query.hexclave_response_mode.or(query.stack_response_mode);
    let is_told = mode.is_some_and(|mode| mode.word == "json");
    let departing = Departing {
        provider: path.provider_config_id,
        purpose: match query.kind {
            Some(kind) if kind.word == "link" => Purpose::Link,
            _ => Purpose::Authenticate,
        },
        token: query.token.filter(|token| !token.is_empty()).map(Into::into),
        redirect_uri: query.redirect_uri,
        state: query.state,
        code_challenge: query.code_challenge,
        code_challenge_method: Some(query.code_challenge_method),
        scopes: query.provider_scope,
        error_redirect_url: query.error_redirect_uri.or(query.error_redirect_url),
        after_callback_redirect_url: query.after_callback_redirect_url.filter(|url| !url.is_empty()),
        challenge: challenge(query.bot_challenge_token, query.bot_challenge_phase, query.bot_challenge_unavailable),
        has_cookie: !is_told,
    };
    let actor = Actor::new(project_id, Level::Client, None);
    let travel = oauth::depart(&call.deps, &actor, departing, &call.client).await?;
    Ok(if is_told {
        Leaving::Told(Reply::ok(Location { location: travel.location.into() }))
    } else {
        Leaving::Sent(travel, call.deps.settings.public_url.scheme() == "https")
    })
}

/// A browser that came back, and the cookie that has served, if there can be one.
struct Returning {
    cookie: Option<String>,
    outcome: Result<(StatusCode, Url), Refusal>,
}

impl Answers for Result<Returning, Refusal> {
    const MEDIA_TYPE: Option<&'static str> = Some("application/json");

    fn shape(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Nothing>()
    }
}

impl IntoResponse for Returning {
    fn into_response(self) -> Response {
        let mut response = match self.outcome {
            Ok((status, location)) => redirect(status, &location),
            Err(refusal) => refusal.into_response(),
        };
        if let Some(cookie) = &self.cookie {
            set_cookie(&mut response, &format!("{cookie}=; Path=/; HttpOnly; Max-Age=0"));
        }
        response
    }
}

async fn come_back(mut call: Call) -> Result<Returning, Refusal> {
    let parameters = call.any_query();
    Ok(arrive(&call, &parameters, StatusCode::TEMPORARY_REDIRECT).await)
}

/// The contract has 307 for what goes wrong here too, by which a browser would send the site's form to the application.
async fn come_back_by_form(mut call: Call) -> Result<Returning, Refusal> {
    let parameters = call.any_body();
    Ok(arrive(&call, &parameters, StatusCode::SEE_OTHER).await)
}

async fn arrive(call: &Call, parameters: &Map<String, Value>, out: StatusCode) -> Returning {
    let parameter = |name: &str| parameters.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let state = parameter("state").unwrap_or_default().to_owned();
    let cookie = cookie_name(&state);
    let returned = Returned {
        provider: call.path_text("provider").unwrap_or_default().to_owned(),
        has_cookie: cookie.as_ref().is_some_and(|cookie| has_cookie(&call.headers, cookie)),
        code: parameter("code").map(|code| code.to_owned().into()),
        error: parameter("error").map(str::to_owned),
        issuer: parameter("iss").map(str::to_owned),
        apple_user: parameter("user").map(str::to_owned),
        state,
    };
    let outcome = match oauth::arrive(&call.deps, returned, &call.client).await {
        Ok(Arrival::In(location)) => Ok((StatusCode::SEE_OTHER, location)),
        Ok(Arrival::Out(location)) => Ok((out, location)),
        Err(error) => Err(error.into()),
    };
    Returning { cookie, outcome }
}

async fn native(mut call: Call) -> Answer<NewTokens> {
    let actor = call.actor(OPEN)?;
    let body: NativeBody = call.body()?;
    let signed_in = oauth::sign_in_with_apple(&call.deps, &actor, &body.id_token.into(), &call.client).await?;
    Ok(Reply::ok(signed_in.into()))
}

/// With the body that the contract has. Where the browser goes next is not told from where it comes: the code of the other site
/// is in that URL.
fn redirect(status: StatusCode, location: &Url) -> Response {
    let mut response = json_response(status, b"{}".to_vec());
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(location) = HeaderValue::from_str(location.as_str()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}

/// Whether the browser sends the cookie (RFC 6265 §5.4).
fn has_cookie(headers: &HeaderMap, name: &str) -> bool {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.any(|(key, value)| key == name && value == "true")
}
