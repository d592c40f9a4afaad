//! Links that come about by visiting the other site, in the transaction of whoever lets the user in ([`crate::oauth`]).

use postern_entity::linked_account;

use super::{
    MAX_OF_USER, NewLinkedAccount,
    change::{add_in, change_in},
    store, too_many,
};
use crate::{
    Deps, LinkedAccountId, ProjectId, UserId,
    db::Tx,
    error::{Result, refuse},
    oauth::ProviderKind,
};

/// An account at a provider of the project.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountAt<'a> {
    /// Key of the provider in the project's config.
    pub(crate) provider: &'a str,
    /// Type of the provider: accounts of another one have ids of their own.
    pub(crate) kind: ProviderKind,
    /// The account's id there.
    pub(crate) id: &'a str,
}

/// The link by which somebody signs in with the account, if anybody does.
pub(crate) async fn signs_in_with(
    tx: &Tx,
    project_id: &ProjectId,
    account: AccountAt<'_>,
) -> Result<Option<linked_account::Model>> {
    store::for_sign_in(tx, project_id, account).await
}

/// The link of a user, who is held, to the account.
pub(crate) async fn of_user(
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    account: AccountAt<'_>,
) -> Result<Option<linked_account::Model>> {
    let links = store::of_users(&**tx, project_id, &[user_id]).await?;
    Ok(links.into_iter().find(|link| is_of(link, account)))
}

/// Whether a user, who is held, signs in with no other account of the type.
///
/// # Errors
/// `BAD_REQUEST` when the user has so many accounts that there is no room for this one.
pub(crate) async fn may_sign_in_with(
    tx: &Tx,
    project_id: &ProjectId,
    user_id: UserId,
    account: AccountAt<'_>,
) -> Result<bool> {
    let links = store::of_users(&**tx, project_id, &[user_id]).await?;
    if links.len() >= MAX_OF_USER && !links.iter().any(|link| is_of(link, account)) {
        return refuse(too_many());
    }
    let kind = account.kind.as_str();
    Ok(!links.iter().any(|link| link.allow_sign_in && link.kind == kind && !is_of(link, account)))
}

/// Links an account to a user, who is held, or makes the link that there is good for as much.
///
/// # Errors
/// Those of links that cannot be.
pub(crate) async fn link_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    kind: ProviderKind,
    new: NewLinkedAccount,
) -> Result<()> {
    let account = AccountAt { provider: &new.provider_config_id, kind, id: &new.account_id };
    let links = store::of_users(&**tx, project_id, &[new.user_id]).await?;
    if let Some(before) = links.iter().find(|link| is_of(link, account)) {
        let row = linked_account::Model {
            allow_sign_in: before.allow_sign_in || new.allow_sign_in,
            allow_connected_accounts: before.allow_connected_accounts || new.allow_connected_accounts,
            email: new.email.or_else(|| before.email.clone()),
            ..before.clone()
        };
        return if row == *before { Ok(()) } else { change_in(deps, tx, before.clone(), row).await.map(drop) };
    }
    let row = linked_account::Model {
        id: LinkedAccountId::random(),
        project_id: project_id.clone(),
        user_id: new.user_id,
        kind: kind.as_str().to_owned(),
        provider_config_id: new.provider_config_id,
        account_id: new.account_id,
        email: new.email,
        allow_sign_in: new.allow_sign_in,
        allow_connected_accounts: new.allow_connected_accounts,
        created_at: deps.now(),
    };
    add_in(deps, tx, row, &links).await.map(drop)
}

/// Notes the address that an account has now.
pub(crate) async fn seen_in(deps: &Deps, tx: &Tx, before: linked_account::Model, email: Option<String>) -> Result<()> {
    if email.is_none() || email == before.email {
        return Ok(());
    }
    let row = linked_account::Model { email, ..before.clone() };
    change_in(deps, tx, before, row).await.map(drop)
}

pub(super) fn is_of(link: &linked_account::Model, account: AccountAt<'_>) -> bool {
    let AccountAt { provider, kind, id } = account;
    link.provider_config_id == provider && link.kind == kind.as_str() && link.account_id == id
}
