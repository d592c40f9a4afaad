//! The challenge that tells people from programs, by Cloudflare Turnstile where the installation has set it up (wire/auth §13):
//! a browser solves it, hands over a token, and Turnstile is asked whether the token is good.

use std::time::Duration;

use bytes::Bytes;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use crate::{
    Actor, Code, Deps,
    error::{Failure, Result, refuse},
    ports::http::{Method, OutgoingRequest},
    sessions::ClientInfo,
    settings::Turnstile,
};

/// The longest token, in bytes, as Turnstile documents it.
const MAX_TOKEN_BYTES: usize = 2_048;
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// What a caller says of the challenge. Without a phase it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BotChallenge {
    /// What the browser got for solving it.
    pub token: Option<String>,
    /// How it was shown.
    pub phase: Option<Phase>,
    /// The browser could not load the challenge.
    pub is_unavailable: bool,
}

/// How a challenge was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// In the background; whoever fails may try again visibly.
    Invisible,
    /// For somebody to click.
    Visible,
}

/// What Turnstile answers.
#[derive(Deserialize)]
struct Answer {
    success: bool,
}

/// Lets people pass, and whoever holds a server key. A caller that says nothing of a challenge passes unless the installation
/// wants one of everybody: the contract's older clients know none. `makes_user`: a user would be made.
///
/// # Errors
/// `BOT_CHALLENGE_REQUIRED` for a challenge that was not passed in the background; `BOT_CHALLENGE_FAILED` for one that was
/// shown, or that could not be shown to somebody new.
pub(crate) async fn require_passed(
    deps: &Deps,
    actor: &Actor,
    challenge: &BotChallenge,
    client: &ClientInfo,
    makes_user: bool,
) -> Result<()> {
    let Some(turnstile) = deps.settings.turnstile.as_ref().filter(|_| !actor.is_server()) else { return Ok(()) };
    let Some(phase) = challenge.phase else {
        return if turnstile.is_required { refuse(required()) } else { Ok(()) };
    };
    if challenge.is_unavailable {
        return if makes_user { refuse(failed()) } else { Ok(()) };
    }
    if is_solved(deps, turnstile, challenge.token.as_deref(), client).await {
        return Ok(());
    }
    refuse(match phase {
        Phase::Invisible => required(),
        Phase::Visible => failed(),
    })
}

/// Asks Turnstile. While it is out of reach nobody is known to be a person.
async fn is_solved(deps: &Deps, turnstile: &Turnstile, token: Option<&str>, client: &ClientInfo) -> bool {
    let Some(token) = token.filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN_BYTES) else { return false };
    let request = OutgoingRequest {
        method: Method::Post,
        url: turnstile.verify_url.clone(),
        headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
        body: form(turnstile, token, client),
        timeout: TIMEOUT,
        max_response_bytes: MAX_ANSWER_BYTES,
    };
    match deps.http.send(request).await {
        Ok(response) if response.status == 200 => match serde_json::from_slice::<Answer>(&response.body) {
            Ok(answer) => answer.success,
            Err(error) => {
                tracing::warn!(%error, "Turnstile answered something else than it documents");
                false
            }
        },
        Ok(response) => {
            tracing::warn!(status = response.status, "Turnstile did not answer whether a token is good");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "Turnstile cannot be reached");
            false
        }
    }
}

fn form(turnstile: &Turnstile, token: &str, client: &ClientInfo) -> Bytes {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("secret", turnstile.secret_key.expose_secret()).append_pair("response", token);
    if let Some(ip) = client.ip {
        form.append_pair("remoteip", &ip.to_string());
    }
    form.finish().into()
}

fn required() -> Failure {
    Failure::new(Code::BotChallengeRequired, "Show that you are no program: solve the challenge.")
}

fn failed() -> Failure {
    const TEXT: &str = "The challenge was not passed.";
    Failure::new(Code::BotChallengeFailed, TEXT).with(json!({ "message": TEXT }))
}

#[cfg(test)]
mod tests;
