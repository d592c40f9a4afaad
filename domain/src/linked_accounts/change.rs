//! Linking an account, changing a link and removing it.

use postern_entity::linked_account;
use sea_orm::{ActiveValue::Set, IntoActiveModel};

use super::{
    LinkedAccount, MAX_OF_USER, MAX_PROVIDER_CHARS, already_linked, check_account_id, new::or_taken, not_found,
    one_of_a_type, record, require_own_or_server, store, too_many,
};
use crate::{
    Actor, Deps, Failure, LinkedAccountId, UserId,
    db::Tx,
    email_address::EmailAddress,
    error::{Result, refuse},
    events::EventKind,
    patch::Patch,
    projects, users,
    validation::Violations,
};

/// An account to be linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLinkedAccount {
    /// Whose it becomes.
    pub user_id: UserId,
    /// Key of the provider in the project's config.
    pub provider_config_id: String,
    /// The account's id there, 1 to [`super::MAX_ACCOUNT_ID_CHARS`].
    pub account_id: String,
    /// The account's address there; loose syntax, normalised.
    pub email: Option<String>,
    /// The user signs in with it.
    pub allow_sign_in: bool,
    /// The application reaches the other site by it.
    pub allow_connected_accounts: bool,
}

/// What to change of a link; what is not given stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateLinkedAccount {
    /// The user signs in with it.
    pub allow_sign_in: Option<bool>,
    /// The application reaches the other site by it.
    pub allow_connected_accounts: Option<bool>,
    /// Servers only. Loose syntax, normalised.
    pub email: Patch<String>,
    /// Servers only. What the other site gave for the account that it was before is forgotten.
    pub account_id: Option<String>,
}

/// Links an account, for servers.
///
/// # Errors
/// `FORBIDDEN` for clients; `SCHEMA_ERROR`; `NOT_FOUND` when the project has no such provider; `USER_NOT_FOUND`;
/// `BAD_REQUEST` when the user has the account already, or signs in with another one of the type;
/// `OAUTH_PROVIDER_ACCOUNT_ID_ALREADY_USED_FOR_SIGN_IN`.
#[crate::boxed]
pub async fn create(deps: &Deps, actor: &Actor, new: NewLinkedAccount) -> Result<LinkedAccount> {
    if !actor.is_server() {
        return refuse(Failure::forbidden("Only servers can link accounts: users do it by visiting the other site."));
    }
    let mut violations = Violations::default();
    check_account_id(&mut violations, "account_id", &new.account_id);
    violations.text("provider_config_id", &new.provider_config_id, MAX_PROVIDER_CHARS);
    let email = new.email.as_deref().and_then(|email| violations.take("email", EmailAddress::loose(email)));
    violations.finish()?;
    let project_id = &actor.project_id;
    let config = projects::config(deps, project_id).await?;
    let Some(provider) = config.auth.oauth.providers.get(&new.provider_config_id) else {
        return refuse(Failure::not_found("This project has no such provider."));
    };
    let row = &linked_account::Model {
        id: LinkedAccountId::random(),
        project_id: project_id.clone(),
        user_id: new.user_id,
        provider_config_id: new.provider_config_id,
        kind: provider.kind.clone(),
        account_id: new.account_id,
        email: email.map(|email| email.as_str().to_owned()),
        allow_sign_in: new.allow_sign_in,
        allow_connected_accounts: new.allow_connected_accounts,
        created_at: deps.now(),
    };
    deps.mutate(actor, "linked_accounts.create", |tx| async move {
        let others = hold(&tx, actor, row.user_id).await?;
        add_in(deps, &tx, row.clone(), &others).await
    })
    .await
}

/// Adds a link beside the other ones of its user, who is held.
pub(super) async fn add_in(
    deps: &Deps,
    tx: &Tx,
    row: linked_account::Model,
    others: &[linked_account::Model],
) -> Result<LinkedAccount> {
    if others.len() >= MAX_OF_USER {
        return refuse(too_many());
    }
    check_beside(&row, others)?;
    or_taken(store::insert(tx, row.clone()).await)?;
    let project_id = row.project_id.clone();
    let account = LinkedAccount::from(row);
    record(deps, tx, &project_id, EventKind::LinkedAccountCreated, &account).await?;
    Ok(account)
}

