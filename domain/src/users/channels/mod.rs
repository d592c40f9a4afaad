//! Contact channels of users: e-mail addresses. Per user at most one is primary and no value occurs twice; per project at
//! most one channel of a value is usable to sign in. Sending and checking the codes that verify them is the business of
//! [`crate::sessions`]; the outcome is written here, by [`mark_verified`].
//!
//! Every change of a channel is an event of its own (`contact_channel.*`), which no endpoint gets unasked. A user made or
//! deleted with its channels is one event about the user.

mod change;
mod create;
mod read;
pub(super) mod store;

use postern_entity::contact_channel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use self::create::demote;
pub use self::{
    change::{UpdateChannel, delete, mark_verified, update},
    create::{CreateChannel, create},
    read::{by_ids, find_for_auth, find_for_auth_in, get, list, of_users},
};
use crate::{
    Actor, Code, ContactChannelId, Deps, Failure, ProjectId, Timestamp, UserId,
    db::Tx,
    email_address::EmailAddress,
    error::{Error, Result, refuse},
    events::{self, EventKind, NewEvent},
};

/// The one kind of channel there is.
pub(super) const EMAIL: &str = "email";

/// An address of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactChannel {
    /// The channel.
    pub id: ContactChannelId,
    /// Whose it is.
    pub user_id: UserId,
    /// The address, normalised.
    pub value: String,
    /// At most one of a user's is.
    pub is_primary: bool,
    /// The user has proven to hold it.
    pub is_verified: bool,
    /// Usable to sign in.
    pub used_for_auth: bool,
    /// When it was added.
    pub created_at: Timestamp,
}

impl From<contact_channel::Model> for ContactChannel {
    fn from(row: contact_channel::Model) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            value: row.value,
            is_primary: row.is_primary,
            is_verified: row.is_verified,
            used_for_auth: row.used_for_auth,
            created_at: row.created_at,
        }
    }
}

/// The JSON form of a channel (wire/users-teams-permissions.md §2), the same for everybody who may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ContactChannel")]
#[expect(missing_docs, reason = "the names are the contract; `ContactChannel` says what they mean")]
pub struct WireContactChannel {
    pub id: ContactChannelId,
    pub user_id: UserId,
    #[serde(rename = "type")]
    pub kind: String,
    pub value: String,
    pub is_primary: bool,
    pub is_verified: bool,
    pub used_for_auth: bool,
}

impl From<ContactChannel> for WireContactChannel {
    fn from(channel: ContactChannel) -> Self {
        Self {
            id: channel.id,
            user_id: channel.user_id,
            kind: EMAIL.to_owned(),
            value: channel.value,
            is_primary: channel.is_primary,
            is_verified: channel.is_verified,
            used_for_auth: channel.used_for_auth,
        }
    }
}

/// Clients deal with their own channels only.
fn require_own_or_server(actor: &Actor, user_id: UserId) -> Result<()> {
    if actor.is_server() || actor.is_user(user_id) {
        return Ok(());
    }
    refuse(Failure::forbidden("A user can see and change its own contact channels only."))
}

/// Somebody in the project already signs in with the address. `value` is told only where the contract tells it.
fn taken(value: Option<&str>) -> Failure {
    taken_unless_verified(value, false)
}

/// The same of an address that came with an account of another site. `would_work`: had the one who signs in with it proven it.
pub(crate) fn used_by_someone_else(address: &EmailAddress, would_work: bool) -> Failure {
    taken_unless_verified(Some(address.as_str()), would_work)
}

fn taken_unless_verified(value: Option<&str>, would_work: bool) -> Failure {
    Failure::new(
        Code::ContactChannelAlreadyUsedForAuthBySomeoneElse,
        "This e-mail address is already used to sign in by somebody else.",
    )
    .with(json!({ "type": EMAIL, "contact_channel_value": value, "would_work_if_email_was_verified": would_work }))
}

/// Turns the refusal of the database into `failure` when it is about signing in with an address twice.
pub(super) fn or_taken<T>(written: Result<T>, failure: impl FnOnce() -> Failure) -> Result<T> {
    match written {
        Err(Error::Database(error)) if store::is_taken_for_auth(&error) => refuse(failure()),
        other => other,
    }
}

/// Writes an event about each of the channels.
pub(super) async fn record(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    changed: impl IntoIterator<Item = (EventKind, ContactChannel)> + Send,
) -> Result<()> {
    let mut events = Vec::new();
    for (kind, channel) in changed {
        let user_id = Some(channel.user_id);
        let payload = payload(kind, channel)?;
        events.push(NewEvent { project_id: project_id.clone(), kind, user_id, team_id: None, payload });
    }
    events::record_all(deps, tx, events).await
}

fn payload(kind: EventKind, channel: ContactChannel) -> Result<Value> {
    if kind == EventKind::ContactChannelDeleted {
        return Ok(json!({ "id": channel.id, "user_id": channel.user_id }));
    }
    serde_json::to_value(WireContactChannel::from(channel)).map_err(Error::internal)
}
