//! Reading contact channels.

use std::collections::HashMap;

use super::{ContactChannel, require_own_or_server, store};
use crate::{
    Actor, ContactChannelId, Deps, Failure, ProjectId, UserId,
    db::Tx,
    email_address::EmailAddress,
    error::{Result, refuse},
};

/// How many ids one statement asks for; below what either database takes.
const MAX_IDS: usize = 1000;

/// The channels of a user, or, for servers that name no user, of the project; oldest first. With `id` only that one.
///
/// # Errors
/// `FORBIDDEN` for clients that do not ask for their own.
#[crate::boxed]
pub async fn list(
    deps: &Deps,
    actor: &Actor,
    user_id: Option<UserId>,
    id: Option<ContactChannelId>,
) -> Result<Vec<ContactChannel>> {
    match user_id {
        Some(user_id) => require_own_or_server(actor, user_id)?,
        None if actor.is_server() => {}
        None => return refuse(Failure::forbidden("A user can list its own contact channels only: pass its id.")),
    }
    let rows = store::list(deps.db.read(), &actor.project_id, user_id, id).all(deps.db.read()).await?;
    Ok(rows.into_iter().map(ContactChannel::from).collect())
}

/// One channel of a user.
///
/// # Errors
/// `FORBIDDEN` for clients that do not ask for their own; `NOT_FOUND`.
#[crate::boxed]
pub async fn get(deps: &Deps, actor: &Actor, user_id: UserId, id: ContactChannelId) -> Result<ContactChannel> {
    match list(deps, actor, Some(user_id), Some(id)).await?.pop() {
        Some(channel) => Ok(channel),
        None => refuse(Failure::not_found("There is no such contact channel.")),
    }
}

/// The channels of each user, oldest first, for loaders; users without one are left out. Checks no access.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn of_users(
    deps: &Deps,
    project_id: &ProjectId,
    user_ids: &[UserId],
) -> Result<HashMap<UserId, Vec<ContactChannel>>> {
    let mut channels: HashMap<UserId, Vec<ContactChannel>> = HashMap::with_capacity(user_ids.len());
    for user_ids in user_ids.chunks(MAX_IDS) {
        for row in store::of_users(deps.db.read(), project_id, user_ids).all(deps.db.read()).await? {
            channels.entry(row.user_id).or_default().push(row.into());
        }
    }
    Ok(channels)
}

/// Channels of the project by id, for loaders; ids without one are left out. Checks no access.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn by_ids(
    deps: &Deps,
    project_id: &ProjectId,
    ids: &[ContactChannelId],
) -> Result<HashMap<ContactChannelId, ContactChannel>> {
    let mut channels = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(MAX_IDS) {
        let rows = store::with_ids(deps.db.read(), project_id, ids).all(deps.db.read()).await?;
        channels.extend(rows.into_iter().map(|row| (row.id, row.into())));
    }
    Ok(channels)
}

/// The channel by which somebody signs in with the address, if anybody does. For sign-in, which knows the project only.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn find_for_auth(
    deps: &Deps,
    project_id: &ProjectId,
    address: &EmailAddress,
) -> Result<Option<ContactChannel>> {
    Ok(store::for_auth(project_id, address).one(deps.db.read()).await?.map(ContactChannel::from))
}

/// The same, as the transaction sees it.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn find_for_auth_in(
    tx: &Tx,
    project_id: &ProjectId,
    address: &EmailAddress,
) -> Result<Option<ContactChannel>> {
    Ok(store::for_auth(project_id, address).one(&**tx).await?.map(ContactChannel::from))
}
