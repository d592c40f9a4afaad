//! What customers do, told as stories, with all that there must be in the end: told once, for tests that deliver Stripe's events
//! in every order and for drills that kill whoever takes them. Whoever tells a story brings the server that sells.
//!
//! A story has two parts: what happens before ([`Story::prepare`]), and, in some, what the server is asked then
//! ([`Story::act`]), which it can do only once it knows of the first part.

use std::error::Error;

use serde_json::{Value, json};

use crate::{Card, FakeStripe, state::text};

/// Why a story came to no end.
pub type Failure = Box<dyn Error + Send + Sync>;

/// With which key the server is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// None.
    Anybody,
    /// The server key of the project.
    Server,
    /// Its admin key.
    Admin,
}

/// A call of the server, below `/api/v1`.
#[derive(Clone, Debug)]
pub struct Call {
    /// By whom.
    pub by: Caller,
    /// `GET`, `POST`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// With its query.
    pub path: String,
    /// JSON; null for none.
    pub body: Value,
}

/// The server that sells.
pub trait Seller {
    /// Calls it; answers the JSON of a success.
    fn call(&self, call: &Call) -> impl Future<Output = Result<Value, Failure>>;
    /// Posts to it what Stripe has to tell until now, and waits until that is worked off.
    fn catch_up(&self) -> impl Future<Output = Result<(), Failure>>;
}

/// Where stories happen: [`catalogue`] is what is sold there.
#[derive(Debug)]
pub struct Scene<'a, S> {
    /// The server.
    pub seller: &'a S,
    /// Where is paid.
    pub stripe: &'a FakeStripe,
    /// The account that the project sells through; it can take payments.
    pub account: &'a str,
}

/// What somebody does who buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// Three packs, paid once.
    Once,
    /// A plan that is paid and renewed three times.
    Renewed,
    /// A plan that is changed into a dearer one.
    Upgraded,
    /// A plan that ends with its period, which goes on.
    Cancelled,
    /// A plan that is ended by a call, and owned until its period is over.
    Ended,
    /// A plan of which the paid period is over; it was bought before the project sold through its account.
    Over,
    /// A card that does not pay.
    Declined,
    /// A plan that was paid, and then not any more until Stripe gave up.
    GivenUp,
    /// A payment that the customer's bank takes back.
    Disputed,
    /// A plan that nobody has paid.
    Incomplete,
    /// Three packs of which two are paid back.
    PartlyRefunded,
    /// A plan that is paid back.
    Refunded,
    /// Something that one can have once, paid at two URLs.
    PaidTwice,
}

/// What there must be in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Of the item that subscriptions grant.
    pub credits: i64,
    /// Of the item that one-time purchases grant.
    pub coins: i64,
    /// What the customer has, by key, and how many of it.
    pub products: &'static [(&'static str, i64)],
    /// Purchases and renewals that are listed.
    pub transactions: usize,
    /// Of these, those that were paid back.
    pub refunded: usize,
    /// Mails that say what was paid.
    pub receipts: usize,
    /// Mails that say what was not.
    pub failures: usize,
    /// What was paid back at Stripe, in cents.
    pub paid_back: i64,
}

const DAY: i64 = 24 * 60 * 60;

fn plan(name: &str, usd: &str, credits: i64) -> Value {
    json!({
        "displayName": name, "customerType": "user", "productLineId": "plans",
        "prices": { "monthly": { "USD": usd, "interval": [1, "month"] } },
        "includedItems": { "credits": { "quantity": credits, "repeat": [1, "month"], "expires": "when-repeated" } },
    })
}

/// The config of a project in which all stories can happen.
#[must_use]
pub fn catalogue() -> Value {
    json!({
        "payments.testMode": false,
        "payments.items": { "credits": { "customerType": "user" }, "coins": { "customerType": "user" } },
        "payments.productLines.plans": { "customerType": "user" },
        "payments.products": {
            "basic": plan("Basic", "9", 100),
            "pro": plan("Pro", "19.99", 1000),
            "pack": {
                "displayName": "Pack of coins", "customerType": "user", "stackable": true,
                "prices": { "once": { "USD": "4.99", "JPY": "700" } },
                "includedItems": { "coins": { "quantity": 10, "expires": "never" } },
            },
            "weekly": {
                "displayName": "Coins for ever", "customerType": "user", "prices": { "once": { "USD": "49" } },
                "includedItems": { "coins": { "quantity": 5, "repeat": [1, "week"], "expires": "never" } },
            },
        },
    })
}

