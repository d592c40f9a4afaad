//! Stripe behind the domain's port, with the core of async-stripe. A crate of its own, because that library's object types take
//! half a minute to compile, and its tests' a minute.
//!
//! What is asked is spelled in the module `spelling`, and its tests compare every call with what async-stripe's own request of that
//! name makes of the same values, so a parameter that Stripe does not have fails a test. Its requests themselves are not in the
//! program: they take a minute to compile and two megabytes. A call is sent by the HTTP client of all outgoing calls, bounded in time
//! and size, whose connections are kept. What is answered is read by small types of ours that know only the fields the port needs:
//! async-stripe's own refuse an answer for one field of another shape, errors included, and an account's objects are made by other
//! programs, too; reading them makes the program five megabytes larger. Both belong to the API version that
//! async-stripe names in its calls: since the versions of 2025 a subscription's period is that of its item, an invoice's
//! subscription is under `parent`, and its payments are a list.
//!
//! One call is one request: the queue tries again, and does not lose count when the process ends.
//!
//! To add a call: how it is spelled, with its test; a function in the module of its object, a line in the port's implementation
//! below, and what it needs in the fake server of `tests/stripe`.

mod accounts;
mod call;
mod cards;
mod checkout;
mod customers;
mod error;
mod events;
mod invoices;
mod methods;
mod payments;
mod read;
mod spelling;
mod subscriptions;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use postern_domain::ports::{
    http::HttpClient,
    stripe::{
        Metadata, NewCheckout, NewPaymentIntent, NewSubscription, PaymentSecret, Stripe, StripeAccount, StripeCard,
        StripeCheckout, StripeCustomer, StripeError, StripeInvoice, StripeMethodConfig, StripePage,
        StripePaymentIntent, StripeSetupIntent, StripeSubscription, SubscriptionChange,
    },
};
use postern_entity::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

/// How long one call may take. Stripe's own slowest take a few seconds.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Stripe, as one installation calls it. Cheap to share.
#[derive(Clone)]
pub struct StripeClient {
    http: Arc<dyn HttpClient>,
    secret_key: SecretString,
    api_base: Url,
    timeout: Duration,
}

/// The key cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("Stripe: the secret key holds characters that no key has")]
pub struct BadKey;

impl fmt::Debug for StripeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeClient").field("api_base", &self.api_base.as_str()).finish_non_exhaustive()
    }
}

impl StripeClient {
    /// Stripe at `api_base` (`https://api.stripe.com`), called with the installation's secret key.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn new(http: Arc<dyn HttpClient>, secret_key: &SecretString, api_base: &Url) -> Result<Self, BadKey> {
        if !secret_key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadKey);
        }
        Ok(Self { http, secret_key: secret_key.clone(), api_base: api_base.clone(), timeout: TIMEOUT })
    }
}

#[async_trait]
impl Stripe for StripeClient {
    async fn create_account(&self, metadata: &Metadata, key: &str) -> Result<StripeAccount, StripeError> {
        accounts::create(self, metadata, key).await
    }

    async fn account(&self, account_id: &str) -> Result<StripeAccount, StripeError> {
        accounts::retrieve(self, account_id).await
    }

    async fn onboarding_url(
        &self,
        account_id: &str,
        return_url: &str,
        refresh_url: &str,
    ) -> Result<String, StripeError> {
        accounts::onboarding_url(self, account_id, return_url, refresh_url).await
    }

    async fn account_session(&self, account_id: &str) -> Result<SecretString, StripeError> {
        accounts::session(self, account_id).await
    }

    async fn customer(&self, account_id: &str, customer_id: &str) -> Result<StripeCustomer, StripeError> {
        customers::retrieve(self, account_id, customer_id).await
    }

    async fn find_customer(
        &self,
        account_id: &str,
        customer_id: &str,
        customer_type: &str,
    ) -> Result<Option<StripeCustomer>, StripeError> {
        customers::find(self, account_id, customer_id, customer_type).await
    }

    async fn create_customer(
        &self,
        account_id: &str,
        metadata: &Metadata,
        key: &str,
    ) -> Result<StripeCustomer, StripeError> {
        customers::create(self, account_id, metadata, key).await
    }

    async fn create_payment_intent(
        &self,
        account_id: &str,
        new: &NewPaymentIntent,
        key: &str,
    ) -> Result<PaymentSecret, StripeError> {
        payments::create(self, account_id, new, key).await
    }

    async fn payment_intent(&self, account_id: &str, id: &str) -> Result<StripePaymentIntent, StripeError> {
        payments::retrieve(self, account_id, id).await
    }

    async fn create_subscription(
        &self,
        account_id: &str,
        new: &NewSubscription,
        key: &str,
    ) -> Result<PaymentSecret, StripeError> {
        subscriptions::create(self, account_id, new, key).await
    }

