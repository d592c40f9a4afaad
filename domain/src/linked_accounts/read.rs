//! Reading links.

use std::collections::HashMap;

use super::{LinkedAccount, not_found, require_own_or_server, store};
use crate::{
    Actor, Deps, Failure, LinkedAccountId, ProjectId, UserId,
    error::{Result, refuse},
    users,
};

/// How many ids one statement asks for; below what either database takes.
const MAX_IDS: usize = 1000;

/// The links of a user, or, for servers that name no user, of the project; oldest first.
///
/// # Errors
/// `FORBIDDEN` for clients that do not ask for their own; `USER_NOT_FOUND`.
#[crate::boxed]
pub async fn list(deps: &Deps, actor: &Actor, user_id: Option<UserId>) -> Result<Vec<LinkedAccount>> {
    let Some(user_id) = user_id else {
        if !actor.is_server() {
            return refuse(Failure::forbidden("A user can list its own linked accounts only: pass its id."));
        }
        let rows = store::of_project(deps.db.read(), &actor.project_id).await?;
        return Ok(rows.into_iter().map(LinkedAccount::from).collect());
    };
    require_own_or_server(actor, user_id)?;
    let rows = store::of_users(deps.db.read(), &actor.project_id, &[user_id]).await?;
    if rows.is_empty() && users::find(deps, &actor.project_id, user_id).await?.is_none() {
        return refuse(users::not_found());
    }
    Ok(rows.into_iter().map(LinkedAccount::from).collect())
}

/// One link of a user.
///
/// # Errors
/// `FORBIDDEN` for clients that do not ask for their own; `USER_NOT_FOUND`; `NOT_FOUND`.
#[crate::boxed]
pub async fn get(deps: &Deps, actor: &Actor, user_id: UserId, id: LinkedAccountId) -> Result<LinkedAccount> {
    let found = list(deps, actor, Some(user_id)).await?.into_iter().find(|account| account.id == id);
    found.map_or_else(|| refuse(not_found()), Ok)
}

/// The links of a user by which the application reaches other sites, oldest first.
///
/// # Errors
/// `FORBIDDEN` for clients that do not ask for their own; `USER_NOT_FOUND`.
#[crate::boxed]
pub async fn connected(deps: &Deps, actor: &Actor, user_id: UserId) -> Result<Vec<LinkedAccount>> {
    let mut accounts = list(deps, actor, Some(user_id)).await?;
    accounts.retain(|account| account.allow_connected_accounts);
    Ok(accounts)
}

/// The links of each user, oldest first, for loaders; users without one are left out. Checks no access.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn by_users(
    deps: &Deps,
    project_id: &ProjectId,
    user_ids: &[UserId],
) -> Result<HashMap<UserId, Vec<LinkedAccount>>> {
    let mut accounts: HashMap<UserId, Vec<LinkedAccount>> = HashMap::with_capacity(user_ids.len());
    for user_ids in user_ids.chunks(MAX_IDS) {
        for row in store::of_users(deps.db.read(), project_id, user_ids).await? {
            accounts.entry(row.user_id).or_default().push(row.into());
        }
    }
    Ok(accounts)
}
