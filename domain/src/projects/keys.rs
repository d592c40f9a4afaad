//! Key sets: what an application proves itself with. A key is shown once, when it is made; the database holds its SHA-256
//! and its last four characters (wire: projects-config-webhooks §2.4).

use std::fmt;

use postern_entity::key_set;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store;
use crate::{
    Actor, Code, Deps, KeySetId, Level, ProjectId, Timestamp,
    error::{Failure, Result, refuse},
    events::{self, EventKind},
    random::{hash_token, random_token},
    signal::Signal,
};

/// What newer clients send in place of a publishable key they do not have. It counts as no key.
pub const NO_PUBLISHABLE_CLIENT_KEY: &str = "__stack_public_client__";
/// Longer texts are no keys; ours have 49 characters, fixed ones of the settings may have more.
const MAX_KEY_BYTES: usize = 512;

/// A key set as it can be read at any time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet {
    /// The set.
    pub id: KeySetId,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on its keys are refused.
    pub expires_at: Timestamp,
    /// Since then its keys are refused.
    pub revoked_at: Option<Timestamp>,
    /// Last four characters of the key for level CLIENT, if the set has one.
    pub publishable_client_key_last_four: Option<String>,
    /// Last four characters of the key for level SERVER, if the set has one.
    pub secret_server_key_last_four: Option<String>,
    /// Last four characters of the key for level ADMIN, if the set has one.
    pub super_secret_admin_key_last_four: Option<String>,
}

impl KeySet {
    /// Whether its keys are accepted at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

impl From<key_set::Model> for KeySet {
    fn from(row: key_set::Model) -> Self {
        Self {
            id: row.id,
            description: row.description,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            publishable_client_key_last_four: row.publishable_client_key_last_four,
            secret_server_key_last_four: row.secret_server_key_last_four,
            super_secret_admin_key_last_four: row.super_secret_admin_key_last_four,
        }
    }
}

/// The keys of a set in full. `Debug` shows none of them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// `pck_…`, for level CLIENT.
    pub publishable_client_key: Option<String>,
    /// `ssk_…`, for level SERVER.
    pub secret_server_key: Option<String>,
    /// `sak_…`, for level ADMIN.
    pub super_secret_admin_key: Option<String>,
}

impl Keys {
    /// Fresh keys for the wanted levels.
    ///
    /// # Errors
    /// Internal, when the system has no randomness to give.
    pub fn generate(wanted: WantedKeys) -> Result<Self> {
        let key = |wanted: bool, prefix: &str| -> Result<Option<String>> {
            if wanted { Ok(Some(format!("{prefix}_{}", random_token()?))) } else { Ok(None) }
        };
        Ok(Self {
            publishable_client_key: key(wanted.publishable_client_key, "pck")?,
            secret_server_key: key(wanted.secret_server_key, "ssk")?,
            super_secret_admin_key: key(wanted.super_secret_admin_key, "sak")?,
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |key: &Option<String>| if key.is_some() { "[hidden]" } else { "none" };
        f.debug_struct("Keys")
            .field("publishable_client_key", &shown(&self.publishable_client_key))
            .field("secret_server_key", &shown(&self.secret_server_key))
            .field("super_secret_admin_key", &shown(&self.super_secret_admin_key))
            .finish()
    }
}

/// Which keys a new set has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedKeys {
    /// One for level CLIENT.
    pub publishable_client_key: bool,
    /// One for level SERVER.
    pub secret_server_key: bool,
    /// One for level ADMIN.
    pub super_secret_admin_key: bool,
}

impl WantedKeys {
    /// All three.
    pub const ALL: Self = Self { publishable_client_key: true, secret_server_key: true, super_secret_admin_key: true };
}

/// What a new key set is to be.
#[derive(Clone, Debug)]
pub struct NewKeySet {
    /// For people.
    pub description: String,
    /// May lie in the past.
    pub expires_at: Timestamp,
    /// Which keys it has.
    pub wanted: WantedKeys,
}

/// A key set at the only moment its keys are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedKeySet {
    /// The set.
    pub key_set: KeySet,
    /// Its keys.
    pub keys: Keys,
}

/// What changes about a key set.
#[derive(Clone, Debug, Default)]
pub struct KeySetChange {
    /// New description.
    pub description: Option<String>,
    /// Refuse its keys from now on, for ever.
    pub revoke: bool,
}

/// Makes a key set.
///
/// # Errors
/// `FORBIDDEN` below ADMIN.
#[crate::boxed]
pub async fn create_key_set(deps: &Deps, actor: &Actor, new: NewKeySet) -> Result<CreatedKeySet> {
    require_admin(actor)?;
    let keys = &Keys::generate(new.wanted)?;
    let new = &new;
    deps.mutate(actor, "create_key_set", |tx| async move {
        store::lock_project(&tx, &actor.project_id).await?;
        let row = key_set_row(deps, &actor.project_id, new, keys);
        store::insert_key_set(&tx, row.clone()).await?;
        let made = json!({ "id": row.id });
        let made = events::audit(&actor.project_id, EventKind::KeySetCreated, Some(actor), made);
        events::record(deps, &tx, made).await?;
        Ok(CreatedKeySet { key_set: row.into(), keys: keys.clone() })
    })
    .await
}

