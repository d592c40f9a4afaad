//! Ending subscriptions at Stripe because of what happened here: something else replaced one, or its customer or project was
//! deleted. Each is a job that knows all it needs, so that it outlives whatever is deleted.

use std::time::Duration;

use postern_entity::{
    ProjectId,
    purchase::{self, PurchaseKind},
    stripe_account,
};
use sea_orm::EntityTrait;

use super::connected;
use crate::{
    Deps,
    db::Tx,
    error::Result,
    payments::{
        jobs::{AtStripe, EndStripeSubscription},
        store,
    },
    ports::stripe::StripeError,
    queue::{self, Ending, Enqueue},
};

/// When the end of a subscription is tried again, however long Stripe is away.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Lets these subscriptions end at Stripe soon after the caller's transaction, as far as they are paid there. `why` makes the
/// key of the job: once for each subscription.
pub(in crate::payments) async fn end_soon<'a>(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    rows: impl IntoIterator<Item = &'a purchase::Model>,
    why: &str,
) -> Result<()> {
    let paid: Vec<_> = rows
        .into_iter()
        .filter(|row| row.kind == PurchaseKind::Subscription)
        .filter_map(|row| Some((row, row.stripe_id.clone()?)))
        .collect();
    if paid.is_empty() {
        return Ok(());
    }
    let Some(account) = stripe_account::Entity::find_by_id(project_id.clone()).one(&**tx).await? else { return Ok(()) };
    let jobs = paid.into_iter().map(|(row, subscription_id)| {
        let job = EndStripeSubscription {
            project_id: project_id.clone(),
            purchase_id: row.id,
            at: Some(AtStripe { account_id: account.account_id.clone(), subscription_id }),
        };
        // Of no project: the jobs of one go with it.
        Ok(Enqueue::new(&job)?.key(format!("{why}:{}", row.id)))
    });
    let jobs = jobs.collect::<Result<Vec<_>>>()?;
    queue::enqueue_all(deps, tx, jobs).await.map(drop)
}

/// Runs the job [`EndStripeSubscription`].
///
/// # Errors
/// Those of the database; the queue tries again.
#[crate::boxed]
pub async fn end(deps: &Deps, job: &EndStripeSubscription) -> Result<Ending> {
    let at = match &job.at {
        Some(at) => Some(at.clone()),
        None => looked_up(deps, job).await?,
    };
    let Some(at) = at else { return Ok(Ending::done()) };
    let Some(api) = deps.stripe.clone() else { return Ok(Ending::retry("this worker has no key of Stripe")) };
    let (id, key) = (job.purchase_id, format!("replaced-{}", job.purchase_id));
    Ok(match api.cancel_subscription(&at.account_id, &at.subscription_id, &key).await {
        Ok(()) | Err(StripeError::NotFound(_)) => Ending::done(),
        Err(error @ StripeError::Refused { .. }) => Ending::give_up(error.to_string()),
        Err(error) => {
            tracing::warn!(purchase = %id, %error, "a subscription that is to end goes on at Stripe until that answers");
            Ending::snooze(AGAIN_AFTER)
        }
    })
}

/// Where the subscription is, for jobs that were made before they said so.
async fn looked_up(deps: &Deps, job: &EndStripeSubscription) -> Result<Option<AtStripe>> {
    let row = store::find(deps.db.read(), &job.project_id, job.purchase_id).await?;
    let Some(subscription_id) = row.and_then(|row| row.stripe_id) else { return Ok(None) };
    let connected = connected(deps, &job.project_id).await?;
    Ok(connected.map(|connected| AtStripe { account_id: connected.account_id, subscription_id }))
}