impl Story {
    /// All there are.
    pub const ALL: [Self; 13] = [
        Self::Once,
        Self::Renewed,
        Self::Upgraded,
        Self::Cancelled,
        Self::Ended,
        Self::Over,
        Self::Declined,
        Self::GivenUp,
        Self::Disputed,
        Self::Incomplete,
        Self::PartlyRefunded,
        Self::Refunded,
        Self::PaidTwice,
    ];

    /// What it is called: good for a part of an address.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Renewed => "renewed",
            Self::Upgraded => "upgraded",
            Self::Cancelled => "cancelled",
            Self::Ended => "ended",
            Self::Over => "over",
            Self::Declined => "declined",
            Self::GivenUp => "given-up",
            Self::Disputed => "disputed",
            Self::Incomplete => "incomplete",
            Self::PartlyRefunded => "partly-refunded",
            Self::Refunded => "refunded",
            Self::PaidTwice => "paid-twice",
        }
    }

    /// How it ends: by the contract, not by what the server answers.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        let paid = Outcome { transactions: 1, receipts: 1, ..Outcome::default() };
        let basic = Outcome { credits: 100, products: &[("basic", 1)], ..paid };
        match self {
            Self::Once => Outcome { coins: 30, products: &[("pack", 3)], ..paid },
            Self::Renewed => Outcome { transactions: 4, receipts: 4, ..basic },
            Self::Upgraded => Outcome { credits: 1000, products: &[("pro", 1)], transactions: 2, receipts: 2, ..paid },
            Self::Cancelled | Self::Ended => basic,
            // Whoever sold through the account then has told of it.
            Self::Over => Outcome { receipts: 0, ..paid },
            Self::Declined => Outcome { failures: 1, ..Outcome::default() },
            Self::GivenUp => Outcome { failures: 1, ..paid },
            Self::Disputed => Outcome { coins: 10, products: &[("pack", 1)], ..paid },
            Self::Incomplete => Outcome::default(),
            // What was granted stays.
            Self::PartlyRefunded => {
                Outcome { coins: 30, products: &[("pack", 1)], refunded: 1, paid_back: 998, ..paid }
            }
            Self::Refunded => Outcome { credits: 100, refunded: 1, paid_back: 900, ..paid },
            Self::PaidTwice => {
                Outcome { coins: 5, products: &[("weekly", 1)], transactions: 2, refunded: 1, paid_back: 4900, ..paid }
            }
        }
    }

    /// What happens before the server is asked for anything but URLs.
    ///
    /// # Errors
    /// Those of the server and of Stripe.
    pub async fn prepare<S: Seller>(self, scene: &Scene<'_, S>, customer: &str) -> Result<(), Failure> {
        let (stripe, account) = (scene.stripe, scene.account);
        match self {
            Self::Once | Self::PartlyRefunded => drop(scene.buy(customer, "pack", 3).await?),
            Self::Renewed => {
                let id = scene.subscribe(customer, "basic", 1).await?;
                for _ in 0..3 {
                    stripe.renew(account, &id)?;
                }
            }
            Self::Upgraded => {
                scene.subscribe(customer, "basic", 1).await?;
                scene.add_card(customer).await?;
            }
            Self::Ended | Self::Refunded => drop(scene.subscribe(customer, "basic", 1).await?),
            Self::Cancelled => {
                let id = scene.subscribe(customer, "basic", 1).await?;
                stripe.cancel_at_period_end(account, &id)?;
            }
            Self::Over => {
                let now = stripe.now();
                stripe.set_now(now - 40 * DAY);
                let id = scene.subscribe(customer, "basic", 1).await?;
                stripe.cancel_at_period_end(account, &id)?;
                stripe.set_now(now);
                stripe.reach_period_end(account, &id)?;
            }
            Self::Declined => {
                let intent = scene.begin(customer, "pack", "once", 1).await?;
                stripe.fail_intent(account, &intent, "Your card was declined.")?;
            }
            Self::GivenUp => {
                let id = scene.subscribe(customer, "basic", 1).await?;
                stripe.fail_renewal(account, &id)?;
                stripe.fail_renewal(account, &id)?;
                stripe.give_up(account, &id)?;
            }
            Self::Disputed => {
                let intent = scene.buy(customer, "pack", 1).await?;
                stripe.dispute(account, &intent)?;
            }
            Self::Incomplete => drop(scene.begin(customer, "basic", "monthly", 1).await?),
            Self::PaidTwice => {
                let first = scene.begin(customer, "weekly", "once", 1).await?;
                let second = scene.begin(customer, "weekly", "once", 1).await?;
                stripe.pay_intent(account, &first)?;
                stripe.pay_intent(account, &second)?;
            }
        }
        Ok(())
    }

    /// What the server is asked then, if anything; it must know of everything that happened before.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn act<S: Seller>(self, scene: &Scene<'_, S>, customer: &str) -> Result<Option<Call>, Failure> {
        let products = format!("/payments/products/user/{customer}");
        Ok(match self {
            Self::Upgraded => Some(Call {
                by: Caller::Server,
                method: "POST",
                path: format!("{products}/switch"),
                body: json!({ "from_product_id": "basic", "to_product_id": "pro" }),
            }),
            Self::Ended => Some(Call {
                by: Caller::Server,
                method: "DELETE",
                path: format!("{products}/basic"),
                body: Value::Null,
            }),
            Self::PartlyRefunded => Some(scene.refund(customer, "one-time-purchase", 2, "9.98").await?),
            Self::Refunded => Some(scene.refund(customer, "subscription", 1, "9").await?),
            _ => None,
        })
    }

    /// Whether there is an act.
    #[must_use]
    pub const fn acts(self) -> bool {
        matches!(self, Self::Upgraded | Self::Ended | Self::PartlyRefunded | Self::Refunded)
    }
}

