//! Each call of the port over HTTP against a Stripe API of our own, and some against one of others.

// Helpers outside test functions unwrap as tests do; clippy knows by this that they are tests.
#![cfg(test)]

mod accounts;
mod checkout;
mod customers;
mod errors;
mod events;
mod localstripe;
mod payments;
mod shapes;
mod subscriptions;

use std::{collections::BTreeMap, sync::Arc};

use postern_domain::ports::stripe::{
    BillingUnit, Metadata, NewPaymentIntent, NewSubscription, RecurringPrice, Stripe, StripeCustomer,
};
use postern_fake_stripe::FakeStripe;
use postern_outside::{address::Addresses, http::OutgoingHttp};
use postern_outside_stripe::StripeClient;

/// A fake with one account that can take payments, and the client.
struct Shop {
    fake: FakeStripe,
    stripe: StripeClient,
    account: String,
}

fn client(fake: &FakeStripe, key: &str) -> StripeClient {
    connected_to(&fake.url(), key)
}

fn connected_to(url: &str, key: &str) -> StripeClient {
    let http = Arc::new(OutgoingHttp::new(Addresses::anywhere()).unwrap());
    StripeClient::new(http, &key.into(), &url.parse().unwrap()).unwrap()
}

impl Shop {
    async fn open() -> Self {
        let fake = FakeStripe::start().await.unwrap();
        let stripe = client(&fake, fake.secret_key());
        let account = fake.account(&[("tenancyId", "t1")]);
        fake.enable_charges(&account).unwrap();
        fake.take_events();
        Self { fake, stripe, account }
    }

    async fn customer(&self, id: &str) -> StripeCustomer {
        let metadata = metadata(&[("customerId", id), ("customerType", "USER")]);
        self.stripe.create_customer(&self.account, &metadata, &format!("customer-{id}")).await.unwrap()
    }

    /// A customer who has a monthly subscription of 2 × 10.00 that is paid; both ids.
    async fn subscriber(&self) -> (String, String) {
        let customer = self.customer("u1").await.id;
        let new = NewSubscription {
            customer_id: customer.clone(),
            price: monthly(1000),
            quantity: 2,
            trial_days: 0,
            metadata: metadata(&[("productId", "pro"), ("priceId", "monthly")]),
        };
        let made = self.stripe.create_subscription(&self.account, &new, "subscriber").await.unwrap();
        self.fake.pay_subscription(&self.account, &made.id).unwrap();
        (customer, made.id)
    }

    /// A payment of 25.00 that is made; the id of its intent.
    async fn paid(&self) -> String {
        let new = self.payment().await;
        let made = self.stripe.create_payment_intent(&self.account, &new, "paid").await.unwrap();
        self.fake.pay_intent(&self.account, &made.id).unwrap();
        made.id
    }

    async fn payment(&self) -> NewPaymentIntent {
        NewPaymentIntent {
            amount: 2500,
            currency: "usd".to_owned(),
            customer_id: self.customer("u1").await.id,
            metadata: metadata(&[("purchaseKind", "ONE_TIME"), ("purchaseQuantity", "1"), ("productId", "book")]),
        }
    }

    /// Types of the events since the last call.
    fn told(&self) -> Vec<String> {
        self.fake.take_events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }
}

fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
}

fn monthly(unit_amount: i64) -> RecurringPrice {
    RecurringPrice {
        product_name: "Pro".to_owned(),
        unit_amount,
        currency: "usd".to_owned(),
        interval_count: 1,
        interval: BillingUnit::Month,
    }
}
