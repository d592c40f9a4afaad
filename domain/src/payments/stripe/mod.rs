//! What has to do with Stripe: the account that a project sells through, its customers there, what is asked of Stripe, and
//! what Stripe tells.
//!
//! - Nothing that Stripe posts is believed but that something has changed and where: the object is read from Stripe, so the
//!   order in which events come does not matter, nor how often.
//! - Whatever follows has its own key besides: a purchase by Stripe's id, a mail by the invoice or payment, items by the
//!   purchase.
//! - What is asked of Stripe and cannot be repeated at will takes three steps (`operation.rs`). What ends there because of
//!   something else is a job that outlives the rows it is about (`ending.rs`).

pub mod account;
pub mod billing;
mod customer;
mod ending;
pub mod events;
mod invoice;
mod operation;
mod payment;
mod sync;

use std::sync::Arc;

use postern_entity::{ProjectId, Timestamp, stripe_account};
use sea_orm::EntityTrait;

pub(super) use self::{
    customer::{get_or_make, metadata},
    ending::end_soon,
    operation::{Refund, Request, Switch, begin, run},
    payment::ONE_TIME,
};
pub use self::{ending::end as end_subscription, operation::finish as finish_operation};
use crate::{
    Code, Deps, Failure,
    error::{Error, Result, refuse},
    ports::stripe::{Stripe, StripeError},
};

/// Stripe tells times in whole seconds, by its own clock.
const CLOCKS_DIFFER_SECONDS: i64 = 60 * 60;
/// After how many seconds whoever met Stripe away may try again.
const RETRY_AFTER_SECONDS: u64 = 5;

/// A project's account at Stripe, and how it is reached.
#[derive(Clone, Debug)]
pub(super) struct Connected {
    pub(super) api: Arc<dyn Stripe>,
    pub(super) account_id: String,
    /// Since when the project sells through it.
    pub(super) since: Timestamp,
}

impl Connected {
    /// Whether the project sold through its account when this was made. What is older was told of by others.
    fn sold_at(&self, made: Timestamp) -> bool {
        made.plus_seconds(CLOCKS_DIFFER_SECONDS) >= self.since
    }
}

/// The account of a project; none where payments are not set up, be it for the project or the installation.
pub(super) async fn connected(deps: &Deps, project_id: &ProjectId) -> Result<Option<Connected>> {
    let Some(api) = deps.stripe.clone() else { return Ok(None) };
    let row = stripe_account::Entity::find_by_id(project_id.clone()).one(deps.db.read()).await?;
    Ok(row.map(|row| Connected { api, account_id: row.account_id, since: row.created_at }))
}

/// The same, where nothing can be done without.
///
/// # Errors
/// `BAD_REQUEST`.
pub(super) async fn require_connected(deps: &Deps, project_id: &ProjectId) -> Result<Connected> {
    match connected(deps, project_id).await? {
        Some(connected) => Ok(connected),
        None => refuse(Failure::bad_request("Payments are not set up for this project.")),
    }
}

/// What a caller is told when Stripe did not do what it was asked.
pub(super) fn told(error: StripeError) -> Error {
    let failure = match error {
        StripeError::Unavailable(why) => {
            tracing::warn!(%why, "Stripe is not available");
            Failure::new(Code::Unavailable, "Stripe cannot be reached at present. Try again.")
                .retry_after(RETRY_AFTER_SECONDS)
        }
        StripeError::Unauthorized(why) => {
            tracing::error!(%why, "Stripe does not take POSTERN_STRIPE_SECRET_KEY");
            Failure::new(
                Code::Unavailable,
                "Payments do not work at present: an operator must look at the installation.",
            )
        }
        StripeError::NotFound(why) => {
            tracing::warn!(%why, "Stripe does not know an object");
            Failure::bad_request("Stripe does not know what this is about.")
        }
        StripeError::Refused { message, .. } => Failure::bad_request(format!("Stripe refused: {message}")),
    };
    Error::Refused(failure)
}
