//! Who asks. Made once per request by the request authentication (`identity`), handed to every operation.

use postern_entity::{ApiKeyId, ProjectId, SessionId, TeamId, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the caller has proven about the application it speaks for. Ordered: a higher level may do all a lower one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A browser or an app: holds at most a publishable key.
    Client,
    /// The application's backend: holds a secret server key.
    Server,
    /// The project's administration: holds the admin key, or is a user of a team that owns the project.
    Admin,
}

impl Level {
    /// As the header `x-stack-access-type` and error details spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Admin => "admin",
        }
    }
}

/// The user on whose behalf the caller speaks, as its access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActingUser {
    /// Who.
    pub id: UserId,
    /// The session the token was minted from.
    pub session_id: SessionId,
    /// The token was minted for an anonymous user.
    pub is_anonymous: bool,
    /// The token was minted for a restricted user (anonymous ones included).
    pub is_restricted: bool,
}

/// Whose an API key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOwner {
    /// This user's.
    User(UserId),
    /// This team's.
    Team(TeamId),
}

/// The API key that a caller showed in the place of an access token. It speaks for its owner at level CLIENT, as far as
/// [`crate::api_keys::may`] lets it; there is no session behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActingKey {
    /// The key.
    pub id: ApiKeyId,
    /// For whom it speaks.
    pub owner: KeyOwner,
}

/// The caller of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The project that everything the caller does is confined to.
    pub project_id: ProjectId,
    /// What it has proven.
    pub level: Level,
    /// The user for whom it speaks by an access token, if there is one. Never beside a key.
    pub user: Option<ActingUser>,
    /// The API key by which it speaks, if there is one.
    pub key: Option<ActingKey>,
    /// The user of project `internal` by whose admin access token it administers the project, if by one.
    pub owner: Option<UserId>,
    /// Makes the one mutation of this request repeatable (see [`crate::idempotency`]).
    pub idempotency: Option<IdempotencyKey>,
}

/// What the caller sent to make a mutation repeatable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Chosen by the caller, at most 255 characters.
    pub key: String,
    /// SHA-256 of what was asked, so that the key cannot be used for something else.
    pub request_hash: Vec<u8>,
}

impl IdempotencyKey {
    /// For a request that consists of `parts`: its name and its input.
    #[must_use]
    pub fn new(key: &str, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Length first, so that no two requests read alike.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self { key: key.to_owned(), request_hash: hash.finalize().to_vec() }
    }
}

impl Actor {
    /// A caller with a key of the application, without an idempotency key.
    #[must_use]
    pub fn new(project_id: ProjectId, level: Level, user: Option<ActingUser>) -> Self {
        Self { project_id, level, user, key: None, owner: None, idempotency: None }
    }

    /// A caller who showed an API key of the project.
    #[must_use]
    pub fn of_key(project_id: ProjectId, key: ActingKey) -> Self {
        Self { key: Some(key), ..Self::new(project_id, Level::Client, None) }
    }

    /// Whether the caller is the application's backend or its administration.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.level >= Level::Server
    }

    /// Whether the caller speaks for this user.
    #[must_use]
    pub fn is_user(&self, user_id: UserId) -> bool {
        self.user_id() == Some(user_id)
    }

    /// The id of the user the caller speaks for, by an access token or by an API key.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        match self.key {
            Some(ActingKey { owner: KeyOwner::User(id), .. }) => Some(id),
            Some(ActingKey { owner: KeyOwner::Team(_), .. }) => None,
            None => self.user.as_ref().map(|user| user.id),
        }
    }

    /// The id of the team whose API key the caller showed.
    #[must_use]
    pub fn team_id(&self) -> Option<TeamId> {
        match self.key {
            Some(ActingKey { owner: KeyOwner::Team(id), .. }) => Some(id),
            _ => None,
        }
    }
}
