//! What other sites gave to act in a user's name: kept sealed, handed out on demand (wire/auth §12), renewed by `renewal.rs`.

use std::collections::HashSet;

use postern_entity::{
    linked_account,
    linked_account_token::{Column, Entity, Model},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    renewal::{Consent, KeptToken},
    require_own_or_server, store,
    visits::{AccountAt, is_of, of_user},
};
use crate::{
    Actor, Code, Deps, Failure, LinkedAccountTokenId, ProjectId, Timestamp, UserId, api_keys,
    db::Tx,
    error::{Result, refuse},
    limits, oauth,
    ports::oauth::{ProviderClient, Tokens},
    projects::{self, ProjectConfig},
    rotation::Rotation,
    secrets::Place,
    users,
};

/// The most consents that are kept of an account; the oldest go.
const MAX_CONSENTS: usize = 10;

/// Where a token is kept. `row` is the id of the consent.
pub(super) fn place<'a>(project_id: &'a ProjectId, row: &'a str, column: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table: "linked_account_token", row, column }
}

/// What a site gave to a client of ours.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct GivenTokens {
    access_token: String,
    expires_at: Option<Timestamp>,
    refresh_token: Option<String>,
    scopes: Vec<String>,
    client: String,
}

impl GivenTokens {
    /// Of this moment.
    pub(crate) fn new(deps: &Deps, client: &ProviderClient, tokens: Tokens) -> Self {
        Self {
            expires_at: expiry(deps, &tokens),
            access_token: tokens.access_token.expose_secret().to_owned(),
            refresh_token: tokens.refresh_token.map(|token| token.expose_secret().to_owned()),
            scopes: tokens.scopes.unwrap_or_default(),
            client: name_of(client),
        }
    }
}

/// By which it is known to which client a token was given: no other one may use it. The installation's own is none of a
/// project's, whatever id the project says that it has.
fn name_of(client: &ProviderClient) -> String {
    let owner = if client.is_shared { "installation" } else { "project" };
    let issuer = client.issuer.as_deref().unwrap_or_default();
    format!("{owner} {} {issuer} {}", client.kind.as_str(), client.client_id)
}

/// Keeps what a site gave for an account of a user, where the project reaches the site by it. What an older consent is good for
/// is in the new one, unless that cannot be renewed and the older one can.
pub(crate) async fn keep_tokens_in(
    deps: &Deps,
    tx: &Tx,
    config: &ProjectConfig,
    project_id: &ProjectId,
    user_id: UserId,
    account: AccountAt<'_>,
    tokens: &GivenTokens,
) -> Result<()> {
    let provider = config.auth.oauth.providers.get(account.provider);
    let is_of_use = provider.is_some_and(|provider| {
        provider.allow_connected_accounts && (!provider.is_shared || deps.settings.shared_oauth_gives_tokens)
    });
    let Some(link) = of_user(tx, project_id, user_id, account).await?.filter(|_| is_of_use) else { return Ok(()) };
    let consent = Consent { deps, project_id, id: LinkedAccountTokenId::random() };
    let new = Model {
        id: consent.id,
        project_id: project_id.clone(),
        linked_account_id: link.id,
        access_token: Some(consent.seal("access_token", &tokens.access_token)?),
        access_expires_at: tokens.expires_at,
        refresh_token: tokens.refresh_token.as_ref().map(|token| consent.seal("refresh_token", token)).transpose()?,
        scopes: tokens.scopes.join(" "),
        created_at: deps.now(),
        client: Some(tokens.client.clone()),
        renewing_until: None,
    };
    let older = store::tokens_of(&**tx, project_id, [link.id]).await?;
    let replaced = older.iter().enumerate().filter(|(at, older)| {
        let renews = new.refresh_token.is_some() || older.refresh_token.is_none();
        let serves_for = renews && older.client == new.client && covers(&new.scopes, older.scopes.split(' '));
        serves_for || at + 1 >= MAX_CONSENTS
    });
    let replaced: Vec<_> = replaced.map(|(_, older)| older.id).collect();
    Entity::delete_many()
        .filter(Column::ProjectId.eq(project_id.clone()))
        .filter(Column::Id.is_in(replaced))
        .exec(&**tx)
        .await?;
    Entity::insert(new.into_active_model()).exec_without_returning(&**tx).await?;
    Ok(())
}

