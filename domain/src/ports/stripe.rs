//! Stripe, as far as payments need it. Every project sells through a connected account of its own, so every call but the ones
//! that make accounts names one. Amounts are whole minor units of their currency; metadata is text to text.
//!
//! Calls that change something carry a key: the same key and the same arguments have their effect once, however often they
//! are called within a day (Stripe: idempotent requests).

mod objects;
mod requests;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use postern_entity::Timestamp;
use secrecy::SecretString;
use serde_json::Value;

pub use self::{
    objects::{
        PaymentSecret, StripeAccount, StripeCard, StripeCheckout, StripeCustomer, StripeInvoice, StripeMethod,
        StripeMethodConfig, StripePage, StripePaymentIntent, StripeSetupIntent, StripeSubscription,
    },
    requests::{
        BillingUnit, CheckoutOf, NewCheckout, NewPaymentIntent, NewSubscription, RecurringPrice, SubscriptionChange,
    },
};

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
    /// Changes what a subscription is for, paid at once by the card that is there, or not at all (`error_if_incomplete`).
    async fn change_subscription(
        &self,
        account_id: &str,
        id: &str,
        change: &SubscriptionChange,
        key: &str,
    ) -> Result<(), StripeError>;
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
    /// Closes the pages that are open for a customer and sell this product, by what their metadata says (`productId`). One that is
    /// being paid stays open. Answers how many were closed.
    async fn close_checkouts(
        &self,
        account_id: &str,
        customer_id: &str,
        product_id: &str,
    ) -> Result<usize, StripeError>;

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
