//! What other sites gave to act in a user's name: kept sealed, renewed in time, handed out on demand (wire/auth §12).

use std::collections::HashSet;

use postern_entity::{
    linked_account,
    linked_account_token::{Column, Entity, Model},
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::Expr};
use secrecy::{ExposeSecret, SecretString};

use super::{
    require_own_or_server, store,
    visits::{AccountAt, is_of},
};
use crate::{
    Actor, Code, Deps, Failure, LinkedAccountTokenId, ProjectId, Timestamp, UserId, api_keys,
    db::Tx,
    error::{Error, Result, refuse},
    oauth,
    ports::oauth::{ProviderClient, ProviderError, Tokens},
    projects::{self, ProjectConfig},
    rotation::Rotation,
    secrets::Place,
    users,
};

/// For how many seconds more an access token must be good to be handed out (wire/auth §12).
const MIN_SECONDS: i64 = 5 * 60;
/// The most consents that are kept of an account; the oldest go.
const MAX_CONSENTS: usize = 10;

/// Where a token is kept. `row` is the id of the consent.
pub(super) fn place<'a>(project_id: &'a ProjectId, row: &'a str, column: &'a str) -> Place<'a> {
    Place { project: project_id.as_str(), table: "linked_account_token", row, column }
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
    tokens: Tokens,
) -> Result<()> {
    let provider = config.auth.oauth.providers.get(account.provider);
    if !provider.is_some_and(|provider| provider.allow_connected_accounts) {
        return Ok(());
    }
    let links = store::of_users(&**tx, project_id, &[user_id]).await?;
    let Some(link) = links.iter().find(|link| is_of(link, account)) else { return Ok(()) };
    let consent = Consent { deps, project_id, id: LinkedAccountTokenId::random() };
    let scopes = tokens.scopes.clone().unwrap_or_default();
    let new = Model {
        id: consent.id,
        project_id: project_id.clone(),
        linked_account_id: link.id,
        access_token: Some(consent.seal("access_token", &tokens.access_token)?),
        access_expires_at: expiry(deps, &tokens),
        refresh_token: tokens.refresh_token.as_ref().map(|token| consent.seal("refresh_token", token)).transpose()?,
        scopes: scopes.join(" "),
        created_at: deps.now(),
    };
    let older = store::tokens_of(&**tx, project_id, [link.id]).await?;
    let replaced = older.iter().enumerate().filter(|(at, older)| {
        let renews = new.refresh_token.is_some() || older.refresh_token.is_none();
        (renews && covers(&new.scopes, older.scopes.split(' '))) || at + 1 >= MAX_CONSENTS
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
/// `OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE`.
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
        link.allow_connected_accounts && is_of(link, AccountAt { provider: provider_config_id, id })
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
    for kept in store::tokens_of(deps.db.read(), project_id, ids).await? {
        if !covers(&kept.scopes, scopes.split_whitespace()) {
            continue;
        }
        let consent = Consent { deps, project_id, id: kept.id };
        if let Some(token) = consent.good_token(client, kept, scopes).await? {
            return Ok(token);
        }
    }
    refuse(Failure::new(
        Code::OauthConnectionDoesNotHaveRequiredScope,
        "The user has not consented to these scopes, or has revoked it: link the account again.",
    ))
}

/// What a user consented to, once.
struct Consent<'a> {
    deps: &'a Deps,
    project_id: &'a ProjectId,
    id: LinkedAccountTokenId,
}

impl Consent<'_> {
    fn seal(&self, column: &str, token: &SecretString) -> Result<Vec<u8>> {
        self.deps.keyring.seal(&place(self.project_id, &self.id.to_string(), column), token.expose_secret().as_bytes())
    }

    fn open(&self, column: &str, sealed: &[u8]) -> Result<SecretString> {
        let plain = self.deps.keyring.open(&place(self.project_id, &self.id.to_string(), column), sealed)?;
        Ok(String::from_utf8(plain).map_err(Error::internal)?.into())
    }

    /// The access token that is kept, if it will do, or a new one. `None`: the consent is good for nothing any more, and gone.
    async fn good_token(&self, client: &ProviderClient, mut kept: Model, scopes: &str) -> Result<Option<SecretString>> {
        loop {
            let lasts = kept.access_expires_at.is_none_or(|at| at >= self.deps.now().plus_seconds(MIN_SECONDS));
            if let Some(sealed) = kept.access_token.as_ref().filter(|_| lasts) {
                let token = self.open("access_token", sealed)?;
                if self.deps.providers.accepts(client, &token).await.map_err(|error| oauth::unavailable(&error))? {
                    return Ok(Some(token));
                }
            }
            let Some(sealed) = &kept.refresh_token else {
                self.forget(&kept).await?;
                return Ok(None);
            };
            let refresh_token = self.open("refresh_token", sealed)?;
            match self.deps.providers.refresh(client, &refresh_token).await {
                Ok(tokens) => {
                    let told = tokens.scopes.as_ref().map(|told| told.join(" "));
                    self.renew(&kept, &tokens, told.as_deref()).await?;
                    let still_covers = told.is_none_or(|told| covers(&told, scopes.split_whitespace()));
                    return Ok(still_covers.then_some(tokens.access_token));
                }
                Err(error @ ProviderError::Unavailable(_)) => return refuse(oauth::unavailable(&error)),
                Err(error) => {
                    // Somebody else may have renewed it at the same time: many sites take a refresh token once.
                    match self.read().await? {
                        Some(newer) if newer.access_token != kept.access_token => kept = newer,
                        Some(_) => {
                            tracing::info!(%error, "a linked account was revoked at the other site");
                            self.forget(&kept).await?;
                            return Ok(None);
                        }
                        None => return Ok(None),
                    }
                }
            }
        }
    }

    async fn read(&self) -> Result<Option<Model>> {
        let find = Entity::find_by_id(self.id).filter(Column::ProjectId.eq(self.project_id.clone()));
        Ok(find.one(self.deps.db.read()).await?)
    }

    /// Keeps new tokens in the place of those that were read.
    async fn renew(&self, kept: &Model, tokens: &Tokens, scopes: Option<&str>) -> Result<()> {
        let access_token = self.seal("access_token", &tokens.access_token)?;
        let refresh_token = tokens.refresh_token.as_ref().map(|token| self.seal("refresh_token", token)).transpose()?;
        let refresh_token = &refresh_token.or_else(|| kept.refresh_token.clone());
        let access_token = &access_token;
        self.deps
            .db
            .write(|tx| async move {
                Entity::update_many()
                    .col_expr(Column::AccessToken, Expr::value(access_token.clone()))
                    .col_expr(Column::AccessExpiresAt, Expr::value(expiry(self.deps, tokens)))
                    .col_expr(Column::RefreshToken, Expr::value(refresh_token.clone()))
                    .col_expr(Column::Scopes, Expr::value(scopes.unwrap_or(&kept.scopes)))
                    .filter(Column::ProjectId.eq(self.project_id.clone()))
                    .filter(Column::Id.eq(self.id))
                    .exec(&*tx)
                    .await?;
                Ok(())
            })
            .await
    }

    /// Removes it, unless it has been renewed since it was read.
    async fn forget(&self, kept: &Model) -> Result<()> {
        self.deps
            .db
            .write(|tx| async move {
                let unchanged = match &kept.access_token {
                    Some(token) => Column::AccessToken.eq(token.clone()),
                    None => Column::AccessToken.is_null(),
                };
                Entity::delete_many()
                    .filter(Column::ProjectId.eq(self.project_id.clone()))
                    .filter(Column::Id.eq(self.id))
                    .filter(unchanged)
                    .exec(&*tx)
                    .await?;
                Ok(())
            })
            .await
    }
}

fn expiry(deps: &Deps, tokens: &Tokens) -> Option<Timestamp> {
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
