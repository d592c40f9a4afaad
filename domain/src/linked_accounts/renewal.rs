//! Renewing what other sites gave. Many of them take a refresh token once and take a second use for a theft, which ends the whole
//! consent: so one renews at a time, whoever else wants a token waits for what comes of it, and nothing is forgotten but
//! what the site itself says is over.

use std::time::Duration;

use postern_entity::linked_account_token::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, UpdateMany,
    sea_query::{Expr, ExprTrait},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::sleep;

use super::tokens::{expiry, place};
use crate::{
    Deps, LinkedAccountTokenId, ProjectId, Timestamp,
    error::{Error, Result, refuse},
    oauth,
    ports::oauth::{ProviderClient, ProviderError, Tokens},
};

/// For how many seconds more an access token must be good to be handed out (wire/auth §12).
const MIN_SECONDS: i64 = 5 * 60;
/// After as many seconds whoever renews has died: longer than all calls of a renewal may take.
const LEASE_SECONDS: i64 = 30;
/// How often whoever waits looks whether it is done, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: u32 = 400;

/// What a user consented to, once.
#[derive(Clone, Copy)]
pub(super) struct Consent<'a> {
    pub(super) deps: &'a Deps,
    pub(super) project_id: &'a ProjectId,
    pub(super) id: LinkedAccountTokenId,
}

/// An access token, and what it is good for.
pub(super) struct KeptToken {
    pub(super) token: SecretString,
    pub(super) scopes: String,
}

