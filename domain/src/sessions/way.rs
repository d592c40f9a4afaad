//! By which way somebody comes in, and what the audit tells of it: who came in, who did not, from where.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{activity::ClientInfo, begin::Begun, session::LiveSession};
use crate::{
    Actor, Code, Deps, UserId,
    error::Result,
    events::{self, EventKind, NewEvent},
};

/// A way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By password.
    Password,
    /// By a code or link that was mailed.
    Otp,
    /// By passkey.
    Passkey,
    /// By an account of another site.
    Oauth,
    /// Without any credentials.
    Anonymous,
    /// By a server that vouches for the user.
    Server,
}

/// What was asked for besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Factor {
    /// A code of an authenticator.
    Totp,
    /// One of the codes for the day when that is lost.
    RecoveryCode,
}

/// Somebody on the way in.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) actor: &'a Actor,
    pub(crate) method: Method,
    pub(crate) factor: Option<Factor>,
    /// Type of the other site.
    pub(crate) provider: Option<&'a str>,
    pub(crate) client: &'a ClientInfo,
}

impl<'a> Way<'a> {
    pub(crate) fn new(actor: &'a Actor, method: Method, client: &'a ClientInfo) -> Self {
        Self { actor, method, factor: None, provider: None, client }
    }

    /// What the audit tells of somebody who came in.
    pub(crate) fn arrived(&self, begun: &Begun) -> NewEvent {
        let payload = json!({ "session_id": begun.session_id, "user_id": begun.user_id, "method": self.method,
            "provider": self.provider, "factor": self.factor, "is_new_user": begun.is_new_user });
        self.event(EventKind::SignInSucceeded, Some(begun.user_id), payload)
    }

    /// The same of a session that an administrator began to act as the user.
    pub(crate) fn impersonated(&self, begun: &Begun) -> NewEvent {
        let payload = json!({ "session_id": begun.session_id, "user_id": begun.user_id });
        self.event(EventKind::SessionImpersonated, Some(begun.user_id), payload)
    }

    /// Writes that somebody did not come in, in a transaction of its own. For a stranger as for a user, so that the time it
    /// takes tells nothing; what was typed in place of a name is not kept, for it may be a password.
    pub(crate) async fn failed(&self, deps: &Deps, user_id: Option<UserId>, reason: Code) -> Result<()> {
        let payload = json!({ "user_id": user_id, "method": self.method, "provider": self.provider,
            "factor": self.factor, "reason": reason.as_str() });
        let event = &self.event(EventKind::SignInFailed, user_id, payload);
        deps.db.write(|tx| async move { events::record(deps, &tx, event.clone()).await }).await
    }

    fn event(&self, kind: EventKind, user_id: Option<UserId>, payload: serde_json::Value) -> NewEvent {
        let project_id = self.actor.project_id.clone();
        let event = NewEvent { project_id, kind, user_id, team_id: None, payload };
        events::from(self.client, events::by(Some(self.actor), event))
    }
}

/// What the audit tells of a session that somebody hands over, `to` a program (`cli`) or another `origin`.
pub(crate) fn handed_over(actor: &Actor, client: &ClientInfo, session: LiveSession, to: &str) -> NewEvent {
    let payload = json!({ "session_id": session.id, "user_id": session.user_id, "to": to });
    let event = NewEvent {
        project_id: actor.project_id.clone(),
        kind: EventKind::SessionHandedOver,
        user_id: Some(session.user_id),
        team_id: None,
        payload,
    };
    events::from(client, events::by(Some(actor), event))
}