/// Writes a link as it is to be. Its user is held.
pub(super) async fn change_in(
    deps: &Deps,
    tx: &Tx,
    before: linked_account::Model,
    row: linked_account::Model,
) -> Result<LinkedAccount> {
    let project_id = row.project_id.clone();
    if row.account_id != before.account_id {
        store::forget_tokens(tx, &project_id, row.id).await?;
    }
    let account = LinkedAccount::from(row.clone());
    let mut changed = before.into_active_model();
    changed.allow_sign_in = Set(row.allow_sign_in);
    changed.allow_connected_accounts = Set(row.allow_connected_accounts);
    changed.email = Set(row.email);
    changed.account_id = Set(row.account_id);
    or_taken(store::update(tx, changed).await)?;
    record(deps, tx, &project_id, EventKind::LinkedAccountUpdated, &account).await?;
    Ok(account)
}

/// The links of a user who is held from here on.
async fn hold(tx: &Tx, actor: &Actor, user_id: UserId) -> Result<Vec<linked_account::Model>> {
    if !users::lock_in(tx, &actor.project_id, user_id).await? {
        return refuse(users::not_found());
    }
    store::of_users(&**tx, &actor.project_id, &[user_id]).await
}

/// A link fits beside the other ones of its user.
fn check_beside(row: &linked_account::Model, others: &[linked_account::Model]) -> Result<()> {
    let is_same = |other: &linked_account::Model| {
        other.provider_config_id == row.provider_config_id && other.account_id == row.account_id
    };
    if others.iter().any(is_same) {
        return refuse(already_linked());
    }
    if row.allow_sign_in && others.iter().any(|other| other.allow_sign_in && other.kind == row.kind) {
        return refuse(one_of_a_type(&row.kind));
    }
    Ok(())
}

/// Changes a link.
///
/// # Errors
/// `FORBIDDEN` for clients and other users than their own; `SCHEMA_ERROR`, also for clients that would change what only
/// servers may; `USER_NOT_FOUND`; `NOT_FOUND`; those of [`create`] about accounts that are taken.
#[crate::boxed]
pub async fn update(
    deps: &Deps,
    actor: &Actor,
    user_id: UserId,
    id: LinkedAccountId,
    change: UpdateLinkedAccount,
) -> Result<LinkedAccount> {
    require_own_or_server(actor, user_id)?;
    let mut violations = Violations::default();
    for (field, is_given) in [("email", !change.email.is_keep()), ("account_id", change.account_id.is_some())] {
        violations.require(actor.is_server() || !is_given, field, "can be changed by servers only");
    }
    if let Some(account_id) = &change.account_id {
        check_account_id(&mut violations, "account_id", account_id);
    }
    let email = &change.email.as_ref().and_then(|email| violations.take("email", EmailAddress::loose(email)));
    violations.finish()?;
    let change = &change;
    deps.mutate(actor, "linked_accounts.update", |tx| async move {
        let mut others = hold(&tx, actor, user_id).await?;
        let Some(at) = others.iter().position(|row| row.id == id) else { return refuse(not_found()) };
        let before = others.swap_remove(at);
        let mut row = before.clone();
        row.allow_sign_in = change.allow_sign_in.unwrap_or(row.allow_sign_in);
        row.allow_connected_accounts = change.allow_connected_accounts.unwrap_or(row.allow_connected_accounts);
        if let Some(email) = email.as_ref().mentioned() {
            row.email = email.map(|email| email.as_str().to_owned());
        }
        if let Some(account_id) = &change.account_id {
            row.account_id.clone_from(account_id);
        }
        check_beside(&row, &others)?;
        change_in(deps, &tx, before, row).await
    })
    .await
}

/// Removes a link, with what the other site gave: the user does not sign in with that account any more.
///
/// # Errors
/// `FORBIDDEN` for clients and other users than their own; `USER_NOT_FOUND`; `NOT_FOUND`.
#[crate::boxed]
pub async fn delete(deps: &Deps, actor: &Actor, user_id: UserId, id: LinkedAccountId) -> Result<()> {
    require_own_or_server(actor, user_id)?;
    deps.mutate(actor, "linked_accounts.delete", |tx| async move {
        let found = hold(&tx, actor, user_id).await?.into_iter().find(|row| row.id == id);
        let Some(row) = found else { return refuse(not_found()) };
        store::delete(&tx, &actor.project_id, id).await?;
        record(deps, &tx, &actor.project_id, EventKind::LinkedAccountDeleted, &row.into()).await
    })
    .await
}
