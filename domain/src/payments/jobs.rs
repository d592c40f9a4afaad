//! Payloads of the jobs of this feature.

use postern_entity::{ProjectId, PurchaseId, StripeOperationId};
use serde::{Deserialize, Serialize};

use crate::queue::{Job, Lane, Priority};

/// Tries of work that Stripe must do: with waits of 2 s, doubled each time, at most an hour, about 17 hours. Within a day
/// Stripe knows a key again.
const TRIES: u16 = 28;

/// Do what follows from an event of Stripe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkStripeEvent {
    /// `evt_…`
    pub event_id: String,
}

impl Job for WorkStripeEvent {
    const KIND: &'static str = "work_stripe_event";
    const LANE: Lane = Lane::Payments;
    const MAX_ATTEMPTS: u16 = TRIES;
}

/// End a subscription at Stripe that another purchase replaced, or whose customer or project was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndStripeSubscription {
    /// Where.
    pub project_id: ProjectId,
    /// The purchase; it may be gone.
    pub purchase_id: PurchaseId,
    /// What to end. Jobs that were made before this was kept have none.
    #[serde(default)]
    pub at: Option<AtStripe>,
}

/// A subscription as Stripe calls it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtStripe {
    /// `acct_…`
    pub account_id: String,
    /// `sub_…`
    pub subscription_id: String,
}

impl Job for EndStripeSubscription {
    const KIND: &'static str = "end_stripe_subscription";
    const LANE: Lane = Lane::Payments;
    const MAX_ATTEMPTS: u16 = TRIES;
}

/// Bring something to its end that was asked of Stripe by somebody who may not have lived to see the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishStripeOperation {
    /// Where.
    pub project_id: ProjectId,
    /// What was asked.
    pub operation_id: StripeOperationId,
}

impl Job for FinishStripeOperation {
    const KIND: &'static str = "finish_stripe_operation";
    const LANE: Lane = Lane::Payments;
    const MAX_ATTEMPTS: u16 = TRIES;
}

/// Ask Stripe for events that were not posted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchStripeEvents {}

impl Job for FetchStripeEvents {
    const KIND: &'static str = "fetch_stripe_events";
    const LANE: Lane = Lane::Payments;
    const PRIORITY: Priority = Priority::Low;
}

/// Remove events of Stripe that were worked off long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneStripeEvents {}

impl Job for PruneStripeEvents {
    const KIND: &'static str = "prune_stripe_events";
    const PRIORITY: Priority = Priority::Low;
}
