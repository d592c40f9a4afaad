//! What a change of a user does to its primary address (wire/users-teams-permissions.md §1.3). An address that is no
//! longer primary stays a channel of the user, with its flags: it can still sign in and still blocks the address.

use postern_entity::contact_channel;
use sea_orm::{ActiveValue::Set, IntoActiveModel};

use super::{
    Changes,
    channels::{self, ContactChannel, EMAIL, store as channel_store},
    check::no_address_to_flag,
    email_already_exists,
    store::Loaded,
};
use crate::{
    ContactChannelId, Deps, ProjectId,
    db::Tx,
    email_address::EmailAddress,
    error::{Result, refuse},
    events::EventKind,
    patch::Patch,
};

type Changed = Vec<(EventKind, ContactChannel)>;

/// Writes what `changes` says about the primary address of a user that the caller holds.
pub(super) async fn change(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    before: &Loaded,
    changes: &Changes,
) -> Result<()> {
    let flags = Flags { verified: changes.primary_email_verified, for_auth: changes.primary_email_auth_enabled };
    let changed = match (&changes.primary_email, &before.primary) {
        // Flags beside a null address say nothing.
        (Patch::Clear, None) => Vec::new(),
        (Patch::Clear, Some(primary)) => {
            vec![(EventKind::ContactChannelUpdated, channels::demote(tx, primary.clone()).await?)]
        }
        (Patch::Keep, None) if flags.any_true() => return refuse(no_address_to_flag()),
        (Patch::Keep, None) => Vec::new(),
        (Patch::Keep, Some(primary)) => flag(tx, primary.clone(), flags).await?,
        (Patch::Set(address), Some(primary)) if primary.value == address.as_str() => {
            flag(tx, primary.clone(), flags).await?
        }
        (Patch::Set(address), primary) => {
            replace(deps, tx, project_id, before, primary.as_ref(), address, flags).await?
        }
    };
    channels::record(deps, tx, project_id, changed).await
}

/// What a change says about the flags of the primary address.
#[derive(Clone, Copy)]
struct Flags {
    verified: Option<bool>,
    for_auth: Option<bool>,
}

impl Flags {
    fn any_true(self) -> bool {
        self.verified == Some(true) || self.for_auth == Some(true)
    }
}

/// Changes the flags of the primary channel, as far as they are mentioned.
async fn flag(tx: &Tx, primary: contact_channel::Model, flags: Flags) -> Result<Changed> {
    if flags.verified.is_none() && flags.for_auth.is_none() {
        return Ok(Vec::new());
    }
    let address = primary.value.clone();
    let mut row = primary.into_active_model();
    if let Some(verified) = flags.verified {
        row.is_verified = Set(verified);
    }
    if let Some(for_auth) = flags.for_auth {
        row.used_for_auth = Set(for_auth);
    }
    let channel = written(channel_store::update(tx, row).await, &address)?;
    Ok(vec![(EventKind::ContactChannelUpdated, channel.into())])
}

/// Makes `address`, which differs from the present primary one, the primary address.
async fn replace(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    before: &Loaded,
    primary: Option<&contact_channel::Model>,
    address: &EmailAddress,
    flags: Flags,
) -> Result<Changed> {
    let for_auth = flags.for_auth.unwrap_or_else(|| primary.is_some_and(|primary| primary.used_for_auth));
    let mut own = channel_store::of_user_in(tx, project_id, before.row.id).await?.into_iter();
    let existing = own.find(|channel| channel.value == address.as_str());
    // The contract refuses the user's own address, too, when it already is one to sign in with.
    if for_auth && existing.as_ref().is_some_and(|channel| channel.used_for_auth) {
        return refuse(email_already_exists(address.as_str()));
    }
    let mut changed = Vec::new();
    if let Some(primary) = primary {
        changed.push((EventKind::ContactChannelUpdated, channels::demote(tx, primary.clone()).await?));
    }
    match existing {
        Some(channel) => {
            let verified = flags.verified.unwrap_or(channel.is_verified);
            let mut row = channel.into_active_model();
            row.is_primary = Set(true);
            row.is_verified = Set(verified);
            row.used_for_auth = Set(for_auth);
            let channel = written(channel_store::update(tx, row).await, address.as_str())?;
            changed.push((EventKind::ContactChannelUpdated, channel.into()));
        }
        None => {
            let row = contact_channel::Model {
                id: ContactChannelId::random(),
                project_id: project_id.clone(),
                user_id: before.row.id,
                kind: EMAIL.to_owned(),
                value: address.as_str().to_owned(),
                is_primary: true,
                is_verified: flags.verified.unwrap_or(false),
                used_for_auth: for_auth,
                created_at: deps.now(),
            };
            written(channel_store::insert(tx, row.clone()).await, address.as_str())?;
            changed.push((EventKind::ContactChannelCreated, row.into()));
        }
    }
    Ok(changed)
}

fn written<T>(outcome: Result<T>, address: &str) -> Result<T> {
    channels::or_taken(outcome, || email_already_exists(address))
}