/// The row of a new key set.
pub(super) fn key_set_row(deps: &Deps, project_id: &ProjectId, new: &NewKeySet, keys: &Keys) -> key_set::Model {
    let hash = |key: &Option<String>| key.as_deref().map(hash_token);
    key_set::Model {
        id: KeySetId::random(),
        project_id: project_id.clone(),
        description: new.description.clone(),
        created_at: deps.now(),
        expires_at: new.expires_at,
        revoked_at: None,
        publishable_client_key_hash: hash(&keys.publishable_client_key),
        publishable_client_key_last_four: keys.publishable_client_key.as_deref().map(last_four),
        secret_server_key_hash: hash(&keys.secret_server_key),
        secret_server_key_last_four: keys.secret_server_key.as_deref().map(last_four),
        super_secret_admin_key_hash: hash(&keys.super_secret_admin_key),
        super_secret_admin_key_last_four: keys.super_secret_admin_key.as_deref().map(last_four),
    }
}

fn last_four(key: &str) -> String {
    let start = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    key.get(start..).unwrap_or_default().to_owned()
}

/// All key sets of the project, newest first, revoked and expired ones included.
///
/// # Errors
/// `FORBIDDEN` below ADMIN.
#[crate::boxed]
pub async fn key_sets(deps: &Deps, actor: &Actor) -> Result<Vec<KeySet>> {
    require_admin(actor)?;
    Ok(store::key_sets(deps.db.read(), &actor.project_id).await?.into_iter().map(Into::into).collect())
}

/// One key set.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `API_KEY_NOT_FOUND`.
#[crate::boxed]
pub async fn key_set(deps: &Deps, actor: &Actor, id: KeySetId) -> Result<KeySet> {
    require_admin(actor)?;
    found(store::key_set(deps.db.read(), &actor.project_id, id).await?)
}

/// Changes a key set. Revoking a revoked one keeps the first time.
///
/// # Errors
/// `FORBIDDEN` below ADMIN; `API_KEY_NOT_FOUND`.
#[crate::boxed]
pub async fn update_key_set(deps: &Deps, actor: &Actor, id: KeySetId, change: KeySetChange) -> Result<KeySet> {
    require_admin(actor)?;
    let change = &change;
    deps.mutate(actor, "update_key_set", |tx| async move {
        store::lock_project(&tx, &actor.project_id).await?;
        let before = found(store::key_set(&*tx, &actor.project_id, id).await?)?;
        let mut key_set = before.clone();
        if let Some(description) = &change.description {
            key_set.description.clone_from(description);
        }
        if change.revoke {
            key_set.revoked_at = key_set.revoked_at.or(Some(deps.now()));
            tx.raise(Signal::ProjectChanged { project_id: actor.project_id.clone() });
        }
        store::update_key_set(&tx, &actor.project_id, &key_set).await?;
        let fields = [
            ("description", key_set.description != before.description),
            ("revoked", key_set.revoked_at != before.revoked_at),
        ];
        let changed: Vec<_> = fields.into_iter().filter(|(_, is_other)| *is_other).map(|(name, _)| name).collect();
        if !changed.is_empty() {
            let changed = json!({ "id": id, "changed": changed });
            let changed = events::audit(&actor.project_id, EventKind::KeySetUpdated, Some(actor), changed);
            events::record(deps, &tx, changed).await?;
        }
        Ok(key_set)
    })
    .await
}

fn found(row: Option<key_set::Model>) -> Result<KeySet> {
    match row {
        Some(row) => Ok(row.into()),
        None => refuse(Failure::new(Code::ApiKeyNotFound, "There is no such key set.")),
    }
}

fn require_admin(actor: &Actor) -> Result<()> {
    if actor.level == Level::Admin { Ok(()) } else { refuse(Failure::forbidden("key sets need admin access")) }
}

/// Whether `key` opens `level` of the project now: made for exactly this level, neither revoked nor expired. What is known
/// of a valid key is at most five seconds old.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn check_key(deps: &Deps, project_id: &ProjectId, level: Level, key: &str) -> Result<bool> {
    if key.len() > MAX_KEY_BYTES {
        return Ok(false);
    }
    // Found by its hash: how long that takes tells nothing about any key.
    let hash = hash_token(key);
    let name = (project_id.clone(), level, hash.clone());
    let load = || store::key_expiry(deps.db.read(), project_id, level, &hash);
    let expires_at = deps.projects.0.keys.get(project_id, &name, load).await?;
    Ok(expires_at.is_some_and(|expires_at| deps.now() < expires_at))
}

#[cfg(test)]
mod tests;
