//! What Stripe tells of its objects: no more than payments need.

use std::fmt;

use postern_entity::Timestamp;
use secrecy::SecretString;

use super::Metadata;

/// A connected account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StripeAccount {
    /// `acct_…`
    pub id: String,
    /// It can take payments.
    pub charges_enabled: bool,
    /// Its owner has told all that was asked.
    pub details_submitted: bool,
    /// Stripe pays out to it.
    pub payouts_enabled: bool,
    /// `tenancyId` names the project.
    pub metadata: Metadata,
}

/// A customer within an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StripeCustomer {
    /// `cus_…`
    pub id: String,
    /// `customerId` and `customerType`.
    pub metadata: Metadata,
    /// `pm_…` that invoices are paid by.
    pub default_payment_method: Option<String>,
}

/// A payment that is being made, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripePaymentIntent {
    /// `pi_…`
    pub id: String,
    /// `succeeded`, `requires_payment_method`, `canceled`, ….
    pub status: String,
    /// What is to be paid.
    pub amount: i64,
    /// What was paid.
    pub amount_received: i64,
    /// Lower case.
    pub currency: String,
    /// `cus_…`
    pub customer_id: Option<String>,
    /// What the purchase wrote.
    pub metadata: Metadata,
    /// Page of the receipt of the latest charge.
    pub receipt_url: Option<String>,
    /// Why the last try failed, for people.
    pub last_error: Option<String>,
    /// When it was made.
    pub created: Timestamp,
}

/// A subscription, by its first item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeSubscription {
    /// `sub_…`
    pub id: String,
    /// `cus_…`
    pub customer_id: String,
    /// As Stripe spells it: `active`, `trialing`, `canceled`, `incomplete`, ….
    pub status: String,
    /// `si_…` of its item.
    pub item_id: String,
    /// How many pieces.
    pub quantity: i64,
    /// Minor units of one piece; none for prices that are no fixed amount.
    pub unit_amount: Option<i64>,
    /// Lower case.
    pub currency: String,
    /// Present period.
    pub period_start: Timestamp,
    /// Its end.
    pub period_end: Timestamp,
    /// It will end with the present period.
    pub cancel_at_period_end: bool,
    /// When it was cancelled.
    pub canceled_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// What the purchase wrote.
    pub metadata: Metadata,
}

/// An invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeInvoice {
    /// `in_…`
    pub id: String,
    /// `cus_…`
    pub customer_id: Option<String>,
    /// `sub_…`, for one of a subscription.
    pub subscription_id: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    pub status: Option<String>,
    /// `subscription_create`, `subscription_cycle`, ….
    pub billing_reason: Option<String>,
    /// All of it.
    pub total: i64,
    /// What is to be paid.
    pub amount_due: i64,
    /// What was paid.
    pub amount_paid: i64,
    /// Lower case.
    pub currency: String,
    /// What its first line says it is for.
    pub description: Option<String>,
    /// Pieces of its first line.
    pub quantity: i64,
    /// Page of the invoice.
    pub hosted_url: Option<String>,
    /// The invoice as a file.
    pub pdf_url: Option<String>,
    /// `pi_…` by which it was paid.
    pub payment_intent_id: Option<String>,
    /// When it was made.
    pub created: Timestamp,
}

/// A card. Everything but the id may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StripeCard {
    /// `pm_…`
    pub id: String,
    /// `visa`, ….
    pub brand: Option<String>,
    /// Last four digits.
    pub last4: Option<String>,
    /// 1 to 12.
    pub exp_month: Option<i64>,
    /// Four digits.
    pub exp_year: Option<i64>,
}

/// The set-up of a card for later payments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StripeSetupIntent {
    /// `seti_…`
    pub id: String,
    /// `succeeded`, ….
    pub status: String,
    /// `cus_…`
    pub customer_id: Option<String>,
    /// `pm_…` that was set up.
    pub payment_method_id: Option<String>,
}

/// A sort of payment, and whether it is offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StripeMethod {
    /// `card`, `link`, ….
    pub id: String,
    /// It is offered.
    pub enabled: bool,
    /// It can be used.
    pub available: bool,
    /// The account may choose.
    pub overridable: bool,
}

/// Which sorts of payment an account offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StripeMethodConfig {
    /// `pmc_…`
    pub id: String,
    /// In the order that Stripe answers.
    pub methods: Vec<StripeMethod>,
}

/// What opens a payment in a browser.
#[derive(Clone)]
pub struct PaymentSecret {
    /// The subscription or payment intent it is for.
    pub id: String,
    /// For Stripe's own scripts; none when nothing is to be paid or confirmed now.
    pub client_secret: Option<SecretString>,
}

impl fmt::Debug for PaymentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentSecret").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A page that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeCheckout {
    /// `cs_…`
    pub id: String,
    /// Where the browser is sent.
    pub url: String,
}

/// A stretch of a list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripePage<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// More follow after the last one.
    pub has_more: bool,
}
