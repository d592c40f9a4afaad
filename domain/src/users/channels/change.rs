//! Changing, verifying and removing a contact channel.

use sea_orm::{ActiveValue::Set, IntoActiveModel};

use super::{
    ContactChannel,
    create::{already_there, demote},
    or_taken, record, require_own_or_server, store, taken,
};
use crate::{
    Actor, ContactChannelId, Deps, Failure, ProjectId, UserId,
    db::Tx,
    email_address::EmailAddress,
    error::{Result, refuse},
    events::EventKind,
    users,
    validation::Violations,
};

/// What to change; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateChannel {
    /// The address; loose syntax, normalised. It counts as unverified again unless a server says otherwise.
    pub value: Option<String>,
    /// Usable to sign in.
    pub used_for_auth: Option<bool>,
    /// True takes the place of the present primary one; false leaves the user without one.
    pub is_primary: Option<bool>,
    /// Servers only.
    pub is_verified: Option<bool>,
}

/// Changes a channel.
///
/// # Errors
/// `FORBIDDEN` for clients and other users than their own; `SCHEMA_ERROR`; `BAD_REQUEST` when there is no such channel or
/// the user has the new value already; `CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE`.
#[crate::boxed]
pub async fn update(
    deps: &Deps,
    actor: &Actor,
    user_id: UserId,
    id: ContactChannelId,
    input: UpdateChannel,
) -> Result<ContactChannel> {
    require_own_or_server(actor, user_id)?;
    let mut violations = Violations::default();
    let value = match &input.value {
        Some(value) => violations.take("value", EmailAddress::loose(value)),
        None => None,
    };
    let may_verify = actor.is_server() || input.is_verified.is_none();
    violations.require(may_verify, "is_verified", "can be set by servers only");
    violations.finish()?;
    let (input, value) = (&input, value.as_ref());
    deps.mutate(actor, "contact_channels.update", |tx| async move {
        update_in(deps, &tx, actor, (user_id, id), input, value).await
    })
    .await
}

async fn update_in(
    deps: &Deps,
    tx: &Tx,
    actor: &Actor,
    (user_id, id): (UserId, ContactChannelId),
    input: &UpdateChannel,
    value: Option<&EmailAddress>,
) -> Result<ContactChannel> {
    let project_id = &actor.project_id;
    users::lock_in(tx, project_id, user_id).await?;
    let mut others = store::of_user_in(tx, project_id, user_id).await?;
    let Some(position) = others.iter().position(|channel| channel.id == id) else { return refuse(no_such_channel()) };
    let channel = others.swap_remove(position);
    let mut changed = Vec::new();
    let mut row = channel.into_active_model();
    if let Some(value) = value {
        if others.iter().any(|other| other.value == value.as_str()) {
            return refuse(already_there());
        }
        row.value = Set(value.as_str().to_owned());
        row.is_verified = Set(false);
    }
    if let Some(is_verified) = input.is_verified {
        row.is_verified = Set(is_verified);
    }
    if let Some(used_for_auth) = input.used_for_auth {
        row.used_for_auth = Set(used_for_auth);
    }
    if let Some(is_primary) = input.is_primary {
        row.is_primary = Set(is_primary);
        if is_primary && let Some(present) = others.into_iter().find(|other| other.is_primary) {
            changed.push((EventKind::ContactChannelUpdated, demote(tx, present).await?));
        }
    }
    let channel = ContactChannel::from(or_taken(store::update(tx, row).await, || taken(None))?);
    changed.push((EventKind::ContactChannelUpdated, channel.clone()));
    record(deps, tx, project_id, changed).await?;
    Ok(channel)
}

/// Removes a channel, the primary one too: the user is then without one.
///
/// # Errors
/// `FORBIDDEN` for clients and other users than their own; `BAD_REQUEST` when there is no such channel.
#[crate::boxed]
pub async fn delete(deps: &Deps, actor: &Actor, user_id: UserId, id: ContactChannelId) -> Result<()> {
    require_own_or_server(actor, user_id)?;
    let project_id = &actor.project_id;
    deps.mutate(actor, "contact_channels.delete", |tx| async move {
        users::lock_in(&tx, project_id, user_id).await?;
        let Some(channel) = store::list(&*tx, project_id, Some(user_id), Some(id)).one(&*tx).await? else {
            return refuse(no_such_channel());
        };
        store::delete(&tx, project_id, id).await?;
        record(deps, &tx, project_id, [(EventKind::ContactChannelDeleted, channel.into())]).await
    })
    .await
}

/// Notes in the caller's transaction that the user has proven to hold the address. `None` when the user, or its channel
/// with the address, is gone.
///
/// # Errors
/// Internal only.
#[crate::boxed]
pub async fn mark_verified(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    address: &EmailAddress,
) -> Result<Option<ContactChannel>> {
    users::lock_in(tx, project_id, user_id).await?;
    let channels = store::of_user_in(tx, project_id, user_id).await?;
    let Some(channel) = channels.into_iter().find(|channel| channel.value == address.as_str()) else {
        return Ok(None);
    };
    let mut row = channel.into_active_model();
    row.is_verified = Set(true);
    let channel = ContactChannel::from(store::update(tx, row).await?);
    record(deps, tx, project_id, [(EventKind::ContactChannelUpdated, channel.clone())]).await?;
    Ok(Some(channel))
}

fn no_such_channel() -> Failure {
    Failure::bad_request("This user has no such contact channel.")
}