impl Consent<'_> {
    pub(super) fn seal(&self, column: &str, token: &str) -> Result<Vec<u8>> {
        self.deps.keyring.seal(&place(self.project_id, &self.id.to_string(), column), token.as_bytes())
    }

    fn open(&self, column: &str, sealed: &[u8]) -> Result<SecretString> {
        let plain = self.deps.keyring.open(&place(self.project_id, &self.id.to_string(), column), sealed)?;
        Ok(String::from_utf8(plain).map_err(Error::internal)?.into())
    }

    /// The access token that is kept, if it will do, or a new one. `None`: the consent is over.
    ///
    /// # Errors
    /// `OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE`; `BAD_REQUEST` for a site that refuses our client.
    pub(super) async fn good_token(&self, client: &ProviderClient, mut kept: Model) -> Result<Option<KeptToken>> {
        for _ in 0..LOOKS {
            if let Some(token) = self.kept_token(client, &kept).await? {
                return Ok(Some(KeptToken { token, scopes: kept.scopes }));
            }
            let Some(sealed) = &kept.refresh_token else {
                self.forget(is_still(Column::AccessToken, kept.access_token.as_ref())).await?;
                return Ok(None);
            };
            if let Some(until) = self.begin(&kept).await? {
                let refresh_token = self.open("refresh_token", sealed)?;
                return self.renew(client, &kept, &refresh_token, until).await;
            }
            sleep(LOOK_EVERY).await;
            match self.read().await? {
                Some(newer) => kept = newer,
                None => return Ok(None),
            }
        }
        refuse(oauth::unavailable(&ProviderError::Unavailable("a renewal goes on for ever".to_owned())))
    }

    async fn kept_token(&self, client: &ProviderClient, kept: &Model) -> Result<Option<SecretString>> {
        let lasts = kept.access_expires_at.is_none_or(|at| at >= self.deps.now().plus_seconds(MIN_SECONDS));
        let Some(sealed) = kept.access_token.as_ref().filter(|_| lasts && kept.renewing_until.is_none()) else {
            return Ok(None);
        };
        let token = self.open("access_token", sealed)?;
        match self.deps.providers.accepts(client, &token).await {
            Ok(is_taken) => Ok(is_taken.then_some(token)),
            // Whether it is taken cannot be known now, as where we have asked too often.
            Err(error) => {
                tracing::info!(%error, "a provider does not say whether it takes an access token");
                Ok(Some(token))
            }
        }
    }

    /// Claims the renewal of what was read, if nobody has it. Answers until when it is ours, by which it is known.
    async fn begin(&self, kept: &Model) -> Result<Option<Timestamp>> {
        let now = self.deps.now();
        let until = now.plus_seconds(LEASE_SECONDS);
        let is_free = Column::RenewingUntil.is_null().or(Column::RenewingUntil.lte(now));
        let is_the_one_read = is_still(Column::RefreshToken, kept.refresh_token.as_ref());
        let claim = self.change(is_free.and(is_the_one_read)).col_expr(Column::RenewingUntil, Expr::value(Some(until)));
        Ok(self.write(claim).await?.then_some(until))
    }

    async fn renew(
        &self,
        client: &ProviderClient,
        kept: &Model,
        refresh_token: &SecretString,
        until: Timestamp,
    ) -> Result<Option<KeptToken>> {
        let is_ours = Column::RenewingUntil.eq(until);
        match self.deps.providers.refresh(client, refresh_token).await {
            Ok(tokens) => {
                let scopes = tokens.scopes.as_ref().map_or_else(|| kept.scopes.clone(), |told| told.join(" "));
                self.keep(kept, &tokens, &scopes, is_ours).await?;
                Ok(Some(KeptToken { token: tokens.access_token, scopes }))
            }
            Err(error @ ProviderError::Ended(_)) => {
                tracing::info!(%error, "a linked account was revoked at the other site");
                self.forget(is_ours).await?;
                Ok(None)
            }
            Err(error) => {
                let given_back = self.change(is_ours).col_expr(Column::RenewingUntil, Expr::value(None::<Timestamp>));
                self.write(given_back).await?;
                refuse(oauth::unavailable(&error))
            }
        }
    }

    async fn read(&self) -> Result<Option<Model>> {
        let find = Entity::find_by_id(self.id).filter(Column::ProjectId.eq(self.project_id.clone()));
        Ok(find.one(self.deps.db.read()).await?)
    }

    /// Keeps new tokens in the place of those that were read.
    async fn keep(&self, kept: &Model, tokens: &Tokens, scopes: &str, is_ours: Expr) -> Result<()> {
        let refresh_token = match &tokens.refresh_token {
            Some(token) => Some(self.seal("refresh_token", token.expose_secret())?),
            None => kept.refresh_token.clone(),
        };
        let access_token = self.seal("access_token", tokens.access_token.expose_secret())?;
        let renewed = self
            .change(is_ours)
            .col_expr(Column::AccessToken, Expr::value(access_token))
            .col_expr(Column::AccessExpiresAt, Expr::value(expiry(self.deps, tokens)))
            .col_expr(Column::RefreshToken, Expr::value(refresh_token))
            .col_expr(Column::Scopes, Expr::value(scopes))
            .col_expr(Column::RenewingUntil, Expr::value(None::<Timestamp>));
        if !self.write(renewed).await? {
            tracing::info!("a consent was replaced or taken away while it was renewed");
        }
        Ok(())
    }

    /// Removes it, on a condition.
    async fn forget(&self, condition: Expr) -> Result<()> {
        let delete = &Entity::delete_many()
            .filter(Column::ProjectId.eq(self.project_id.clone()))
            .filter(Column::Id.eq(self.id))
            .filter(condition);
        self.deps.db.write(|tx| async move { Ok(delete.clone().exec(&*tx).await.map(drop)?) }).await
    }

    /// A change of the row, on a condition.
    fn change(&self, condition: Expr) -> UpdateMany<Entity> {
        Entity::update_many()
            .filter(Column::ProjectId.eq(self.project_id.clone()))
            .filter(Column::Id.eq(self.id))
            .filter(condition)
    }

    /// Answers whether there was such a row.
    async fn write(&self, update: UpdateMany<Entity>) -> Result<bool> {
        let update = &update;
        self.deps.db.write(|tx| async move { Ok(update.clone().exec(&*tx).await?.rows_affected > 0) }).await
    }
}

fn is_still(column: Column, sealed: Option<&Vec<u8>>) -> Expr {
    match sealed {
        Some(sealed) => column.eq(sealed.clone()),
        None => column.is_null(),
    }
}