impl<S: Seller> Scene<'_, S> {
    /// Begins a payment as the page of an application does; answers what it pays: `pi_…`.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn begin(&self, customer: &str, product: &str, price: &str, quantity: i64) -> Result<String, Failure> {
        let body = json!({ "customer_type": "user", "customer_id": customer, "product_id": product });
        let made = self.post(Caller::Server, "/payments/purchases/create-purchase-url", body).await?;
        let code = text(&made, "/url").rsplit_once("/purchase/").ok_or("no purchase URL")?.1;
        let body = json!({ "full_code": code, "price_id": price, "quantity": quantity });
        let begun = self.post(Caller::Anybody, "/payments/purchases/purchase-session", body).await?;
        Ok(text(&begun, "/client_secret").split_once("_secret").ok_or("no client secret")?.0.to_owned())
    }

    /// Buys once and pays; answers `pi_…`.
    ///
    /// # Errors
    /// Those of the server and of Stripe.
    pub async fn buy(&self, customer: &str, product: &str, quantity: i64) -> Result<String, Failure> {
        let intent = self.begin(customer, product, "once", quantity).await?;
        self.stripe.pay_intent(self.account, &intent)?;
        Ok(intent)
    }

    /// Subscribes and pays; answers `sub_…`.
    ///
    /// # Errors
    /// Those of the server and of Stripe.
    pub async fn subscribe(&self, customer: &str, product: &str, quantity: i64) -> Result<String, Failure> {
        let before = self.stripe.subscriptions(self.account).len();
        self.begin(customer, product, "monthly", quantity).await?;
        let subscriptions = self.stripe.subscriptions(self.account);
        let made = subscriptions.get(before).ok_or("no subscription was made")?;
        let id = text(made, "/id").to_owned();
        self.stripe.pay_subscription(self.account, &id)?;
        Ok(id)
    }

    /// A card for later.
    async fn add_card(&self, customer: &str) -> Result<(), Failure> {
        let path = format!("/payments/payment-method/user/{customer}");
        let setup = self.post(Caller::Server, &format!("{path}/setup-intent"), json!({})).await?;
        let id = text(&setup, "/client_secret").split_once("_secret").ok_or("no client secret")?.0.to_owned();
        self.stripe.confirm_setup_intent(self.account, &id, &Card::default())?;
        self.post(Caller::Server, &format!("{path}/set-default"), json!({ "setup_intent_id": id })).await?;
        Ok(())
    }

    async fn refund(&self, customer: &str, kind: &str, quantity: i64, amount: &str) -> Result<Call, Failure> {
        let path = format!("/internal/payments/transactions?customer_type=user&customer_id={customer}");
        let listed = Call { by: Caller::Admin, method: "GET", path, body: Value::Null };
        let listed = self.seller.call(&listed).await?;
        let entry = json!({ "entry_index": 0, "quantity": quantity, "amount_usd": amount });
        let id = listed.pointer("/transactions/0/id").ok_or("no transaction to refund")?;
        Ok(Call {
            by: Caller::Admin,
            method: "POST",
            path: "/internal/payments/transactions/refund".to_owned(),
            body: json!({ "type": kind, "id": id, "refund_entries": [entry] }),
        })
    }

    async fn post(&self, by: Caller, path: &str, body: Value) -> Result<Value, Failure> {
        self.seller.call(&Call { by, method: "POST", path: path.to_owned(), body }).await
    }
}
