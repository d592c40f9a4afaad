//! What is asked of Stripe about a purchase: a refund, an end, a change. In three steps, so that a process that dies at any
//! instant neither forgets it nor does it twice: a row that says what is to be done commits; the calls carry the row's id as
//! their key; what came of them commits together with what follows here. A job does the second and third step again where
//! nobody did. One thing at a time is done to a purchase.

use std::time::Duration;

use postern_entity::{
    ProjectId, PurchaseId, StripeOperationId, purchase,
    stripe_operation::{self, Column, StripeOperationState},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{connected, sync, told};
use crate::{
    Code, Deps, Failure,
    db::{Backend, Tx},
    error::{Error, Result, refuse},
    payments::{cancel, jobs::FinishStripeOperation, product::Period, refund, store, switch},
    ports::stripe::{Metadata, StripeError},
    queue::{self, Ending, Enqueue},
};

/// When the job looks whether the one who asked has ended it: longer than a request lasts.
const LOOK_AFTER: Duration = Duration::from_secs(60);
/// Stripe knows a key again for a day. What is older is not asked for again: it might be done twice.
const GOOD_FOR_SECONDS: i64 = 20 * 60 * 60;
const LAPSED: &str = "Stripe could not be reached for most of a day; look in its dashboard whether it was done";

/// What is to be done, with all that the calls need: the same calls are made whenever it is tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(in crate::payments) enum Request {
    /// Ends a subscription now.
    Cancel {
        /// `sub_…`
        subscription_id: String,
    },
    /// Changes what a subscription is for.
    Switch(Switch),
    /// Pays back.
    Refund(Refund),
}

/// See [`Request::Switch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::payments) struct Switch {
    /// `sub_…`
    pub(in crate::payments) subscription_id: String,
    /// The version of the product that it will be for.
    pub(in crate::payments) version_id: String,
    /// Its name on invoices.
    pub(in crate::payments) product_name: String,
    pub(in crate::payments) price_id: String,
    pub(in crate::payments) cents: i64,
    pub(in crate::payments) interval: Period,
    pub(in crate::payments) quantity: i64,
    pub(in crate::payments) metadata: Metadata,
}

/// See [`Request::Refund`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::payments) struct Refund {
    /// `pi_…`; none when nothing is paid back.
    pub(in crate::payments) payment_intent_id: Option<String>,
    pub(in crate::payments) cents: i64,
    /// How many pieces are taken back.
    pub(in crate::payments) quantity: i64,
    /// How many there were.
    pub(in crate::payments) of: i64,
    /// It goes on until its period ends.
    #[serde(default)]
    pub(in crate::payments) ends_with_period: bool,
    /// `sub_…` that is paid for fewer pieces from now on.
    pub(in crate::payments) subscription_id: Option<String>,
    pub(in crate::payments) metadata: Metadata,
}

