//! Making, reading, changing and revoking keys: by the user they are of, by members of the team who hold
//! `$manage_api_keys`, and by servers.

use postern_entity::api_key;
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ConnectionTrait,
};
use serde_json::{Value, json};

use super::{
    ApiKey, ApiKeyType, CreatedApiKey, KeyOwner, MANAGE, event, not_found, require_enabled, require_no_key, store, text,
};
use crate::{
    Actor, ApiKeyId, Deps, Timestamp,
    db::Tx,
    error::{Failure, Result, refuse},
    events::{self, EventKind, NewEvent},
    identity::require_user,
    permissions,
    random::hash_token,
    signal::Signal,
    teams, users,
    validation::Violations,
};

/// The longest description, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 1_000;
/// How many keys of an owner are listed: the newest ones.
const MAX_LISTED: u64 = 1_000;
/// Keys may be made to end at any instant of these years, past ones too: what the scalar of either door can write.
const FIRST_EXPIRY: Timestamp = Timestamp(0);
/// 9999-12-31T23:59:59.999Z.
const LAST_EXPIRY: Timestamp = Timestamp(253_402_300_799_999);

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApiKey {
    /// Whose it is to be.
    pub owner: KeyOwner,
    /// For people; at most [`MAX_DESCRIPTION_CHARS`].
    pub description: String,
    /// Never when there is none; may lie in the past.
    pub expires_at: Option<Timestamp>,
    /// To be seen by anybody.
    pub is_public: bool,
}

/// What changes about a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyChange {
    /// At most [`MAX_DESCRIPTION_CHARS`].
    pub description: Option<String>,
    /// Refuse it from now on, for ever.
    pub revoke: bool,
}

/// Makes a key. It is told here and never again.
///
/// # Errors
/// In this order: `BAD_REQUEST` where the project has no such keys. Clients: `USER_AUTHENTICATION_REQUIRED`; `FORBIDDEN` for
/// another user; `API_KEY_NOT_FOUND` for a team in which they do not hold `$manage_api_keys`. Both: `SCHEMA_ERROR`;
/// `USER_NOT_FOUND`, `TEAM_NOT_FOUND`.
#[crate::boxed]
pub async fn create(deps: &Deps, actor: &Actor, new: NewApiKey) -> Result<CreatedApiKey> {
    let (project_id, owner) = (&actor.project_id, new.owner);
    require_enabled(deps, project_id, owner.key_type()).await?;
    require_access(deps, deps.db.read(), actor, owner).await?;
    let mut violations = Violations::default();
    violations.text("description", &new.description, MAX_DESCRIPTION_CHARS);
    let is_possible = new.expires_at.is_none_or(|at| (FIRST_EXPIRY..=LAST_EXPIRY).contains(&at));
    violations.require(is_possible, "expires_at_millis", "must lie in the years 1970 to 9999");
    violations.finish()?;
    let id = ApiKeyId::random();
    let value = text::generate(id, owner.key_type(), new.is_public)?;
    let (user_id, team_id) = match owner {
        KeyOwner::User(id) => (Some(id), None),
        KeyOwner::Team(id) => (None, Some(id)),
    };
    let row = api_key::Model {
        id,
        project_id: project_id.clone(),
        user_id,
        team_id,
        description: new.description,
        is_public: new.is_public,
        key_hash: hash_token(&value),
        last_four: value.get(text::KEY_LENGTH - 4..).unwrap_or_default().to_owned(),
        created_at: deps.now(),
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    let created = &CreatedApiKey { api_key: row.clone().try_into()?, value };
    deps.mutate(actor, "api_keys.create", |tx| {
        let row = row.clone();
        async move {
            hold_owner(&tx, actor, owner).await?;
            // Once more, now that nothing about it can change.
            require_access(deps, &*tx, actor, owner).await?;
            let told = audit(actor, EventKind::ApiKeyCreated, &created.api_key, json!({ "is_public": row.is_public }));
            store::insert(&tx, row).await?;
            events::record(deps, &tx, told).await?;
            Ok(created.clone())
        }
    })
    .await
}

/// An entry for audit about a key: whose it is, `more`, and who did it.
fn audit(actor: &Actor, kind: EventKind, api_key: &ApiKey, more: Value) -> NewEvent {
    events::by(Some(actor), event(&actor.project_id, kind, (api_key.id, api_key.owner), more))
}

async fn hold_owner(tx: &Tx, actor: &Actor, owner: KeyOwner) -> Result<()> {
    match owner {
        KeyOwner::User(id) if !users::lock_in(tx, &actor.project_id, id).await? => refuse(users::not_found()),
        KeyOwner::Team(id) if !teams::lock_in(tx, &actor.project_id, id).await? => refuse(teams::not_found(id)),
        KeyOwner::User(_) | KeyOwner::Team(_) => Ok(()),
    }
}

/// Whether the caller may look after the keys of this owner.
async fn require_access(deps: &Deps, connection: &impl ConnectionTrait, actor: &Actor, owner: KeyOwner) -> Result<()> {
    require_no_key(actor)?;
    if actor.is_server() {
        return Ok(());
    }
    let own = require_user(actor)?.id;
    match owner {
        KeyOwner::User(id) if id == own => Ok(()),
        KeyOwner::User(_) => refuse(Failure::forbidden("A user can look after its own API keys only.")),
        KeyOwner::Team(id) => {
            let held = permissions::held_in_team(deps, connection, &actor.project_id, id, own).await?;
            // The contract has the same answer for strangers and for members who may not.
            if held.is_some_and(|held| held.contains(MANAGE)) { Ok(()) } else { refuse(not_found()) }
        }
    }
}

/// The keys of an owner, newest first, revoked and expired ones included.
///
/// # Errors
/// `BAD_REQUEST` where the project has no such keys. Clients: those of [`create`].
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor, owner: KeyOwner) -> Result<Vec<ApiKey>> {
    require_enabled(deps, &actor.project_id, owner.key_type()).await?;
    require_access(deps, deps.db.read(), actor, owner).await?;
    let rows = store::of_owner(deps.db.read(), &actor.project_id, owner, MAX_LISTED).await?;
    rows.into_iter().map(ApiKey::try_from).collect()
}

