//! The account at Stripe through which a project sells (wire: payments §8): made by its owner, told about by Stripe.

use std::collections::BTreeMap;

use postern_entity::{ProjectId, stripe_account};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::OnConflict};
use secrecy::SecretString;

use super::{connected, require_connected, told};
use crate::{
    Actor, Code, Deps, Failure, Level,
    error::{Result, refuse},
    ports::stripe::{Metadata, Stripe, StripeAccount, StripeError, StripeMethodConfig},
    projects,
};

/// By what Stripe's objects name the project they are of.
pub(in crate::payments) const TENANCY_ID: &str = "tenancyId";

fn require_admin(actor: &Actor) -> Result<()> {
    if actor.level >= Level::Admin {
        return Ok(());
    }
    refuse(Failure::forbidden("Only administrators of the project set up its payments."))
}

/// Where its owner tells Stripe what it asks, until the account can take payments. Makes the account first if there is none.
///
/// # Errors
/// `FORBIDDEN`; `BAD_REQUEST` when the installation has no Stripe; `UNAVAILABLE`.
#[crate::boxed]
pub async fn set_up(deps: &Deps, actor: &Actor) -> Result<String> {
    require_admin(actor)?;
    let Some(api) = deps.stripe.clone() else {
        return refuse(Failure::bad_request(
            "This installation has no access to Stripe: set POSTERN_STRIPE_SECRET_KEY.",
        ));
    };
    let project_id = &actor.project_id;
    let account_id = match connected(deps, project_id).await? {
        Some(connected) => connected.account_id,
        None => {
            let metadata = Metadata::from([(TENANCY_ID.to_owned(), project_id.0.clone())]);
            let made = api.create_account(&metadata, &format!("account-{project_id}")).await.map_err(told)?;
            connect(deps, project_id, &made.id).await?
        }
    };
    let url = |page: &str| format!("{}/purchase/{page}", deps.settings.public_url.as_str().trim_end_matches('/'));
    api.onboarding_url(&account_id, &url("set-up"), &url("set-up")).await.map_err(told)
}

/// Notes which account a project sells through, unless that is known. Answers which it is.
pub(super) async fn connect(deps: &Deps, project_id: &ProjectId, account_id: &str) -> Result<String> {
    deps.db
        .write(|tx| async move {
            let row = stripe_account::Model {
                project_id: project_id.clone(),
                account_id: account_id.to_owned(),
                created_at: deps.now(),
                synced_at: None,
            };
            stripe_account::Entity::insert(row.into_active_model())
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(&*tx)
                .await?;
            let row = stripe_account::Entity::find_by_id(project_id.clone()).one(&*tx).await?;
            match row {
                Some(row) => Ok(row.account_id),
                None => refuse(Failure::new(Code::Conflict, "Another project sells through this account already.")),
            }
        })
        .await
}

/// The project of an account: by what was noted here, else by what the account says of itself.
pub(super) async fn project_of(deps: &Deps, api: &dyn Stripe, account_id: &str) -> Result<Option<ProjectId>, Unknown> {
    let row = stripe_account::Entity::find()
        .filter(stripe_account::Column::AccountId.eq(account_id))
        .one(deps.db.read())
        .await
        .map_err(crate::Error::from)?;
    if let Some(row) = row {
        return Ok(Some(row.project_id));
    }
    let account = match api.account(account_id).await {
        Ok(account) => account,
        Err(StripeError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(Unknown::Stripe(error)),
    };
    let Some(project_id) = account.metadata.get(TENANCY_ID).cloned().map(ProjectId) else { return Ok(None) };
    if projects::lookup(deps, &project_id).await?.is_none() {
        return Ok(None);
    }
    let known = connect(deps, &project_id, account_id).await?;
    Ok((known == account_id).then_some(project_id))
}

/// Why the project of an account could not be told.
#[derive(Debug)]
pub(super) enum Unknown {
    /// Stripe did not say.
    Stripe(StripeError),
    /// A failure of ours.
    Ours(crate::Error),
}

impl From<crate::Error> for Unknown {
    fn from(error: crate::Error) -> Self {
        Self::Ours(error)
    }
}

/// How the account stands.
///
/// # Errors
/// `FORBIDDEN`; `STRIPE_ACCOUNT_INFO_NOT_FOUND` when payments are not set up; `UNAVAILABLE`.
#[crate::boxed]
pub async fn info(deps: &Deps, actor: &Actor) -> Result<StripeAccount> {
    require_admin(actor)?;
    let not_found = || Failure::new(Code::StripeAccountInfoNotFound, "Payments are not set up for this project.");
    let Some(connected) = connected(deps, &actor.project_id).await? else { return refuse(not_found()) };
    match connected.api.account(&connected.account_id).await {
        Err(StripeError::NotFound(_)) => refuse(not_found()),
        other => other.map_err(told),
    }
}

/// What opens Stripe's components for the account in a browser.
///
/// # Errors
/// `FORBIDDEN`; `BAD_REQUEST` when payments are not set up; `UNAVAILABLE`.
#[crate::boxed]
pub async fn session(deps: &Deps, actor: &Actor) -> Result<SecretString> {
    require_admin(actor)?;
    let connected = require_connected(deps, &actor.project_id).await?;
    connected.api.account_session(&connected.account_id).await.map_err(told)
}

/// Which sorts of payment the account offers.
///
/// # Errors
/// Those of [`session`].
#[crate::boxed]
pub async fn methods(deps: &Deps, actor: &Actor) -> Result<StripeMethodConfig> {
    require_admin(actor)?;
    let connected = require_connected(deps, &actor.project_id).await?;
    connected.api.methods(&connected.account_id).await.map_err(told)
}

/// Switches sorts of payment on or off.
///
/// # Errors
/// Those of [`session`]; `BAD_REQUEST` for a configuration or a sort that the account does not have.
#[crate::boxed]
pub async fn set_methods(deps: &Deps, actor: &Actor, config_id: &str, updates: &BTreeMap<String, bool>) -> Result<()> {
    require_admin(actor)?;
    let connected = require_connected(deps, &actor.project_id).await?;
    let known = connected.api.methods(&connected.account_id).await.map_err(told)?;
    if known.id != config_id {
        return refuse(Failure::bad_request("The account has no configuration of that id."));
    }
    if let Some(unknown) = updates.keys().find(|id| !known.methods.iter().any(|method| &method.id == *id)) {
        return refuse(Failure::bad_request(format!("The account knows no payment method {unknown:.50}.")));
    }
    connected.api.set_methods(&connected.account_id, config_id, updates).await.map_err(told)
}