    async fn subscription_item(&self, account_id: &str, id: &str) -> Result<String, StripeError> {
        subscriptions::item(self, account_id, id).await
    }

    async fn change_subscription(
        &self,
        account_id: &str,
        id: &str,
        change: &SubscriptionChange,
        key: &str,
    ) -> Result<(), StripeError> {
        subscriptions::change(self, account_id, id, change, key).await
    }

    async fn reduce_subscription(
        &self,
        account_id: &str,
        id: &str,
        quantity: i64,
        key: &str,
    ) -> Result<(), StripeError> {
        subscriptions::reduce(self, account_id, id, quantity, key).await
    }

    async fn cancel_subscription(&self, account_id: &str, id: &str, key: &str) -> Result<(), StripeError> {
        subscriptions::cancel(self, account_id, id, key).await
    }

    async fn subscriptions(&self, account_id: &str, customer_id: &str) -> Result<Vec<StripeSubscription>, StripeError> {
        subscriptions::of_customer(self, account_id, customer_id).await
    }

    async fn invoice(&self, account_id: &str, id: &str) -> Result<StripeInvoice, StripeError> {
        invoices::retrieve(self, account_id, id).await
    }

    async fn invoices(
        &self,
        account_id: &str,
        customer_id: &str,
        after: Option<&str>,
        limit: u8,
    ) -> Result<StripePage<StripeInvoice>, StripeError> {
        invoices::of_customer(self, account_id, customer_id, after, limit).await
    }

    async fn refund(
        &self,
        account_id: &str,
        payment_intent_id: &str,
        amount: i64,
        metadata: &Metadata,
        key: &str,
    ) -> Result<String, StripeError> {
        payments::refund(self, account_id, payment_intent_id, amount, metadata, key).await
    }

    async fn cards(&self, account_id: &str, customer_id: &str) -> Result<Vec<StripeCard>, StripeError> {
        cards::of_customer(self, account_id, customer_id).await
    }

    async fn create_setup_intent(&self, account_id: &str, customer_id: &str) -> Result<SecretString, StripeError> {
        cards::create_setup(self, account_id, customer_id).await
    }

    async fn setup_intent(&self, account_id: &str, id: &str) -> Result<StripeSetupIntent, StripeError> {
        cards::setup(self, account_id, id).await
    }

    async fn set_default_card(
        &self,
        account_id: &str,
        customer_id: &str,
        payment_method_id: &str,
        metadata: &Metadata,
    ) -> Result<(), StripeError> {
        customers::set_default_card(self, account_id, customer_id, payment_method_id, metadata).await
    }

    async fn methods(&self, account_id: &str) -> Result<StripeMethodConfig, StripeError> {
        methods::retrieve(self, account_id).await
    }

    async fn set_methods(
        &self,
        account_id: &str,
        config_id: &str,
        updates: &BTreeMap<String, bool>,
    ) -> Result<(), StripeError> {
        methods::update(self, account_id, config_id, updates).await
    }

    async fn create_checkout(
        &self,
        account_id: &str,
        new: &NewCheckout,
        key: &str,
    ) -> Result<StripeCheckout, StripeError> {
        checkout::create(self, account_id, new, key).await
    }

    async fn close_checkouts(
        &self,
        account_id: &str,
        customer_id: &str,
        product_id: &str,
    ) -> Result<usize, StripeError> {
        checkout::close(self, account_id, customer_id, product_id).await
    }

    async fn events(
        &self,
        account_id: &str,
        since: Timestamp,
        until: Option<Timestamp>,
        after: Option<&str>,
    ) -> Result<StripePage<Value>, StripeError> {
        events::between(self, account_id, since, until, after).await
    }

    async fn check(&self) -> Result<(), StripeError> {
        accounts::check(self).await
    }
}

#[cfg(test)]
mod tests {
    use postern_outside::{address::Addresses, http::OutgoingHttp};

    use super::*;

    fn client(key: &str, api_base: &str) -> Result<StripeClient, BadKey> {
        let http = Arc::new(OutgoingHttp::new(Addresses::anywhere()).unwrap());
        StripeClient::new(http, &key.into(), &api_base.parse().unwrap())
    }

    #[test]
    fn no_key_shows_and_bad_ones_are_refused() {
        let shown = format!("{:?}", client("sk_test_the-key", "https://api.stripe.com").unwrap());
        assert!(shown.contains("api.stripe.com") && !shown.contains("the-key"), "{shown}");
        let error = client("sk_test_\nthe-key", "https://api.stripe.com").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("the-key"));
    }

    #[tokio::test]
    async fn nobody_waits_for_an_answer_for_ever() {
        // Takes connections, says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = client("sk_test_key", &format!("http://{}", silent.local_addr().unwrap())).unwrap();
        client.timeout = Duration::from_millis(50);
        let error = client.check().await.unwrap_err();
        assert_eq!(error, StripeError::Unavailable("no answer in time".to_owned()));
    }
}
