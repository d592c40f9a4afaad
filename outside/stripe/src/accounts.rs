//! Connected accounts.

use postern_domain::ports::stripe::{Metadata, StripeAccount, StripeError};
use secrecy::SecretString;
use serde::Deserialize;
use stripe_client_core::StripeRequest;
use stripe_connect::{
    account::{
        CreateAccount, CreateAccountCapabilities, CreateAccountCapabilitiesCardPayments,
        CreateAccountCapabilitiesTransfers, CreateAccountController, CreateAccountControllerStripeDashboard,
        CreateAccountControllerStripeDashboardType, ListAccount, RetrieveAccount,
    },
    account_link::{CreateAccountLink, CreateAccountLinkType},
    account_session::{
        AccountConfigParam, CreateAccountSession, CreateAccountSessionComponents,
        CreateAccountSessionComponentsPayments, PayoutsConfigParam,
    },
};

use crate::{
    StripeClient,
    call::word,
    customers::map,
    read::{HasId, List},
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
    let controller = CreateAccountController {
        stripe_dashboard: Some(CreateAccountControllerStripeDashboard {
            type_: Some(CreateAccountControllerStripeDashboardType::None),
        }),
        ..CreateAccountController::new()
    };
    let capabilities = CreateAccountCapabilities {
        card_payments: Some(CreateAccountCapabilitiesCardPayments { requested: Some(true) }),
        transfers: Some(CreateAccountCapabilitiesTransfers { requested: Some(true) }),
        ..CreateAccountCapabilities::new()
    };
    let request = CreateAccount::new().country("US").controller(controller).capabilities(capabilities);
    let made: Account = stripe.change(None, &request.metadata(map(metadata)), key).await?;
    Ok(made.into())
}

pub(crate) async fn retrieve(stripe: &StripeClient, account_id: &str) -> Result<StripeAccount, StripeError> {
    let found: Account = stripe.ask(None, &RetrieveAccount::new(word(account_id)?)).await?;
    Ok(found.into())
}

pub(crate) async fn onboarding_url(
    stripe: &StripeClient,
    account_id: &str,
    return_url: &str,
    refresh_url: &str,
) -> Result<String, StripeError> {
    let request = CreateAccountLink::new(account_id, CreateAccountLinkType::AccountOnboarding);
    let request = request.return_url(return_url).refresh_url(refresh_url);
    let link: AccountLink = stripe.change_again(None, request.build()).await?;
    Ok(link.url)
}

/// For the components that an account's owner needs who has no dashboard of Stripe's: to tell what is asked, to see payments,
/// and to be paid out.
pub(crate) async fn session(stripe: &StripeClient, account_id: &str) -> Result<SecretString, StripeError> {
    let components = CreateAccountSessionComponents {
        account_management: Some(AccountConfigParam::new(true)),
        account_onboarding: Some(AccountConfigParam::new(true)),
        balances: Some(PayoutsConfigParam::new(true)),
        notification_banner: Some(AccountConfigParam::new(true)),
        payments: Some(CreateAccountSessionComponentsPayments::new(true)),
        payouts: Some(PayoutsConfigParam::new(true)),
        ..CreateAccountSessionComponents::new()
    };
    let request = CreateAccountSession::new(account_id, components);
    let session: AccountSession = stripe.change_again(None, request.build()).await?;
    Ok(session.client_secret)
}

/// A key that may list the platform's accounts is one that may act for them.
pub(crate) async fn check(stripe: &StripeClient) -> Result<(), StripeError> {
    let _: List<HasId> = stripe.ask(None, &ListAccount::new().limit(1)).await?;
    Ok(())
}
