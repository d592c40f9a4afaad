//! Users of a project: making, reading, finding, changing and deleting them, with their contact channels.
//!
//! How people prove who they are (passwords, codes, sessions) is [`crate::sessions`]; it makes users by [`create_in`] and
//! changes them by [`apply_in`], so that every rule about a user is here once. Teams are [`crate::teams`].

mod affected;
pub mod channels;
mod check;
mod create;
mod delete;
mod input;
mod list;
mod password;
mod primary_email;
mod read;
mod search;
mod store;
mod totp;
pub mod transfer;
mod update;
mod view;
pub mod wire;

use self::store::Loaded;
pub(crate) use self::totp::reseal;
pub use self::{
    affected::{Affected, affected_by_verification},
    create::{Created, create, create_in},
    delete::{delete, delete_own},
    input::{
        Changes, CreateUser, MAX_DISPLAY_NAME_CHARS, MAX_PASSWORD_CHARS, NewPrimaryEmail, NewUser, OAuthLink,
        Restriction, UpdateOwnUser, UpdateUser,
    },
    list::{ListUsers, MAX_QUERY_CHARS, PageStart, UserOrder, UserPage, UserPosition, count, list},
    password::{replace_outdated_hash_in, set_password_in},
    read::{
        Credentials, by_ids, credentials_by_email, credentials_in, credentials_of, find, find_in, get, get_own,
        lock_in, seen_by_ids,
    },
    totp::spend_totp_in,
    update::{apply_in, update, update_own},
    view::{OAuthAccount, PrimaryEmail, RestrictedReason, RiskScores, User},
};
use crate::{
    Code, Deps, Failure, UserId,
    db::{Lookup, Tx},
    error::{Error, Result},
    events::{self, EventKind, NewEvent},
};

/// Users that are being read by their ids, for several requests at once. One per process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Users {
    by_id: Lookup<UserId, Loaded>,
}

impl Default for Users {
    fn default() -> Self {
        Self { by_id: Lookup::new(store::find_all) }
    }
}

/// There is no such user, or the caller may not know of it.
#[must_use]
pub fn not_found() -> Failure {
    Failure::new(Code::UserNotFound, "There is no such user.")
}

/// Somebody in the project already signs in with the address.
#[must_use]
pub fn email_already_exists(address: &str) -> Failure {
    Failure::new(Code::UserEmailAlreadyExists, "A user with this e-mail address already exists.")
        .with(serde_json::json!({ "email": address, "would_work_if_email_was_verified": false }))
}

fn password_sign_in_is_off() -> Failure {
    Failure::bad_request("password: this project does not let users sign in by password.")
}

fn otp_sign_in_is_off() -> Failure {
    Failure::bad_request("otp_auth_enabled: this project does not let users sign in by code.")
}

/// Writes an event whose payload is the user.
async fn record(deps: &Deps, tx: &Tx, kind: EventKind, user: &User) -> Result<()> {
    events::record(deps, tx, event(kind, user)?).await
}

/// What an event about the user as it is now tells.
fn event(kind: EventKind, user: &User) -> Result<NewEvent> {
    let payload = serde_json::to_value(wire::ServerUser::from(user.clone())).map_err(Error::internal)?;
    Ok(NewEvent { project_id: user.project_id.clone(), kind, user_id: Some(user.id), team_id: None, payload })
}

#[cfg(test)]
mod tests;
