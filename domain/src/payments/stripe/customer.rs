//! Customers as Stripe knows them. The row is written before Stripe is asked, and names the call: two requests for one
//! customer make one.

use std::time::Duration;

use postern_entity::{
    ProjectId, StripeCustomerId,
    stripe_customer::{self, Column},
};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::{Expr, OnConflict},
};

use super::{Connected, told};
use crate::{
    Deps, Failure,
    error::{Result, refuse},
    items::{Customer, CustomerType},
    ports::stripe::{Metadata, StripeCustomer, StripeError},
};

/// How often, and how far apart, it is looked whether somebody else has made a customer.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
const CUSTOMER_ID: &str = "customerId";
const CUSTOMER_TYPE: &str = "customerType";

/// What an object of Stripe says about whose it is.
pub(in crate::payments) fn metadata(customer: &Customer) -> Metadata {
    let kind = customer.kind().as_str().to_ascii_uppercase();
    Metadata::from([(CUSTOMER_ID.to_owned(), customer.id().to_owned()), (CUSTOMER_TYPE.to_owned(), kind)])
}

/// Whom metadata names; upper or lower case, as purchases and customers write it (wire: payments §6).
pub(in crate::payments) fn named(metadata: &Metadata) -> Option<Customer> {
    let kind = match metadata.get(CUSTOMER_TYPE)?.to_ascii_lowercase().as_str() {
        "user" => CustomerType::User,
        "team" => CustomerType::Team,
        "custom" => CustomerType::Custom,
        _ => return None,
    };
    Some(Customer::new(kind, metadata.get(CUSTOMER_ID)?))
}

/// The row of a customer that purchases are made for.
pub(super) async fn main_row(
    deps: &Deps,
    project_id: &ProjectId,
    customer: &Customer,
) -> Result<Option<stripe_customer::Model>> {
    Ok(stripe_customer::Entity::find()
        .filter(Column::ProjectId.eq(project_id.clone()))
        .filter(Column::CustomerType.eq(customer.kind()))
        .filter(Column::CustomerId.eq(customer.id()))
        .filter(Column::IsMain.eq(true))
        .one(deps.db.read())
        .await?)
}

/// What Stripe calls the customer; none when it does not know it.
pub(super) async fn find(deps: &Deps, project_id: &ProjectId, customer: &Customer) -> Result<Option<String>> {
    Ok(main_row(deps, project_id, customer).await?.and_then(|row| row.stripe_id))
}

/// What Stripe calls the customer, who is made there first if need be.
///
/// # Errors
/// `UNAVAILABLE`, `BAD_REQUEST` as Stripe answers.
pub(in crate::payments) async fn get_or_make(
    deps: &Deps,
    connected: &Connected,
    project_id: &ProjectId,
    customer: &Customer,
) -> Result<String> {
    let row = match main_row(deps, project_id, customer).await? {
        Some(row) => row,
        None => insert(deps, project_id, customer, true, None).await?,
    };
    if let Some(stripe_id) = row.stripe_id {
        return Ok(stripe_id);
    }
    let (api, account_id) = (&connected.api, &connected.account_id);
    let kind = customer.kind().as_str().to_ascii_uppercase();
    // A database from before, or one that was restored, does not know whom Stripe knows.
    let found = api.find_customer(account_id, customer.id(), &kind).await.map_err(told)?;
    let made = match found {
        Some(found) => found,
        None => match api.create_customer(account_id, &metadata(customer), &row.id.to_string()).await {
            Ok(made) => made,
            // Perhaps Stripe is still at the same call of somebody else.
            Err(error @ StripeError::Unavailable(_)) => match made_by_another(deps, project_id, customer).await? {
                Some(stripe_id) => return Ok(stripe_id),
                None => return Err(told(error)),
            },
            Err(error) => return Err(told(error)),
        },
    };
    name(deps, row.id, &made.id).await?;
    match find(deps, project_id, customer).await? {
        Some(stripe_id) => Ok(stripe_id),
        None => refuse(Failure::bad_request("The customer was removed meanwhile.")),
    }
}