/// An access token of an account that a user has linked, for the scopes: a kept one, or a new one.
///
/// # Errors
/// `FORBIDDEN` for clients that do not ask for their own; then, in this order, `OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED`,
/// `OAUTH_ACCESS_TOKEN_NOT_AVAILABLE_WITH_SHARED_OAUTH_KEYS`, `USER_NOT_FOUND`, `OAUTH_CONNECTION_NOT_CONNECTED_TO_USER`,
/// `OAUTH_CONNECTION_DOES_NOT_HAVE_REQUIRED_SCOPE` when nothing kept covers the scopes or all of it was revoked;
/// `OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE`, and `BAD_REQUEST` for a site that refuses our client. `RATE_LIMITED` for clients.
#[crate::boxed]
pub async fn access_token(
    deps: &Deps,
    actor: &Actor,
    user_id: UserId,
    provider_config_id: &str,
    account_id: Option<&str>,
    scopes: &str,
) -> Result<SecretString> {
    api_keys::require_no_key(actor)?;
    require_own_or_server(actor, user_id)?;
    let project_id = &actor.project_id;
    let config = &*projects::config(deps, project_id).await?;
    let (kind, provider) = oauth::enabled(config, provider_config_id, |provider| provider.allow_connected_accounts)?;
    if provider.is_shared && !deps.settings.shared_oauth_gives_tokens {
        return refuse(Failure::new(
            Code::OauthAccessTokenNotAvailableWithSharedOauthKeys,
            "Access tokens are handed out for a client of the project's own only.",
        ));
    }
    let client = &oauth::client_of(deps, provider_config_id, kind, provider)?;
    let is_wanted = |link: &linked_account::Model| {
        let id = account_id.unwrap_or(&link.account_id);
        link.allow_connected_accounts && is_of(link, AccountAt { provider: provider_config_id, kind, id })
    };
    let links = store::of_users(deps.db.read(), project_id, &[user_id]).await?;
    if links.is_empty() && users::find(deps, project_id, user_id).await?.is_none() {
        return refuse(users::not_found());
    }
    let ids: Vec<_> = links.iter().filter(|link| is_wanted(link)).map(|link| link.id).collect();
    if ids.is_empty() {
        return refuse(Failure::new(
            Code::OauthConnectionNotConnectedToUser,
            "The user has linked no such account for the application to use.",
        ));
    }
    limits::provider_token_wanted(deps, actor, user_id).await?;
    let given_to = Some(name_of(client));
    for kept in store::tokens_of(deps.db.read(), project_id, ids).await? {
        if kept.client != given_to || !covers(&kept.scopes, scopes.split_whitespace()) {
            continue;
        }
        let consent = Consent { deps, project_id, id: kept.id };
        if let Some(KeptToken { token, scopes: told }) = consent.good_token(client, kept).await?
            && covers(&told, scopes.split_whitespace())
        {
            return Ok(token);
        }
    }
    refuse(Failure::new(
        Code::OauthConnectionDoesNotHaveRequiredScope,
        "The user has not consented to these scopes, or has revoked it: link the account again.",
    ))
}

pub(super) fn expiry(deps: &Deps, tokens: &Tokens) -> Option<Timestamp> {
    let seconds = i64::try_from(tokens.expires_in?.as_secs()).ok()?;
    Some(deps.now().plus_seconds(seconds))
}

/// Whether everything that is wanted is among what was consented to.
fn covers<'a>(consented: &str, mut wanted: impl Iterator<Item = &'a str>) -> bool {
    let consented: HashSet<_> = consented.split(' ').collect();
    wanted.all(|scope| consented.contains(scope))
}

/// Seals all tokens of other sites again under the newest server secret.
pub(crate) async fn reseal(rotation: &mut Rotation<'_>) -> Result<()> {
    for (what, column, name) in [
        ("access tokens of linked accounts", Column::AccessToken, "access_token"),
        ("refresh tokens of linked accounts", Column::RefreshToken, "refresh_token"),
    ] {
        rotation
            .column::<Entity>(what, column, |keyring, row, sealed| {
                keyring.reseal(&place(&row.project_id, &row.id.to_string(), name), sealed)
            })
            .await?;
    }
    Ok(())
}