/// Writes the request down, in the transaction that checked it, with the job that sees to its end.
///
/// # Errors
/// `CONFLICT` while something else is being done to the purchase.
pub(in crate::payments) async fn begin(
    deps: &Deps,
    tx: &Tx,
    row: &purchase::Model,
    request: &Request,
) -> Result<StripeOperationId> {
    lapse(deps, tx, row.id).await?;
    let id = StripeOperationId::random();
    let operation = stripe_operation::Model {
        id,
        project_id: row.project_id.clone(),
        purchase_id: row.id,
        request: serde_json::to_value(request).map_err(Error::internal)?,
        result: None,
        state: StripeOperationState::Pending,
        error: None,
        created_at: deps.now(),
        ended_at: None,
    };
    let inserted = stripe_operation::Entity::insert(operation.into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(&**tx)
        .await?;
    if inserted == 0 {
        let text = "Something else is being done to this purchase. Try again in a moment.";
        return refuse(Failure::new(Code::Conflict, text));
    }
    let job = FinishStripeOperation { project_id: row.project_id.clone(), operation_id: id };
    let job = Enqueue::new(&job)?.project(row.project_id.clone()).key(id.to_string()).after(LOOK_AFTER);
    queue::enqueue(deps, tx, job).await?;
    Ok(id)
}

/// Does what was written down, and ends it.
///
/// # Errors
/// As Stripe refuses; `UNAVAILABLE` when Stripe is away: the job goes on.
pub(in crate::payments) async fn run(deps: &Deps, project_id: &ProjectId, id: StripeOperationId) -> Result<()> {
    match perform(deps, project_id, id).await? {
        Ok(()) => Ok(()),
        Err(error) => Err(told(error)),
    }
}

/// Runs the job [`FinishStripeOperation`].
///
/// # Errors
/// Those of the database; the queue tries again.
#[crate::boxed]
pub async fn finish(deps: &Deps, job: &FinishStripeOperation) -> Result<Ending> {
    Ok(match perform(deps, &job.project_id, job.operation_id).await? {
        Ok(()) | Err(StripeError::Refused { .. } | StripeError::NotFound(_)) => Ending::done(),
        Err(error @ (StripeError::Unavailable(_) | StripeError::Unauthorized(_))) => Ending::retry(error.to_string()),
    })
}

async fn perform(deps: &Deps, project_id: &ProjectId, id: StripeOperationId) -> Result<Result<(), StripeError>> {
    let row = stripe_operation::Entity::find_by_id(id)
        .filter(Column::ProjectId.eq(project_id.clone()))
        .one(deps.db.read())
        .await?;
    let Some(operation) = row else { return Ok(Ok(())) };
    match operation.state {
        StripeOperationState::Done => return Ok(Ok(())),
        // Whoever asks again by the same idempotency key is told the same.
        StripeOperationState::Refused => return Ok(Err(refused(operation.error.unwrap_or_default()))),
        StripeOperationState::Pending => {}
    }
    if operation.created_at.plus_seconds(GOOD_FOR_SECONDS) < deps.now() {
        let purchase_id = operation.purchase_id;
        deps.db.write(|tx| async move { lapse(deps, &tx, purchase_id).await }).await?;
        return Ok(Err(refused(LAPSED.to_owned())));
    }
    let request: Request = serde_json::from_value(operation.request).map_err(Error::internal)?;
    let Some(connected) = connected(deps, project_id).await? else {
        return Ok(Err(StripeError::Unauthorized("the project has no account any more".to_owned())));
    };
    let (key, purchase_id) = (id.to_string(), operation.purchase_id);
    let outcome = match &request {
        Request::Cancel { subscription_id } => {
            connected.api.cancel_subscription(&connected.account_id, subscription_id, &key).await.map(|()| json!({}))
        }
        Request::Switch(wanted) => switch::call(&connected, wanted, &key).await,
        Request::Refund(wanted) => refund::call(&connected, wanted, &key).await,
    };
    let why = match outcome {
        Ok(result) => {
            settle(deps, project_id, (id, purchase_id), &request, &result).await?;
            return Ok(Ok(()));
        }
        Err(error @ (StripeError::Refused { .. } | StripeError::NotFound(_))) => error,
        Err(error) => return Ok(Err(error)),
    };
    let reason = &match &why {
        StripeError::Refused { message, .. } => message.clone(),
        other => other.to_string(),
    };
    // Not everything is asked for by somebody who is told.
    tracing::warn!(project = %project_id, purchase = %purchase_id, reason, "Stripe refused what it was asked");
    deps.db
        .write(|tx| async move {
            if hold(&tx, id).await? {
                close(deps, &tx, id, StripeOperationState::Refused, None, Some(reason.clone())).await?;
            }
            Ok(())
        })
        .await?;
    Ok(Err(why))
}

fn refused(message: String) -> StripeError {
    StripeError::Refused { code: String::new(), message }
}

/// Gives up what was asked about a purchase so long ago that asking again might do it twice.
async fn lapse(deps: &Deps, tx: &Tx, id: PurchaseId) -> Result<()> {
    let before = deps.now().plus_seconds(-GOOD_FOR_SECONDS);
    let lapsed = stripe_operation::Entity::update_many()
        .col_expr(Column::State, Expr::value(StripeOperationState::Refused))
        .col_expr(Column::Error, Expr::value(LAPSED))
        .col_expr(Column::EndedAt, Expr::value(deps.now()))
        .filter(Column::PurchaseId.eq(id))
        .filter(Column::State.eq(StripeOperationState::Pending))
        .filter(Column::CreatedAt.lt(before))
        .exec(&**tx)
        .await?;
    if lapsed.rows_affected > 0 {
        tracing::error!(purchase = %id, "{LAPSED}");
    }
    Ok(())
}

async fn settle(
    deps: &Deps,
    project_id: &ProjectId,
    (id, purchase_id): (StripeOperationId, PurchaseId),
    request: &Request,
    result: &Value,
) -> Result<()> {
    deps.db
        .write(|tx| async move {
            let Some(row) = store::find(&*tx, project_id, purchase_id).await? else { return Ok(()) };
            store::lock_customer(&tx, project_id, &crate::payments::purchases::customer_of(&row)).await?;
            // Whoever asked and the job may come here at the same time: one of them ends it.
            if !hold(&tx, id).await? {
                return Ok(());
            }
            let Some(row) = store::hold(&tx, project_id, purchase_id).await? else { return Ok(()) };
            // A reading that has begun before may not have seen what was done.
            sync::outdate(&tx, project_id, &crate::payments::purchases::customer_of(&row)).await?;
            match request {
                Request::Cancel { .. } => cancel::settle(deps, &tx, row).await?,
                Request::Switch(wanted) => switch::settle(deps, &tx, row, wanted).await?,
                Request::Refund(wanted) => refund::settle(deps, &tx, row, wanted).await?,
            }
            close(deps, &tx, id, StripeOperationState::Done, Some(result.clone()), None).await
        })
        .await
}

/// Whether it is still pending; held until the transaction ends.
async fn hold(tx: &Tx, id: StripeOperationId) -> Result<bool> {
    use sea_orm::QuerySelect;
    let mut select = stripe_operation::Entity::find_by_id(id);
    if tx.backend() == Backend::Postgres {
        select = select.lock_exclusive();
    }
    Ok(select.one(&**tx).await?.is_some_and(|row| row.state == StripeOperationState::Pending))
}

async fn close(
    deps: &Deps,
    tx: &Tx,
    id: StripeOperationId,
    state: StripeOperationState,
    result: Option<Value>,
    error: Option<String>,
) -> Result<()> {
    let row = stripe_operation::ActiveModel {
        id: sea_orm::ActiveValue::Unchanged(id),
        state: Set(state),
        result: Set(result),
        error: Set(error),
        ended_at: Set(Some(deps.now())),
        ..Default::default()
    };
    stripe_operation::Entity::update(row).exec_without_returning(&**tx).await?;
    Ok(())
}

/// Whether something is being done to the purchase whose outcome nobody knows yet.
pub(in crate::payments) async fn is_pending(tx: &Tx, id: PurchaseId) -> Result<bool> {
    let pending = stripe_operation::Entity::find()
        .filter(Column::PurchaseId.eq(id))
        .filter(Column::State.eq(StripeOperationState::Pending))
        .one(&**tx)
        .await?;
    Ok(pending.is_some())
}
