//! Payments through the real doors, against a server that speaks Stripe's wire format (`tests/stripe`): whatever order its
//! events come in, and however often, what customers have and are told is the same.

mod billing;
mod buying;
mod deleting;
mod graphql;
mod intake;
mod orders;
mod racing;
mod stories;
mod twice;

use postern_fake_stripe::{FakeStripe, sign, stories::catalogue as told};
use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::support::{App, client::Answer, eventually};

const SECRET: &str = "whsec_the-newer-secret-of-two";
const OLD_SECRET: &str = "whsec_the-older-secret-of-two";

/// A project that sells, and the Stripe that it sells through.
struct Shop {
    app: App,
    stripe: FakeStripe,
    account: String,
}

/// What stories are about, and more.
fn catalogue() -> Value {
    let mut config = told();
    config["payments.items"]["calls"] = json!({ "customerType": "custom" });
    let more = json!({
        "seats": {
            "customerType": "user", "stackable": true, "prices": { "monthly": { "USD": "3", "interval": [1, "month"] } },
            "includedItems": { "credits": { "quantity": 10, "repeat": [1, "week"], "expires": "when-purchase-expires" } },
        },
        "calls": { "customerType": "custom", "prices": { "once": { "USD": "1" } }, "includedItems": { "calls": { "quantity": 7 } } },
        "lifetime": {
            "customerType": "user", "productLineId": "plans", "prices": { "once": { "USD": "199" } },
            "includedItems": { "credits": { "quantity": 5000, "expires": "never" } },
        },
        "secret": { "customerType": "user", "serverOnly": true, "prices": { "once": { "USD": "1" } } },
        "euros": { "customerType": "user", "prices": { "once": { "EUR": "1" } } },
        "nothing": { "customerType": "user", "prices": { "once": { "USD": "0" } } },
    });
    config["payments.products"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

impl Shop {
    /// Set up as an owner does it: the account is made by the door, and told all by its owner.
    async fn open() -> Self {
        Self::open_with(&[]).await
    }

    async fn open_with(settings: &[(&str, &str)]) -> Self {
        let stripe = FakeStripe::start().await.unwrap();
        let mut builder = App::builder()
            .set("POSTERN_RATE_LIMITS", "off")
            .set("POSTERN_STRIPE_SECRET_KEY", stripe.secret_key())
            .set("POSTERN_STRIPE_API_BASE", &stripe.url())
            .set("POSTERN_STRIPE_WEBHOOK_SECRET", &format!("{SECRET},{OLD_SECRET}"));
        for (name, value) in settings {
            builder = builder.set(name, value);
        }
        let app = builder.start().await;
        let shop = Self { app, stripe, account: String::new() };
        shop.configure(catalogue()).await;
        let admin = shop.app.rest().admin();
        let url = admin.post("/internal/payments/setup", json!({})).await.json(200)["url"].as_str().unwrap().to_owned();
        assert!(url.starts_with("http"), "{url}");
        let info = admin.get("/internal/payments/stripe/account-info").await.json(200);
        assert_eq!(info["charges_enabled"], false);
        let account = info["account_id"].as_str().unwrap().to_owned();
        shop.stripe.enable_charges(&account).unwrap();
        drop(shop.stripe.take_events());
        Self { account, ..shop }
    }

    async fn configure(&self, config: Value) {
        let body = json!({ "config_override_string": config.to_string() });
        self.app.rest().admin().patch("/internal/config/override/environment", body).await.json(200);
    }

    async fn user(&self, name: &str) -> String {
        let new = json!({ "primary_email": format!("{name}@customers.example"), "primary_email_verified": true });
        self.app.rest().server().post("/users", new).await.json(201)["id"].as_str().unwrap().to_owned()
    }

    async fn url_for(&self, customer: &str, product: &str) -> Answer {
        let body = json!({ "customer_type": "user", "customer_id": customer, "product_id": product });
        self.app.rest().server().post("/payments/purchases/create-purchase-url", body).await
    }

    /// The code of a purchase URL.
    async fn code(&self, customer: &str, product: &str) -> String {
        let url = self.url_for(customer, product).await.json(200)["url"].as_str().unwrap().to_owned();
        url.rsplit_once("/purchase/").unwrap().1.to_owned()
    }

    /// Begins a payment as the page of an application does; answers what it pays: `pi_…`.
    async fn begin(&self, code: &str, price: &str, quantity: i64) -> String {
        let body = json!({ "full_code": code, "price_id": price, "quantity": quantity });
        let answer = self.app.rest().post("/payments/purchases/purchase-session", body).await.json(200);
        let secret = answer["client_secret"].as_str().unwrap();
        secret.split_once("_secret").unwrap().0.to_owned()
    }

    /// Buys once and pays.
    async fn buy(&self, customer: &str, product: &str, quantity: i64) -> String {
        self.scene().buy(customer, product, quantity).await.unwrap()
    }

    /// Subscribes and pays; answers `sub_…`.
    async fn subscribe(&self, customer: &str, product: &str, quantity: i64) -> String {
        self.scene().subscribe(customer, product, quantity).await.unwrap()
    }

    /// Posts an event as Stripe does.
    async fn post(&self, event: &Value) -> Answer {
        let body = event.to_string();
        let signature = sign(body.as_bytes(), SECRET, chrono::Utc::now().timestamp());
        self.post_signed(body, &signature).await
    }

    async fn post_signed(&self, body: String, signature: &str) -> Answer {
        let client = self.app.rest().with("stripe-signature", signature);
        client.raw(Method::POST, "/api/v1/integrations/stripe/webhooks", Some(("application/json", body))).await
    }

    /// Posts whatever Stripe has to tell, in its order.
    async fn deliver_all(&self) {
        let told = self.stripe.take_events();
        self.deliver(&told).await;
    }

    /// What was paid back of these payments, in cents.
    fn paid_back(&self, intents: &[String]) -> Vec<i64> {
        let refunds = self.stripe.refunds(&self.account).into_iter();
        let of_these = |refund: &Value| intents.iter().any(|id| refund["payment_intent"] == id.as_str());
        refunds.filter(of_these).map(|refund| refund["amount"].as_i64().unwrap()).collect()
    }

    /// Posts all events that Stripe has made since, in this order, and waits until all are worked off.
    async fn deliver(&self, events: &[Value]) {
        for event in events {
            assert_eq!(self.post(event).await.json(200), json!({ "received": true }));
        }
        self.settle().await;
    }

    /// Lets jobs of a kind that wait for another try run now.
    async fn bring_forward(&self, kind: &str) {
        let sql = format!("UPDATE job SET due_at = 0 WHERE kind = '{kind}' AND state = 'pending'");
        let sql = &sql;
        self.app.deps().db.write(|tx| async move { Ok(tx.execute_unprepared(sql).await?) }).await.unwrap();
    }

    async fn settle(&self) {
        eventually("all events worked off", async || {
            self.bring_forward("work_stripe_event").await;
            let open = postern_domain::payments::stripe::events::open(self.app.deps(), None).await.unwrap();
            open.is_empty().then_some(())
        })
        .await;
    }

    async fn quantity(&self, customer: &str, item: &str) -> i64 {
        let path = format!("/payments/items/user/{customer}/{item}");
        self.app.rest().server().get(&path).await.json(200)["quantity"].as_i64().unwrap()
    }

    /// What a customer has, as product and quantity.
    async fn products(&self, customer: &str) -> Vec<(String, i64)> {
        let path = format!("/payments/products/user/{customer}?limit=100");
        let page = self.app.rest().server().get(&path).await.json(200);
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| (item["id"].as_str().unwrap_or("-").to_owned(), item["quantity"].as_i64().unwrap())).collect()
    }

    /// Subjects of the mails to a customer, sorted.
    async fn mails(&self, name: &str) -> Vec<String> {
        let path = format!("/mailbox/api/messages?to={name}@customers.example");
        let listed = self.app.rest().raw(Method::GET, &path, None).await.json(200);
        let items = listed["items"].as_array().unwrap().iter();
        let mut subjects: Vec<_> = items.map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect();
        subjects.sort();
        subjects
    }

    /// The same once there are so many: they are sent by another job.
    async fn mails_once(&self, name: &str, count: usize) -> Vec<String> {
        eventually(&format!("{count} mails to {name}"), async || {
            Some(self.mails(name).await).filter(|mails| mails.len() >= count)
        })
        .await
    }

    /// Transactions of a customer, newest first.
    async fn transactions(&self, customer: &str) -> Vec<Value> {
        let path = "/internal/payments/transactions?limit=200";
        let page = self.app.rest().admin().get(path).await.json(200);
        let of_customer = |transaction: &&Value| transaction.to_string().contains(customer);
        page["transactions"].as_array().unwrap().iter().filter(of_customer).cloned().collect()
    }
}
