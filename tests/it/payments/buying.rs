//! Buying: URLs, sessions, conflicts, refunds, and everything that is refused.

use postern_fake_stripe::Fault;
use serde_json::{Value, json};

use super::{Shop, stories::add_card};
use crate::support::client::Answer;

const SESSION: &str = "/payments/purchases/purchase-session";
const VALIDATE: &str = "/payments/purchases/validate-code";

impl Shop {
    async fn session(&self, code: &str, price: &str, quantity: i64) -> Answer {
        let body = json!({ "full_code": code, "price_id": price, "quantity": quantity });
        self.app.rest().post(SESSION, body).await
    }

    async fn validate(&self, code: &str) -> Answer {
        self.app.rest().post(VALIDATE, json!({ "full_code": code })).await
    }

    async fn refund(&self, kind: &str, id: &Value, quantity: i64, amount: &str) -> Answer {
        let entry = json!({ "entry_index": 0, "quantity": quantity, "amount_usd": amount });
        let body = json!({ "type": kind, "id": id, "refund_entries": [entry] });
        self.app.rest().admin().post("/internal/payments/transactions/refund", body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_good_for_one_purchase_of_what_was_offered() {
    let shop = Shop::open().await;
    let customer = shop.user("buyer").await;
    let code = shop.code(&customer, "pack").await;
    let offer = shop.validate(&code).await.json(200);
    assert_eq!(offer["product"]["display_name"], "Pack of coins");
    assert_eq!(offer["product"]["server_metadata"], Value::Null);
    assert_eq!(offer["stripe_account_id"], shop.account.as_str());
    assert_eq!((&offer["charges_enabled"], &offer["test_mode"]), (&json!(true), &json!(false)));
    assert_eq!((&offer["already_bought_non_stackable"], &offer["conflicting_products"]), (&json!(false), &json!([])));
    // Dearer since; what was offered stays.
    let mut dearer = super::catalogue();
    dearer["payments.products"]["pack"]["prices"]["once"]["USD"] = json!("999");
    shop.configure(dearer).await;
    for (price, quantity) in [("monthly", 1), ("", 1), ("once", 0), ("once", -1), ("once", i64::MAX)] {
        shop.session(&code, price, quantity).await.refused_with_text(400);
    }
    let intent = shop.begin(&code, "once", 2).await;
    let made = shop.stripe.object(&shop.account, &intent).unwrap();
    assert_eq!((&made["amount"], &made["currency"]), (&json!(998), &json!("usd")));
    let metadata = &made["metadata"];
    assert_eq!((&metadata["purchaseKind"], &metadata["purchaseQuantity"]), (&json!("ONE_TIME"), &json!("2")));
    assert_eq!((&metadata["customerId"], &metadata["customerType"]), (&json!(customer), &json!("user")));
    assert_eq!(metadata["tenancyId"], shop.app.demo.project_id.as_str());
    // Used up.
    shop.session(&code, "once", 1).await.refused(404, "VERIFICATION_CODE_NOT_FOUND");
    shop.validate(&code).await.refused(404, "VERIFICATION_CODE_NOT_FOUND");
    for wrong in ["", "x", "nobody_0123456789012345678901234567890123456789abcde", &code[..code.len() - 1]] {
        let refused = shop.validate(wrong).await;
        assert!([400, 404].contains(&refused.status.as_u16()), "{wrong}: {}", refused.text);
    }
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_use_a_code_up() {
    let shop = Shop::open().await;
    let customer = shop.user("guesser").await;
    let code = shop.code(&customer, "pack").await;
    for _ in 0..20 {
        shop.validate(&code).await.json(200);
    }
    shop.validate(&code).await.refused(400, "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED");
    shop.session(&code, "once", 1).await.refused(400, "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED");
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_bought_is_refused_with_its_code() {
    let shop = Shop::open().await;
    let (customer, other) = (shop.user("refused").await, shop.user("other").await);
    let rest = shop.app.rest();
    let path = "/payments/purchases/create-purchase-url";
    let body = |more: Value| {
        let mut body = json!({ "customer_type": "user", "customer_id": customer });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    shop.url_for(&customer, "nobody").await.refused(400, "PRODUCT_DOES_NOT_EXIST");
    shop.url_for(&customer, "calls").await.refused(400, "PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH");
    let session = rest.server().post("/auth/sessions", json!({ "user_id": customer })).await.json(200);
    let user = rest.client().user(session["access_token"].as_str().unwrap());
    let secret = user.post(path, body(json!({ "product_id": "secret" }))).await.refused(400, "PRODUCT_DOES_NOT_EXIST");
    assert_eq!(secret["context"], "server_only");
    user.post(path, body(json!({ "customer_id": other, "product_id": "pack" }))).await.refused_with_text(403);
    user.post(path, body(json!({}))).await.refused_with_text(400);
    let untrusted = json!({ "product_id": "pack", "return_url": "https://elsewhere.example/" });
    user.post(path, body(untrusted)).await.refused(400, "REDIRECT_URL_NOT_WHITELISTED");
    let trusted = json!({ "product_id": "pack", "return_url": "http://localhost:3000/done?x=1&y=ü" });
    let url = user.post(path, body(trusted)).await.json(200)["url"].as_str().unwrap().to_owned();
    assert!(url.contains("?return_url=http%3A%2F%2Flocalhost%3A3000%2Fdone%3Fx%3D1%26y%3D"), "{url}");
    // No price in dollars, and nothing to pay.
    for product in ["euros", "nothing"] {
        let code = shop.code(&customer, product).await;
        shop.session(&code, "once", 1).await.refused_with_text(400);
    }
    let code = shop.code(&customer, "pack").await;
    let mut closed = super::catalogue();
    closed["payments.blockNewPurchases"] = json!(true);
    shop.configure(closed).await;
    shop.url_for(&customer, "pack").await.refused(403, "NEW_PURCHASES_BLOCKED");
    shop.session(&code, "once", 1).await.refused(403, "NEW_PURCHASES_BLOCKED");
    // Servers grant all the same.
    let grant = json!({ "product_id": "pack" });
    rest.server().post(&format!("/payments/products/user/{customer}"), grant).await.json(200);
    assert_eq!(shop.quantity(&customer, "coins").await, 10);
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_can_be_tried_out_where_the_project_allows_it() {
    let shop = Shop::open().await;
    let customer = shop.user("tester").await;
    let path = "/internal/payments/test-mode-purchase-session";
    let body = |code: &str| json!({ "full_code": code, "price_id": "once", "quantity": 2 });
    let code = shop.code(&customer, "pack").await;
    shop.app.rest().post(path, body(&code)).await.refused_with_text(403);
    let mut testing = super::catalogue();
    testing["payments.testMode"] = json!(true);
    shop.configure(testing).await;
    let tries = (0..10).map(async |_| shop.app.rest().post(path, body(&code)).await.status.as_u16());
    let outcomes = futures::future::join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|status| **status == 200).count(), 1, "{outcomes:?}");
    assert_eq!(shop.quantity(&customer, "coins").await, 20);
    let transactions = shop.transactions(&customer).await;
    assert_eq!((transactions.len(), &transactions[0]["test_mode"]), (1, &json!(true)));
    let id = &transactions[0]["id"];
    shop.refund("one-time-purchase", id, 1, "1").await.refused(400, "TEST_MODE_PURCHASE_NON_REFUNDABLE");
    assert!(shop.stripe.objects(&shop.account, "payment_intent").is_empty());
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_of_the_line_is_replaced() {
    let shop = Shop::open().await;
    let customer = shop.user("changer").await;
    let granted = shop.user("granted").await;
    let first = shop.subscribe(&customer, "basic", 1).await;
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    // Until the new one is paid, the old one goes on, and nothing of the new one is granted.
    let code = shop.code(&customer, "pro").await;
    let offer = shop.validate(&code).await.json(200);
    assert_eq!(offer["conflicting_products"], json!([{ "product_id": "basic", "display_name": "Basic" }]));
    shop.begin(&code, "monthly", 1).await;
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    assert_eq!(shop.products(&customer).await, [("basic".to_owned(), 1)]);
    assert_eq!(shop.quantity(&customer, "credits").await, 100);
    let second = shop.stripe.subscriptions(&shop.account)[1]["id"].as_str().unwrap().to_owned();
    shop.stripe.pay_subscription(&shop.account, &second).unwrap();
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    assert_eq!(shop.products(&customer).await, [("pro".to_owned(), 1)]);
    assert_eq!(shop.quantity(&customer, "credits").await, 1000);
    crate::support::eventually("the end of the old one", async || {
        (shop.stripe.object(&shop.account, &first)?["status"] == "canceled").then_some(())
    })
    .await;
    // A grant replaces one that is paid: it is ended at Stripe, soon.
    shop.subscribe(&granted, "basic", 1).await;
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    let grant = json!({ "product_id": "pro" });
    shop.app.rest().server().post(&format!("/payments/products/user/{granted}"), grant).await.json(200);
    assert_eq!(shop.products(&granted).await, [("pro".to_owned(), 1)]);
    crate::support::eventually("the end at Stripe", async || {
        let subscriptions = shop.stripe.subscriptions(&shop.account);
        (subscriptions[2]["status"] == "canceled").then_some(())
    })
    .await;
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    assert_eq!(shop.products(&granted).await, [("pro".to_owned(), 1)]);
    assert_eq!(shop.quantity(&granted, "credits").await, 1000);
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paying_back_takes_pieces_back_and_stops_what_repeats() {
    let shop = Shop::open().await;
    let customer = shop.user("refunded").await;
    shop.buy(&customer, "pack", 4).await;
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    let transactions = shop.transactions(&customer).await;
    let id = &transactions[0]["id"];
    for (quantity, amount) in [(5, "1"), (-1, "1"), (1, "19.97"), (1, "-1"), (1, "1.999"), (1, "x"), (1, "")] {
        shop.refund("one-time-purchase", id, quantity, amount).await.refused(400, "SCHEMA_ERROR");
    }
    shop.refund("subscription", id, 1, "1").await.refused(404, "SUBSCRIPTION_INVOICE_NOT_FOUND");
    let nobody = json!("00000000-0000-4000-8000-000000000000");
    shop.refund("one-time-purchase", &nobody, 1, "1").await.refused(404, "ONE_TIME_PURCHASE_NOT_FOUND");
    shop.refund("one-time-purchase", id, 3, "10").await.json(200);
    assert_eq!(shop.products(&customer).await, [("pack".to_owned(), 1)]);
    // What was granted stays.
    assert_eq!(shop.quantity(&customer, "coins").await, 40);
    let refunds = shop.stripe.refunds(&shop.account);
    assert_eq!((refunds.len(), &refunds[0]["amount"]), (1, &json!(1000)));
    shop.refund("one-time-purchase", id, 1, "1").await.refused(400, "ONE_TIME_PURCHASE_ALREADY_REFUNDED");
    let adjusted = &shop.transactions(&customer).await[0]["adjusted_by"];
    assert_eq!(*adjusted, json!([{ "transaction_id": format!("{}:refund", id.as_str().unwrap()), "entry_index": 0 }]));
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_which_the_answer_was_lost_is_made_once() {
    let shop = Shop::open().await;
    for (number, fault) in
        [Fault::DropAfterDoing, Fault::StatusAfterDoing(500), Fault::Status(500)].into_iter().enumerate()
    {
        let customer = shop.user(&format!("lost-{number}")).await;
        shop.buy(&customer, "pack", 1).await;
        let told = shop.stripe.take_events();
        shop.deliver(&told).await;
        let id = shop.transactions(&customer).await[0]["id"].clone();
        shop.stripe.fail_next("POST", "/v1/refunds", fault);
        let lost = shop.refund("one-time-purchase", &id, 1, "4.99").await;
        assert_eq!(lost.status, 503, "{}", lost.text);
        // Under way: nobody does it a second time meanwhile.
        shop.refund("one-time-purchase", &id, 1, "4.99").await.refused_with_text(409);
        shop.bring_forward("finish_stripe_operation").await;
        crate::support::eventually("the refund", async || shop.products(&customer).await.is_empty().then_some(()))
            .await;
        shop.refund("one-time-purchase", &id, 1, "4.99").await.refused(400, "ONE_TIME_PURCHASE_ALREADY_REFUNDED");
        assert_eq!(shop.stripe.refunds(&shop.account).len(), number + 1);
    }
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_paid_back_in_parts_and_wholly() {
    let shop = Shop::open().await;
    let (some, all) = (shop.user("some").await, shop.user("all").await);
    let first = shop.subscribe(&some, "seats", 3).await;
    let second = shop.subscribe(&all, "basic", 1).await;
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    assert_eq!(shop.quantity(&some, "credits").await, 30);
    let id = shop.transactions(&some).await[0]["id"].clone();
    shop.refund("subscription", &id, 2, "6").await.json(200);
    assert_eq!(shop.products(&some).await, [("seats".to_owned(), 1)]);
    let reduced = shop.stripe.object(&shop.account, &first).unwrap();
    assert_eq!(
        (&reduced["items"]["data"][0]["quantity"], &reduced["cancel_at_period_end"]),
        (&json!(1), &json!(false))
    );
    shop.refund("subscription", &id, 1, "1").await.refused(400, "SUBSCRIPTION_ALREADY_REFUNDED");
    let id = shop.transactions(&all).await[0]["id"].clone();
    shop.refund("subscription", &id, 1, "9").await.json(200);
    assert!(shop.products(&all).await.is_empty());
    assert_eq!(shop.stripe.object(&shop.account, &second).unwrap()["cancel_at_period_end"], true);
    // What Stripe tells of it changes nothing.
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    assert_eq!(shop.products(&some).await, [("seats".to_owned(), 1)]);
    assert!(shop.products(&all).await.is_empty());
    assert_eq!((shop.quantity(&some, "credits").await, shop.quantity(&all, "credits").await), (30, 100));
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_takes_a_card_and_a_product_of_the_line() {
    let shop = Shop::open().await;
    let customer = shop.user("switcher").await;
    let path = format!("/payments/products/user/{customer}/switch");
    let server = shop.app.rest().server();
    let switch = async |from: &str, to: &str, more: Value| {
        let mut body = json!({ "from_product_id": from, "to_product_id": to });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.post(&path, body).await
    };
    switch("basic", "pro", json!({})).await.refused(400, "DEFAULT_PAYMENT_METHOD_REQUIRED");
    let subscription = shop.subscribe(&customer, "basic", 1).await;
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    add_card(&shop, &customer).await;
    for (from, to, more) in [
        ("basic", "nobody", json!({})),
        ("basic", "basic", json!({})),
        ("basic", "pack", json!({})),
        ("basic", "calls", json!({})),
        ("pro", "basic", json!({})),
        ("basic", "pro", json!({ "price_id": "yearly" })),
        ("basic", "pro", json!({ "quantity": 2 })),
    ] {
        switch(from, to, more).await.refused_with_text(400);
    }
    // The card is declined: nothing has changed, and it can be tried again.
    shop.stripe.set_declining(&shop.account, true).unwrap();
    switch("basic", "pro", json!({})).await.refused_with_text(400);
    assert_eq!(shop.products(&customer).await, [("basic".to_owned(), 1)]);
    shop.stripe.set_declining(&shop.account, false).unwrap();
    switch("basic", "pro", json!({})).await.json(200);
    assert_eq!(shop.products(&customer).await, [("pro".to_owned(), 1)]);
    assert_eq!(shop.quantity(&customer, "credits").await, 1000);
    // Ended at once at Stripe, owned until its period ends.
    let delete = format!("/payments/products/user/{customer}/pro");
    server.delete(&delete).await.json(200);
    assert_eq!(shop.stripe.object(&shop.account, &subscription).unwrap()["status"], "canceled");
    assert_eq!(shop.products(&customer).await, [("pro".to_owned(), 1)]);
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    assert_eq!(shop.products(&customer).await, [("pro".to_owned(), 1)]);
    server.delete(&delete).await.refused_with_text(400);
    shop.app.stop().await;
}

/// Products say more to the application than to us; clients see what is meant for them.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_configured_products_is_kept_whole() {
    let shop = Shop::open().await;
    let customer = shop.user("reader").await;
    let mut config = super::catalogue();
    let metadata = json!({ "tier": { "level": 2, "a.b": [null, "ü"] } });
    config["payments.products"]["pack"]["clientMetadata"] = metadata.clone();
    config["payments.products"]["pack"]["clientReadOnlyMetadata"] = json!({});
    config["payments.products"]["pack"]["serverMetadata"] = json!({ "sku": "C-10" });
    shop.configure(config).await;
    let rest = shop.app.rest();
    rest.server().post(&format!("/payments/products/user/{customer}"), json!({ "product_id": "pack" })).await.json(200);
    let path = format!("/payments/products/user/{customer}");
    let session = rest.server().post("/auth/sessions", json!({ "user_id": customer })).await.json(200);
    let user = rest.client().user(session["access_token"].as_str().unwrap());
    for (client, server_metadata) in [(rest.server(), json!({ "sku": "C-10" })), (user, Value::Null)] {
        let product = client.get(&path).await.json(200)["items"][0]["product"].clone();
        assert_eq!(product["client_metadata"], metadata);
        assert_eq!(product["client_read_only_metadata"], json!({}));
        assert_eq!(product["server_metadata"], server_metadata);
    }
    // One by one, whole, and away again; nothing leads into one.
    let set = async |key: &str, value: Value| {
        let key = format!("payments.products.pack.{key}");
        let body = json!({ "config_override_string": json!({ key: value }).to_string() });
        rest.admin().patch("/internal/config/override/environment", body).await
    };
    set("clientMetadata", json!({ "other": true })).await.json(200);
    set("serverMetadata", Value::Null).await.json(200);
    let code = shop.code(&customer, "pack").await;
    let product = shop.validate(&code).await.json(200)["product"].clone();
    assert_eq!((&product["client_metadata"], &product["server_metadata"]), (&json!({ "other": true }), &Value::Null));
    for (key, value) in [
        ("clientMetadata", json!("text")),
        ("clientMetadata", json!([1])),
        ("serverMetadata", json!(1)),
        ("serverMetadata", json!({ "a": "\0" })),
        ("serverMetadata", json!({ "a\0": 1 })),
        ("clientMetadata.tier", json!(1)),
    ] {
        set(key, value).await.refused_with_text(400);
    }
    shop.app.stop().await;
}
