//! Accounts of other sites that users have linked (wire: users-teams-permissions §8, auth §12). A user signs in with a linked
//! account, or the application reaches the other site by it, or both, as its two flags say. A link comes about by a visit to the
//! other site ([`crate::oauth`]), or a server makes it.
//!
//! What is promised:
//! - A user has an account once. In a project one user signs in with an account, and a user signs in with one account of a
//!   type of provider. Whoever races for an account, one gets it.
//! - Making a link wants a provider of the project's config. A link outlives its provider there: it stays listed, and can be
//!   changed and removed.
//! - Every change is an event of its own (`linked_account.*`), which no endpoint gets unasked: the contract has none, and no
//!   `user.updated` either (wire/webhooks §2.1). A user made or deleted with its links is one event about the user.
//! - What other sites gave goes with the link, and is sealed.

mod change;
mod new;
mod read;
mod renewal;
mod store;
mod tokens;
mod visits;

use postern_entity::linked_account;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::{
    change::{NewLinkedAccount, UpdateLinkedAccount, create, delete, update},
    read::{by_users, connected, get, list},
    tokens::access_token,
};
pub(crate) use self::{
    new::{check_new, check_providers, new_rows, or_taken},
    store::of_users,
    tokens::{GivenTokens, keep_tokens_in, reseal},
    visits::{AccountAt, link_in, may_sign_in_with, of_user, seen_in, signs_in_with},
};
use crate::{
    Actor, Code, Deps, Failure, LinkedAccountId, ProjectId, Timestamp, UserId,
    db::Tx,
    error::{Error, Result, refuse},
    events::{self, EventKind, NewEvent},
    validation::Violations,
};

/// The longest id of an account at another site, in characters: that of a subject of OpenID Connect (Core 1.0 §2).
pub const MAX_ACCOUNT_ID_CHARS: usize = 255;
/// The longest key of a provider that accounts can be linked of, in characters.
const MAX_PROVIDER_CHARS: usize = 255;
/// The most linked accounts of a user: each reading of a user brings all of them along.
pub const MAX_OF_USER: usize = 100;

/// An account of another site that a user has linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedAccount {
    /// The link; not the account.
    pub id: LinkedAccountId,
    /// Whose it is.
    pub user_id: UserId,
    /// Key of the provider in the project's config.
    pub provider_config_id: String,
    /// Type of the provider when the account was linked, one of [`crate::projects::OAUTH_PROVIDERS`].
    pub kind: String,
    /// The account's id there.
    pub account_id: String,
    /// The account's address there.
    pub email: Option<String>,
    /// The user signs in with it.
    pub allow_sign_in: bool,
    /// The application reaches the other site by it.
    pub allow_connected_accounts: bool,
    /// When it was linked.
    pub created_at: Timestamp,
}

impl From<linked_account::Model> for LinkedAccount {
    fn from(row: linked_account::Model) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            provider_config_id: row.provider_config_id,
            kind: row.kind,
            account_id: row.account_id,
            email: row.email,
            allow_sign_in: row.allow_sign_in,
            allow_connected_accounts: row.allow_connected_accounts,
            created_at: row.created_at,
        }
    }
}

/// The JSON form of a link; what is not there is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the contract; `LinkedAccount` says what they mean")]
pub struct WireLinkedAccount {
    pub id: LinkedAccountId,
    pub user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub provider_config_id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub allow_sign_in: bool,
    pub allow_connected_accounts: bool,
    /// For servers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

impl WireLinkedAccount {
    /// The link as this caller may see it.
    #[must_use]
    pub fn of(account: LinkedAccount, actor: &Actor) -> Self {
        let view = Self::from(account);
        if actor.is_server() { view } else { Self { account_id: None, ..view } }
    }
}

/// What servers see.
impl From<LinkedAccount> for WireLinkedAccount {
    fn from(account: LinkedAccount) -> Self {
        Self {
            id: account.id,
            user_id: account.user_id,
            email: account.email,
            provider_config_id: account.provider_config_id,
            kind: account.kind,
            allow_sign_in: account.allow_sign_in,
            allow_connected_accounts: account.allow_connected_accounts,
            account_id: Some(account.account_id),
        }
    }
}

/// Clients deal with the links of their own user only.
fn require_own_or_server(actor: &Actor, user_id: UserId) -> Result<()> {
    if actor.is_server() || actor.is_user(user_id) {
        return Ok(());
    }
    refuse(Failure::forbidden("A user can see and change its own linked accounts only."))
}

fn check_account_id(violations: &mut Violations, field: &str, account_id: &str) {
    violations.require(!account_id.is_empty(), field, "must not be empty");
    violations.text(field, account_id, MAX_ACCOUNT_ID_CHARS);
}

fn not_found() -> Failure {
    Failure::not_found("This user has no such linked account.")
}

fn already_linked() -> Failure {
    Failure::bad_request("This user has linked this account already.")
}

fn one_of_a_type(kind: &str) -> Failure {
    Failure::bad_request(format!("This user signs in with another {kind} account already."))
}

fn used_for_sign_in() -> Failure {
    Failure::new(
        Code::OauthProviderAccountIdAlreadyUsedForSignIn,
        "Somebody else already signs in with this account of the other site.",
    )
}

fn too_many() -> Failure {
    Failure::bad_request(format!("A user can have at most {MAX_OF_USER} linked accounts."))
}

async fn record(deps: &Deps, tx: &Tx, project_id: &ProjectId, kind: EventKind, account: &LinkedAccount) -> Result<()> {
    let payload: Value = if kind == EventKind::LinkedAccountDeleted {
        json!({ "id": account.id, "user_id": account.user_id })
    } else {
        serde_json::to_value(WireLinkedAccount::from(account.clone())).map_err(Error::internal)?
    };
    let user_id = Some(account.user_id);
    events::record(deps, tx, NewEvent { project_id: project_id.clone(), kind, user_id, team_id: None, payload }).await
}

#[cfg(test)]
mod tests;
