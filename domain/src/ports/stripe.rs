//! Stripe, as far as payments need it. Every project sells through a connected account of its own, so every call but the ones
//! that make accounts names one. Amounts are whole minor units of their currency; metadata is text to text.
//!
//! Calls that change something carry a key: the same key and the same arguments have their effect once, however often they
//! are called within a day (Stripe: idempotent requests).

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use postern_entity::Timestamp;
use secrecy::SecretString;
use serde_json::Value;

/// Metadata of an object.
pub type Metadata = BTreeMap<String, String>;

/// Why Stripe did not do what it was asked, in a sentence that never holds a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StripeError {
    /// It may do so later: it was not reached, did not answer in time, limits us (429), is still at the same call (409), or
    /// has a fault of its own. It may have done it all the same; the same key finds out.
    #[error("Stripe is not available: {0}")]
    Unavailable(String),
    /// There is no such object in that account, or no such account.
    #[error("Stripe does not know it: {0}")]
    NotFound(String),
    /// Asking again will not help: a card was declined, an amount is too small, an object is in another state.
    #[error("Stripe refused: {message}")]
    Refused {
        /// Stripe's code, such as `card_declined` or `charge_already_refunded`; empty when it gave none.
        code: String,
        /// Stripe's words.
        message: String,
    },
    /// The installation's key is wrong or may not do this: an operator's business.
    #[error("Stripe does not take the installation's key: {0}")]
    Unauthorized(String),
}

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

/// What can be paid, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPaymentIntent {
    /// All of it.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// `cus_…`
    pub customer_id: String,
    /// To be found on it later.
    pub metadata: Metadata,
}

/// What is paid again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BillingUnit {
    /// Every day.
    Day,
    /// Every week.
    Week,
    /// Every month.
    #[default]
    Month,
    /// Every year.
    Year,
}

/// A recurring price, made on the spot with a product of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecurringPrice {
    /// What the product is called on invoices.
    pub product_name: String,
    /// Minor units of one piece.
    pub unit_amount: i64,
    /// Lower case.
    pub currency: String,
    /// Every so many.
    pub interval_count: u32,
    /// Of these.
    pub interval: BillingUnit,
}

/// A subscription to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSubscription {
    /// `cus_…`
    pub customer_id: String,
    /// What it costs.
    pub price: RecurringPrice,
    /// How many pieces.
    pub quantity: i64,
    /// Days before the first payment; 0 for none.
    pub trial_days: u32,
    /// To be found on it later.
    pub metadata: Metadata,
}

/// How a changed subscription is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentBehavior {
    /// The customer confirms on a page (`default_incomplete`).
    Confirm,
    /// By the card that is there, or not at all (`error_if_incomplete`).
    AtOnce,
}

/// What a subscription is changed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// `si_…`
    pub item_id: String,
    /// What it costs from now on.
    pub price: RecurringPrice,
    /// How many pieces.
    pub quantity: i64,
    /// To be found on it later, in place of what was there.
    pub metadata: Metadata,
    /// How it is paid for.
    pub payment: PaymentBehavior,
}

/// What opens a payment in a browser.
#[derive(Clone)]
pub struct PaymentSecret {
    /// The subscription or payment intent it is for.
    pub id: String,
    /// For Stripe's own scripts; none when nothing is to be paid or confirmed now.
    pub client_secret: Option<SecretString>,
}

/// What a page of Stripe's own is to sell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckoutOf {
    /// Once; `product_name` and the amount of one piece.
    OneTime {
        /// What is bought.
        product_name: String,
        /// Minor units of one piece.
        unit_amount: i64,
        /// Lower case.
        currency: String,
    },
    /// Again and again.
    Subscription {
        /// What it costs.
        price: RecurringPrice,
        /// Days before the first payment; 0 for none.
        trial_days: u32,
    },
}

/// A page of Stripe's own that is to be opened (Checkout Session).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCheckout {
    /// `cus_…`
    pub customer_id: String,
    /// What is sold.
    pub of: CheckoutOf,
    /// How many pieces.
    pub quantity: i64,
    /// To be found on the payment intent or subscription later.
    pub metadata: Metadata,
    /// Where the browser goes when it is paid.
    pub success_url: String,
    /// Where the browser goes when its user turns back.
    pub cancel_url: String,
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

/// The calls.
#[async_trait]
pub trait Stripe: Send + Sync + fmt::Debug {
    /// Makes a connected account in the US without a dashboard of Stripe's, asking for `card_payments` and `transfers`.
    async fn create_account(&self, metadata: &Metadata, key: &str) -> Result<StripeAccount, StripeError>;
    /// A connected account.
    async fn account(&self, account_id: &str) -> Result<StripeAccount, StripeError>;
    /// A page on which its owner tells Stripe what it asks; comes back to `return_url`, or to `refresh_url` when it is too old.
    async fn onboarding_url(
        &self,
        account_id: &str,
        return_url: &str,
        refresh_url: &str,
    ) -> Result<String, StripeError>;
    /// What opens Stripe's components for the account in a browser.
    async fn account_session(&self, account_id: &str) -> Result<SecretString, StripeError>;

