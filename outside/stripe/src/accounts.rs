//! Connected accounts.

use postern_domain::ports::stripe::{Metadata, StripeAccount, StripeError};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    StripeClient,
    read::{HasId, List},
    spelling,
};

#[derive(Deserialize)]
struct Account {
    id: String,
    #[serde(default)]
    charges_enabled: bool,
    #[serde(default)]
    details_submitted: bool,
    #[serde(default)]
    payouts_enabled: bool,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct AccountLink {
    url: String,
}

#[derive(Deserialize)]
struct AccountSession {
    client_secret: SecretString,
}

impl From<Account> for StripeAccount {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            charges_enabled: account.charges_enabled,
            details_submitted: account.details_submitted,
            payouts_enabled: account.payouts_enabled,
            metadata: account.metadata.unwrap_or_default(),
        }
    }
}

pub(crate) async fn create(
    stripe: &StripeClient,
    metadata: &Metadata,
    key: &str,
) -> Result<StripeAccount, StripeError> {
    let made: Account = stripe.change(None, spelling::create_account(metadata), key).await?;
    Ok(made.into())
}

pub(crate) async fn retrieve(stripe: &StripeClient, account_id: &str) -> Result<StripeAccount, StripeError> {
    let found: Account = stripe.ask(None, spelling::retrieve_account(account_id)?).await?;
    Ok(found.into())
}

pub(crate) async fn onboarding_url(
    stripe: &StripeClient,
    account_id: &str,
    return_url: &str,
    refresh_url: &str,
) -> Result<String, StripeError> {
    let request = spelling::create_account_link(account_id, return_url, refresh_url);
    let link: AccountLink = stripe.change_again(None, request).await?;
    Ok(link.url)
}

pub(crate) async fn session(stripe: &StripeClient, account_id: &str) -> Result<SecretString, StripeError> {
    let session: AccountSession = stripe.change_again(None, spelling::create_account_session(account_id)).await?;
    Ok(session.client_secret)
}

/// A key that may list the platform's accounts is one that may act for them.
pub(crate) async fn check(stripe: &StripeClient) -> Result<(), StripeError> {
    let _: List<HasId> = stripe.ask(None, spelling::list_account()).await?;
    Ok(())
}
