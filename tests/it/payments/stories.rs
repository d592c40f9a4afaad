//! What customers do, and how it ends.

use std::pin::Pin;

use postern_fake_stripe::Card;
use reqwest::header;
use serde_json::json;

use super::Shop;

type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A story, and what there is in the end.
pub(super) struct Story {
    pub(super) name: &'static str,
    pub(super) run: for<'a> fn(&'a Shop, &'a str) -> Running<'a>,
    pub(super) credits: i64,
    pub(super) coins: i64,
    pub(super) products: &'static [(&'static str, i64)],
    /// Purchases and renewals.
    pub(super) transactions: usize,
    pub(super) receipts: usize,
    pub(super) failures: usize,
}

const NOTHING: Story = Story {
    name: "",
    run: |_, _| Box::pin(async {}),
    credits: 0,
    coins: 0,
    products: &[],
    transactions: 0,
    receipts: 0,
    failures: 0,
};

pub(super) const ALL: &[Story] = &[
    Story {
        name: "once",
        run: |shop, customer| Box::pin(async move { drop(shop.buy(customer, "pack", 3).await) }),
        coins: 30,
        products: &[("pack", 3)],
        transactions: 1,
        receipts: 1,
        ..NOTHING
    },
    Story {
        name: "renewed",
        run: |shop, customer| Box::pin(renewed(shop, customer)),
        credits: 100,
        products: &[("basic", 1)],
        transactions: 4,
        receipts: 4,
        ..NOTHING
    },
    Story {
        name: "upgraded",
        run: |shop, customer| Box::pin(upgraded(shop, customer)),
        credits: 1000,
        products: &[("pro", 1)],
        transactions: 2,
        receipts: 2,
        ..NOTHING
    },
    Story {
        name: "cancelled",
        run: |shop, customer| Box::pin(cancelled(shop, customer)),
        credits: 100,
        products: &[("basic", 1)],
        transactions: 1,
        receipts: 1,
        ..NOTHING
    },
    Story {
        name: "over",
        run: |shop, customer| Box::pin(over(shop, customer)),
        transactions: 1,
        // Told of by whoever sold through the account then.
        receipts: 0,
        ..NOTHING
    },
    Story { name: "declined", run: |shop, customer| Box::pin(declined(shop, customer)), failures: 1, ..NOTHING },
    Story {
        name: "given-up",
        run: |shop, customer| Box::pin(given_up(shop, customer)),
        transactions: 1,
        receipts: 1,
        failures: 1,
        ..NOTHING
    },
    Story {
        name: "disputed",
        run: |shop, customer| {
            Box::pin(async move {
                let intent = shop.buy(customer, "pack", 1).await;
                shop.stripe.dispute(&shop.account, &intent).unwrap();
            })
        },
        coins: 10,
        products: &[("pack", 1)],
        transactions: 1,
        receipts: 1,
        ..NOTHING
    },
    Story {
        name: "incomplete",
        run: |shop, customer| {
            Box::pin(async move {
                let code = shop.code(customer, "basic").await;
                shop.begin(&code, "monthly", 1).await;
            })
        },
        ..NOTHING
    },
];

async fn renewed(shop: &Shop, customer: &str) {
    let subscription = shop.subscribe(customer, "basic", 1).await;
    for _ in 0..3 {
        shop.stripe.renew(&shop.account, &subscription).unwrap();
    }
}

/// By the door, which needs a card; the subscription must be known for that.
async fn upgraded(shop: &Shop, customer: &str) {
    shop.subscribe(customer, "basic", 1).await;
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    add_card(shop, customer).await;
    let body = json!({ "from_product_id": "basic", "to_product_id": "pro" });
    let path = format!("/payments/products/user/{customer}/switch");
    shop.app.rest().server().post(&path, body).await.json(200);
}

pub(super) async fn add_card(shop: &Shop, customer: &str) {
    let path = format!("/payments/payment-method/user/{customer}");
    let server = shop.app.rest().server();
    let setup = server.post(&format!("{path}/setup-intent"), json!({})).await.json(200);
    assert_eq!(setup["stripe_account_id"], shop.account.as_str());
    let id = setup["client_secret"].as_str().unwrap().split_once("_secret").unwrap().0.to_owned();
    let waiting = server.post(&format!("{path}/set-default"), json!({ "setup_intent_id": id })).await;
    waiting.refused_with_text(400);
    shop.stripe.confirm_setup_intent(&shop.account, &id, &Card::default()).unwrap();
    let set = server.post(&format!("{path}/set-default"), json!({ "setup_intent_id": id })).await.json(200);
    assert_eq!(set["success"], true);
    assert!(set["default_payment_method"]["id"].as_str().unwrap().starts_with("pm_"), "{set}");
}

/// In Stripe's dashboard: it ends with its period, which goes on.
async fn cancelled(shop: &Shop, customer: &str) {
    let subscription = shop.subscribe(customer, "basic", 1).await;
    cancel_at_period_end(shop, &subscription).await;
}

async fn cancel_at_period_end(shop: &Shop, subscription: &str) {
    let url = format!("{}/v1/subscriptions/{subscription}", shop.stripe.url());
    let asked = reqwest::Client::new()
        .post(url)
        .bearer_auth(shop.stripe.secret_key())
        .header("stripe-account", &shop.account)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body("cancel_at_period_end=true")
        .send()
        .await
        .unwrap();
    assert!(asked.status().is_success(), "{}", asked.text().await.unwrap());
}

/// Paid for a month that is over, and not for the next one.
async fn over(shop: &Shop, customer: &str) {
    let now = chrono::Utc::now().timestamp();
    shop.stripe.set_now(now - 40 * 24 * 60 * 60);
    let subscription = shop.subscribe(customer, "basic", 1).await;
    cancel_at_period_end(shop, &subscription).await;
    shop.stripe.set_now(now);
    shop.stripe.reach_period_end(&shop.account, &subscription).unwrap();
}

async fn declined(shop: &Shop, customer: &str) {
    let code = shop.code(customer, "pack").await;
    let intent = shop.begin(&code, "once", 1).await;
    shop.stripe.fail_intent(&shop.account, &intent, "Your card was declined.").unwrap();
}

async fn given_up(shop: &Shop, customer: &str) {
    let subscription = shop.subscribe(customer, "basic", 1).await;
    shop.stripe.fail_renewal(&shop.account, &subscription).unwrap();
    shop.stripe.fail_renewal(&shop.account, &subscription).unwrap();
    shop.stripe.give_up(&shop.account, &subscription).unwrap();
}