    /// A customer by its id; deleted ones are not found.
    async fn customer(&self, account_id: &str, customer_id: &str) -> Result<StripeCustomer, StripeError>;
    /// A customer whose metadata says `customerId` and `customerType`: by search, and because that is a minute behind, in the
    /// newest thousand.
    async fn find_customer(
        &self,
        account_id: &str,
        customer_id: &str,
        customer_type: &str,
    ) -> Result<Option<StripeCustomer>, StripeError>;
    /// Makes a customer.
    async fn create_customer(
        &self,
        account_id: &str,
        metadata: &Metadata,
        key: &str,
    ) -> Result<StripeCustomer, StripeError>;

    /// Makes a payment intent with automatic methods.
    async fn create_payment_intent(
        &self,
        account_id: &str,
        new: &NewPaymentIntent,
        key: &str,
    ) -> Result<PaymentSecret, StripeError>;
    /// A payment intent, with its latest charge.
    async fn payment_intent(&self, account_id: &str, id: &str) -> Result<StripePaymentIntent, StripeError>;

    /// Makes a subscription that its customer confirms (`default_incomplete`, the card saved on it).
    async fn create_subscription(
        &self,
        account_id: &str,
        new: &NewSubscription,
        key: &str,
    ) -> Result<PaymentSecret, StripeError>;
    /// `si_…` of the first item of a subscription.
    async fn subscription_item(&self, account_id: &str, id: &str) -> Result<String, StripeError>;
    /// Changes what a subscription is for.
    async fn change_subscription(
        &self,
        account_id: &str,
        id: &str,
        change: &SubscriptionChange,
        key: &str,
    ) -> Result<PaymentSecret, StripeError>;
    /// Lowers how many pieces are paid for, without paying back; at 0 the subscription ends with its period instead.
    async fn reduce_subscription(
        &self,
        account_id: &str,
        id: &str,
        quantity: i64,
        key: &str,
    ) -> Result<(), StripeError>;
    /// Ends a subscription now. One that has ended is well.
    async fn cancel_subscription(&self, account_id: &str, id: &str, key: &str) -> Result<(), StripeError>;
    /// All subscriptions of a customer, in any state, through all pages.
    async fn subscriptions(&self, account_id: &str, customer_id: &str) -> Result<Vec<StripeSubscription>, StripeError>;

    /// An invoice.
    async fn invoice(&self, account_id: &str, id: &str) -> Result<StripeInvoice, StripeError>;
    /// Invoices of a customer, at most a hundred after the one with the id `after`.
    async fn invoices(
        &self,
        account_id: &str,
        customer_id: &str,
        after: Option<&str>,
        limit: u8,
    ) -> Result<StripePage<StripeInvoice>, StripeError>;

    /// Pays back a part of a payment; answers the id of the refund.
    async fn refund(
        &self,
        account_id: &str,
        payment_intent_id: &str,
        amount: i64,
        metadata: &Metadata,
        key: &str,
    ) -> Result<String, StripeError>;

    /// The cards of a customer, at most a hundred, newest first.
    async fn cards(&self, account_id: &str, customer_id: &str) -> Result<Vec<StripeCard>, StripeError>;
    /// Begins the set-up of a card for payments without its owner (`off_session`); answers its client secret.
    async fn create_setup_intent(&self, account_id: &str, customer_id: &str) -> Result<SecretString, StripeError>;
    /// A set-up.
    async fn setup_intent(&self, account_id: &str, id: &str) -> Result<StripeSetupIntent, StripeError>;
    /// Makes a card the one that invoices are paid by, and adds metadata.
    async fn set_default_card(
        &self,
        account_id: &str,
        customer_id: &str,
        payment_method_id: &str,
        metadata: &Metadata,
    ) -> Result<(), StripeError>;

    /// Which sorts of payment the account offers: its default configuration.
    async fn methods(&self, account_id: &str) -> Result<StripeMethodConfig, StripeError>;
    /// Switches sorts of payment on or off.
    async fn set_methods(
        &self,
        account_id: &str,
        config_id: &str,
        updates: &BTreeMap<String, bool>,
    ) -> Result<(), StripeError>;

    /// Opens a page of Stripe's own.
    async fn create_checkout(
        &self,
        account_id: &str,
        new: &NewCheckout,
        key: &str,
    ) -> Result<StripeCheckout, StripeError>;

    /// Events of an account since an instant and before another one, in whole seconds: at most a hundred after the one with the
    /// id `after`, newest first, as Stripe posts them. Stripe keeps them for 30 days.
    async fn events(
        &self,
        account_id: &str,
        since: Timestamp,
        until: Option<Timestamp>,
        after: Option<&str>,
    ) -> Result<StripePage<Value>, StripeError>;

    /// Whether Stripe answers and takes the key, without changing anything.
    async fn check(&self) -> Result<(), StripeError>;
}

impl fmt::Debug for PaymentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentSecret").field("id", &self.id).finish_non_exhaustive()
    }
}
