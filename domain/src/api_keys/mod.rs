//! API keys of users and teams (wire: users-teams-permissions §6): an application hands them to its users, and its backend
//! asks whether one is good. In GraphQL a secret key also speaks for its owner, in the place of an access token.
//!
//! What is promised:
//! - A key is told once, when it is made. The database holds its SHA-256 and its last four characters.
//! - A text that is not laid out like a key, or whose checksum is wrong, never reaches the database.
//! - What a key may do is one list (`OF_KEYS`), asked where every mutation passes: one that is not in it is refused,
//!   whatever door it comes by.
//! - A key ends with its owner, at its expiry, and at once when it is revoked.
//!
//! `text.rs` is the layout of a key, `manage.rs` what owners do with their keys, `check.rs` whether one is good,
//! `leaked.rs` what happens to one that was found in public.

mod check;
pub mod jobs;
mod leaked;
mod manage;
mod store;
mod text;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub(crate) use self::check::authenticate;
pub use self::{
    check::check,
    leaked::{report_leaked, tell_of_leak},
    manage::{ApiKeyChange, MAX_DESCRIPTION_CHARS, NewApiKey, create, get, list, update},
    text::{KEY_LENGTH, is_api_key},
};
pub use crate::actor::{ActingKey, KeyOwner};
use crate::{
    Actor, ApiKeyId, Code, Deps, ProjectId, Timestamp,
    error::{Error, Failure, Result, refuse},
    events::{EventKind, NewEvent},
    projects,
};

/// What a member of a team holds who looks after the team's keys.
const MANAGE: &str = "$manage_api_keys";

/// The mutations that an API key may do for its owner. Sessions, keys, passwords, second factors, contact channels, deletion
/// and the administration of the project are for people who signed in. Of [`crate::users::update_own`] a key may change
/// only what nobody signs in with.
const OF_KEYS: &[&str] =
    &["teams.create", "teams.remove_member", "teams.update", "teams.update_profile", "users.update"];

/// Whose a key is, by sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyType {
    /// A user's.
    User,
    /// A team's.
    Team,
}

impl ApiKeyType {
    /// As keys and the wire spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Team => "team",
        }
    }
}

impl KeyOwner {
    /// The sort of its keys.
    #[must_use]
    pub fn key_type(self) -> ApiKeyType {
        match self {
            Self::User(_) => ApiKeyType::User,
            Self::Team(_) => ApiKeyType::Team,
        }
    }
}

/// An API key as it can be read at any time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key.
    pub id: ApiKeyId,
    /// Whose it is.
    pub owner: KeyOwner,
    /// For people.
    pub description: String,
    /// Made to be seen by anybody: it proves nothing.
    pub is_public: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is refused; never when there is none.
    pub expires_at: Option<Timestamp>,
    /// Since then it is refused.
    pub revoked_at: Option<Timestamp>,
    /// Last four characters of the key.
    pub last_four: String,
}

impl TryFrom<postern_entity::api_key::Model> for ApiKey {
    type Error = Error;

    fn try_from(row: postern_entity::api_key::Model) -> Result<Self> {
        let owner = match (row.user_id, row.team_id) {
            (Some(id), None) => KeyOwner::User(id),
            (None, Some(id)) => KeyOwner::Team(id),
            _ => return Err(Error::internal(format!("the API key {} has not exactly one owner", row.id))),
        };
        Ok(Self {
            id: row.id,
            owner,
            description: row.description,
            is_public: row.is_public,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_four: row.last_four,
        })
    }
}

/// A key at the only moment it is known. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedApiKey {
    /// What can be read of it later.
    pub api_key: ApiKey,
    /// The key itself, [`KEY_LENGTH`] characters.
    pub value: String,
}

impl fmt::Debug for CreatedApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedApiKey").field("api_key", &self.api_key).finish_non_exhaustive()
    }
}

/// Lets an actor that is an API key pass for the mutations that API keys may do, and everybody else always.
///
/// # Errors
/// `FORBIDDEN`.
pub fn may(actor: &Actor, operation: &str) -> Result<()> {
    if OF_KEYS.contains(&operation) { Ok(()) } else { require_no_key(actor) }
}

/// Lets everybody pass who is no API key: for what people look at who signed in.
///
/// # Errors
/// `FORBIDDEN`.
pub fn require_no_key(actor: &Actor) -> Result<()> {
    if actor.key.is_none() {
        return Ok(());
    }
    refuse(Failure::forbidden("An API key may not do this: sign in, or use a server key."))
}

/// The project must have switched on keys of this sort.
async fn require_enabled(deps: &Deps, project_id: &ProjectId, kind: ApiKeyType) -> Result<()> {
    let config = projects::config(deps, project_id).await?;
    let (is_enabled, whose) = match kind {
        ApiKeyType::User => (config.api_keys.enabled.user, "users"),
        ApiKeyType::Team => (config.api_keys.enabled.team, "teams"),
    };
    if is_enabled {
        return Ok(());
    }
    refuse(Failure::bad_request(format!("This project has not switched on API keys of {whose}.")))
}

/// An event about a key: whose it is, and what `more` (an object) tells.
fn event(project_id: &ProjectId, kind: EventKind, (id, owner): (ApiKeyId, KeyOwner), more: Value) -> NewEvent {
    let (user_id, team_id, whose) = match owner {
        KeyOwner::User(id) => (Some(id), None, json!({ "user_id": id })),
        KeyOwner::Team(id) => (None, Some(id), json!({ "team_id": id })),
    };
    let mut payload = Map::from_iter([("id".to_owned(), json!(id))]);
    payload.extend([whose, more].into_iter().filter_map(|part| part.as_object().cloned()).flatten());
    NewEvent { project_id: project_id.clone(), kind, user_id, team_id, payload: Value::Object(payload) }
}

fn not_found() -> Failure {
    Failure::new(Code::ApiKeyNotFound, "There is no such API key.")
}

fn expired() -> Failure {
    Failure::new(Code::ApiKeyExpired, "This API key has expired.")
}

/// Whether a key that ends then, or never, has ended.
fn is_over(deps: &Deps, expires_at: Option<Timestamp>) -> bool {
    expires_at.is_some_and(|expires_at| expires_at <= deps.now())
}

#[cfg(test)]
mod tests;
