//! Reading users one by one, and in batches for loaders.

use std::collections::HashMap;

use secrecy::SecretString;

use super::{
    User, not_found,
    store::{self, Loaded},
};
use crate::{
    Actor, Code, Deps, Failure, ProjectId, UserId,
    db::Tx,
    email_address::EmailAddress,
    error::{Result, refuse},
    projects::{self, ProjectConfig},
};

/// How many ids one statement asks for; below what either database takes.
const MAX_IDS: usize = 1000;

/// One user, whoever it is, restricted and anonymous ones too.
///
/// # Errors
/// `USER_NOT_FOUND`, also for clients that ask for anybody but themselves.
#[crate::boxed]
pub async fn get(deps: &Deps, actor: &Actor, id: UserId) -> Result<User> {
    if !may_see(actor, id) {
        return refuse(not_found());
    }
    match find(deps, &actor.project_id, id).await? {
        Some(user) => Ok(user),
        None => refuse(not_found()),
    }
}

/// Servers see everybody, others themselves.
fn may_see(actor: &Actor, id: UserId) -> bool {
    actor.is_server() || actor.is_user(id)
}

/// The user the caller speaks for.
///
/// # Errors
/// `CANNOT_GET_OWN_USER_WITHOUT_USER` when it speaks for nobody, or for a user that is gone.
#[crate::boxed]
pub async fn get_own(deps: &Deps, actor: &Actor) -> Result<User> {
    let own = match actor.user_id() {
        Some(id) => find(deps, &actor.project_id, id).await?,
        None => None,
    };
    match own {
        Some(user) => Ok(user),
        None => refuse(no_own_user()),
    }
}

pub(super) fn no_own_user() -> Failure {
    Failure::new(Code::CannotGetOwnUserWithoutUser, "Sign in first: this call is about the signed-in user.")
}

/// A user of the project. Checks no access.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn find(deps: &Deps, project_id: &ProjectId, id: UserId) -> Result<Option<User>> {
    let config = projects::config(deps, project_id).await?;
    Ok(load(deps, project_id, id).await?.map(|loaded| loaded.into_user(&config)))
}

async fn load(deps: &Deps, project_id: &ProjectId, id: UserId) -> Result<Option<Loaded>> {
    let loaded = deps.users.by_id.get(deps.db.read(), id).await?;
    Ok(loaded.filter(|loaded| loaded.row.project_id == *project_id))
}

/// The same within a transaction, as the transaction sees it.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn find_in(tx: &Tx, config: &ProjectConfig, project_id: &ProjectId, id: UserId) -> Result<Option<User>> {
    Ok(store::find(&**tx, project_id, id).await?.map(|loaded| loaded.into_user(config)))
}

/// Users of the project by id, for loaders; ids without a user are left out. Checks no access.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn by_ids(deps: &Deps, project_id: &ProjectId, ids: &[UserId]) -> Result<HashMap<UserId, User>> {
    let config = projects::config(deps, project_id).await?;
    let mut users = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(MAX_IDS) {
        let connection = deps.db.read();
        let found: Vec<Loaded> = store::with_ids(connection, project_id, ids).into_model().all(connection).await?;
        users.extend(found.into_iter().map(|loaded| (loaded.row.id, loaded.into_user(&config))));
    }
    Ok(users)
}

/// Those of these users that the caller may see by [`get`], for loaders; others are left out.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn seen_by_ids(deps: &Deps, actor: &Actor, ids: &[UserId]) -> Result<HashMap<UserId, User>> {
    let seen: Vec<_> = ids.iter().copied().filter(|id| may_see(actor, *id)).collect();
    by_ids(deps, &actor.project_id, &seen).await
}

/// Somebody who may sign in, with what to check that against.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Who.
    pub user: User,
    /// What a password is checked against; none when the user has no password.
    pub password_hash: Option<SecretString>,
}

/// Who signs in with the address. One statement, whether there is somebody or not.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn credentials_by_email(
    deps: &Deps,
    project_id: &ProjectId,
    address: &EmailAddress,
) -> Result<Option<Credentials>> {
    let config = projects::config(deps, project_id).await?;
    let connection = deps.db.read();
    let loaded = store::with_auth_email(connection, project_id, address).into_model().one(connection).await?;
    Ok(loaded.map(|loaded| credentials(loaded, &config)))
}

/// The same for a known user.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn credentials_of(deps: &Deps, project_id: &ProjectId, id: UserId) -> Result<Option<Credentials>> {
    let config = projects::config(deps, project_id).await?;
    Ok(load(deps, project_id, id).await?.map(|loaded| credentials(loaded, &config)))
}

/// The same, as the transaction sees it.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn credentials_in(
    tx: &Tx,
    config: &ProjectConfig,
    project_id: &ProjectId,
    id: UserId,
) -> Result<Option<Credentials>> {
    Ok(store::find(&**tx, project_id, id).await?.map(|loaded| credentials(loaded, config)))
}

fn credentials(loaded: Loaded, config: &ProjectConfig) -> Credentials {
    let password_hash = loaded.row.password_hash.clone().map(|hash| SecretString::from(hash.0));
    let user = loaded.into_user(config);
    Credentials { user, password_hash }
}

/// Holds the user until the transaction ends, so that changes of one user follow each other; answers whether there is such
/// a user. Read whatever is to be changed after this, not before.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn lock_in(tx: &Tx, project_id: &ProjectId, id: UserId) -> Result<bool> {
    store::lock(tx, project_id, id).await
}
