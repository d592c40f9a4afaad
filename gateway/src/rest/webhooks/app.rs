//! Who may call the Svix routes: whoever shows an application token of the project in the path, or its admin key. To anybody
//! else there is no such application.

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use postern_domain::{
    Actor, Code, Deps, Failure, WebhookAttemptId, WebhookEndpointId, WebhookMessageId,
    error::refuse,
    webhooks::{attempt_id_of, endpoint_id_of, message_id_of, portal_actor},
};
use secrecy::SecretString;

use super::refusal::AppRefusal;
use crate::{
    app::Gateway,
    rest::{
        call::{ADMIN, Call},
        input::{Ignored, Object},
    },
};

/// A parsed request to a Svix route.
#[derive(Debug)]
pub(crate) struct AppCall {
    call: Call,
    event_types: Vec<String>,
}

impl FromRequest<Gateway> for AppCall {
    type Rejection = AppRefusal;

    async fn from_request(request: Request, gateway: &Gateway) -> Result<Self, AppRefusal> {
        let event_types = event_types(request.uri().query().unwrap_or_default());
        let call = Call::from_request(request, gateway).await.map_err(AppRefusal::of)?;
        Ok(Self { call, event_types })
    }
}

impl AppCall {
    /// What operations are handed.
    pub(super) fn deps(&self) -> &Deps {
        &self.call.deps
    }

    /// The types that the query asks for, repeated or with commas between them.
    pub(super) fn event_types(&mut self) -> Vec<String> {
        std::mem::take(&mut self.event_types)
    }

    /// The caller, if the application in the path is its project. Asked before anything else is looked at.
    ///
    /// # Errors
    /// `authentication_failed`, `not_found`.
    pub(super) async fn actor(&mut self) -> Result<Actor, AppRefusal> {
        let actor = self.caller().await?;
        if self.call.path_text("app_id").is_some_and(|app_id| app_id != actor.project_id.as_str()) {
            return not_found("application");
        }
        Ok(actor)
    }

    async fn caller(&mut self) -> Result<Actor, AppRefusal> {
        if self.call.caller().is_some() {
            return self.call.actor(ADMIN).map_err(AppRefusal::of);
        }
        let actor = match bearer(&self.call.headers) {
            Some(token) => portal_actor(self.deps(), &token).await?,
            None => None,
        };
        match actor {
            Some(actor) => Ok(Actor { idempotency: self.call.idempotency(), ..actor }),
            None => Ok(refuse(Failure::new(Code::Unauthenticated, "Invalid token."))?),
        }
    }

    /// Path parameters, query and body.
    ///
    /// # Errors
    /// All that is wrong in them.
    pub(super) fn read<P: Object, Q: Object, B: Object>(&mut self) -> Result<(P, Q, B), AppRefusal> {
        self.call.read().map_err(AppRefusal::of)
    }

    /// Path parameters and query of a request that has no body to speak of.
    ///
    /// # Errors
    /// All that is wrong in them.
    pub(super) fn asked<P: Object, Q: Object>(&mut self) -> Result<(P, Q), AppRefusal> {
        let (path, query, Ignored) = self.read()?;
        Ok((path, query))
    }
}

fn event_types(query: &str) -> Vec<String> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let values = pairs.filter(|(key, _)| key == "event_types").map(|(_, value)| value.into_owned());
    values
        .flat_map(|value| value.split(',').map(str::to_owned).collect::<Vec<_>>())
        .filter(|name| !name.is_empty())
        .collect()
}

fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().into())
}

/// The endpoint of this id as the Svix routes write it.
///
/// # Errors
/// `not_found`.
pub(super) fn endpoint_id(text: &str) -> Result<WebhookEndpointId, AppRefusal> {
    endpoint_id_of(text).map_or_else(|| not_found("endpoint"), Ok)
}

/// The message of this id.
///
/// # Errors
/// `not_found`.
pub(super) fn message_id(text: &str) -> Result<WebhookMessageId, AppRefusal> {
    message_id_of(text).map_or_else(|| not_found("message"), Ok)
}

/// The attempt of this id.
///
/// # Errors
/// `not_found`.
pub(super) fn attempt_id(text: &str) -> Result<WebhookAttemptId, AppRefusal> {
    attempt_id_of(text).map_or_else(|| not_found("attempt"), Ok)
}

fn not_found<T>(what: &str) -> Result<T, AppRefusal> {
    Ok(refuse(Failure::not_found(format!("There is no such {what}.")))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_repeated_or_with_commas() {
        assert_eq!(event_types("a=1&event_types=x,y&event_types=z&event_types="), ["x", "y", "z"]);
        assert_eq!(event_types(""), [""; 0]);
    }
}