/// Waits a moment for somebody else who makes the customer.
async fn made_by_another(deps: &Deps, project_id: &ProjectId, customer: &Customer) -> Result<Option<String>> {
    for _ in 0..LOOKS {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        if let Some(stripe_id) = find(deps, project_id, customer).await? {
            return Ok(Some(stripe_id));
        }
    }
    Ok(None)
}

/// Notes what Stripe calls a customer that had no name yet.
async fn name(deps: &Deps, id: StripeCustomerId, stripe_id: &str) -> Result<()> {
    deps.db
        .write(|tx| async move {
            stripe_customer::Entity::update_many()
                .col_expr(Column::StripeId, Expr::value(stripe_id))
                .filter(Column::Id.eq(id))
                .filter(Column::StripeId.is_null())
                .exec(&*tx)
                .await?;
            Ok(())
        })
        .await
}

async fn insert(
    deps: &Deps,
    project_id: &ProjectId,
    customer: &Customer,
    is_main: bool,
    stripe_id: Option<&str>,
) -> Result<stripe_customer::Model> {
    let row = &stripe_customer::Model {
        id: StripeCustomerId::random(),
        project_id: project_id.clone(),
        customer_type: customer.kind(),
        customer_id: customer.id().to_owned(),
        is_main,
        stripe_id: stripe_id.map(str::to_owned),
        syncs_begun: 0,
        sync_done: 0,
        created_at: deps.now(),
    };
    let inserted = deps
        .db
        .write(|tx| async move {
            let inserted = stripe_customer::Entity::insert(row.clone().into_active_model())
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(&*tx)
                .await?;
            Ok(inserted > 0)
        })
        .await?;
    if inserted {
        return Ok(row.clone());
    }
    // Somebody else was first.
    let found = match stripe_id {
        Some(stripe_id) => by_stripe_id(deps, project_id, stripe_id).await?,
        None => main_row(deps, project_id, customer).await?,
    };
    match found {
        Some(row) => Ok(row),
        None => refuse(Failure::bad_request("The customer was removed meanwhile.")),
    }
}

async fn by_stripe_id(deps: &Deps, project_id: &ProjectId, stripe_id: &str) -> Result<Option<stripe_customer::Model>> {
    Ok(stripe_customer::Entity::find()
        .filter(Column::ProjectId.eq(project_id.clone()))
        .filter(Column::StripeId.eq(stripe_id))
        .one(deps.db.read())
        .await?)
}

/// The row of one that Stripe tells of: by its name there, else by what Stripe says about whose it is. None for one that is
/// nobody's here.
pub(super) async fn known(
    deps: &Deps,
    connected: &Connected,
    project_id: &ProjectId,
    stripe_id: &str,
) -> Result<Result<Option<stripe_customer::Model>, StripeError>> {
    if let Some(row) = by_stripe_id(deps, project_id, stripe_id).await? {
        return Ok(Ok(Some(row)));
    }
    let found: StripeCustomer = match connected.api.customer(&connected.account_id, stripe_id).await {
        Ok(found) => found,
        Err(StripeError::NotFound(_)) => return Ok(Ok(None)),
        Err(error) => return Ok(Err(error)),
    };
    let Some(customer) = named(&found.metadata) else { return Ok(Ok(None)) };
    let main = main_row(deps, project_id, &customer).await?;
    if let Some(row) = main.as_ref().filter(|row| row.stripe_id.is_none()) {
        // Somebody was asking Stripe to make it.
        name(deps, row.id, stripe_id).await?;
        if let Some(row) = by_stripe_id(deps, project_id, stripe_id).await? {
            return Ok(Ok(Some(row)));
        }
    }
    let is_main = main.is_none();
    Ok(Ok(Some(insert(deps, project_id, &customer, is_main, Some(stripe_id)).await?)))
}