/// One key; of this sort, where one is told.
///
/// # Errors
/// `BAD_REQUEST` where the project has no such keys; `API_KEY_NOT_FOUND`. Clients: those of [`create`], by whose the key is.
#[crate::boxed]
pub async fn get(deps: &Deps, actor: &Actor, kind: Option<ApiKeyType>, id: ApiKeyId) -> Result<ApiKey> {
    require_some_access(deps, actor, kind).await?;
    let row = store::find(deps.db.read(), &actor.project_id, id).await?;
    accessible(deps, deps.db.read(), actor, kind, row).await
}

/// Changes a key. Revoking a revoked one keeps the first time.
///
/// # Errors
/// Those of [`get`]; `SCHEMA_ERROR`.
#[crate::boxed]
pub async fn update(
    deps: &Deps,
    actor: &Actor,
    kind: Option<ApiKeyType>,
    id: ApiKeyId,
    change: ApiKeyChange,
) -> Result<ApiKey> {
    require_some_access(deps, actor, kind).await?;
    let mut violations = Violations::default();
    violations.text("description", change.description.as_deref().unwrap_or_default(), MAX_DESCRIPTION_CHARS);
    violations.finish()?;
    let change = &change;
    deps.mutate(actor, "api_keys.update", |tx| async move {
        let row = store::lock(&tx, &actor.project_id, id).await?;
        let mut api_key = accessible(deps, &*tx, actor, kind, row).await?;
        let mut told = Vec::new();
        if let Some(description) = &change.description
            && *description != api_key.description
        {
            api_key.description.clone_from(description);
            told.push(audit(actor, EventKind::ApiKeyUpdated, &api_key, json!({})));
        }
        if change.revoke && api_key.revoked_at.is_none() {
            api_key.revoked_at = Some(deps.now());
            tx.raise(Signal::ApiKeyRevoked { api_key_id: id });
            told.push(audit(actor, EventKind::ApiKeyRevoked, &api_key, json!({ "leaked": false })));
        }
        let changed = api_key::ActiveModel {
            id: Unchanged(id),
            description: Set(api_key.description.clone()),
            revoked_at: Set(api_key.revoked_at),
            ..Default::default()
        };
        store::update(&tx, changed).await?;
        events::record_all(deps, &tx, told).await?;
        Ok(api_key)
    })
    .await
}

/// What can be said before the key is known: a stranger does not learn whether it exists.
async fn require_some_access(deps: &Deps, actor: &Actor, kind: Option<ApiKeyType>) -> Result<()> {
    if let Some(kind) = kind {
        require_enabled(deps, &actor.project_id, kind).await?;
    }
    require_no_key(actor)?;
    if actor.is_server() { Ok(()) } else { require_user(actor).map(drop) }
}

/// The key, if it is of the sort and the caller may look after it.
async fn accessible(
    deps: &Deps,
    connection: &impl ConnectionTrait,
    actor: &Actor,
    kind: Option<ApiKeyType>,
    row: Option<api_key::Model>,
) -> Result<ApiKey> {
    let Some(row) = row else { return refuse(not_found()) };
    let api_key = ApiKey::try_from(row)?;
    let actual = api_key.owner.key_type();
    match kind {
        Some(kind) if kind != actual => return refuse(not_found()),
        Some(_) => {}
        None => require_enabled(deps, &actor.project_id, actual).await?,
    }
    require_access(deps, connection, actor, api_key.owner).await?;
    Ok(api_key)
}
