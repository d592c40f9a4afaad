//! The same by GraphQL: one rule, one code, whichever door.

use serde_json::{Value, json};

use super::Shop;

impl Shop {
    async fn ask(&self, query: &str, variables: Value) -> Value {
        self.app.rest().admin().graphql(query, variables).await.json(200)
    }
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no code in {answer}"))
}

const GRANT: &str =
    "mutation($input: GrantProductInput!) { grantProduct(input: $input) { subscriptionId oneTimePurchaseId } }";
const CANCEL: &str = "mutation($input: CancelProductInput!) { cancelProduct(input: $input) { success } }";
const CHECKOUT: &str = "mutation($input: CreateCheckoutUrlInput!) { createCheckoutUrl(input: $input) { url } }";
const REFUND: &str = "mutation($input: RefundTransactionInput!) { refundTransaction(input: $input) { success } }";
const PRODUCTS: &str = "query($customer: CustomerInput!) { products(customer: $customer) { totalCount nodes { id key quantity
    displayName prices { key amounts { currency amount } interval { count unit } } includedItems { itemKey quantity expires }
    subscription { id cancelAtPeriodEnd } switchOptions { key } } } }";
const TRANSACTIONS: &str =
    "query($after: String) { transactions(first: 2, after: $after) { pageInfo { hasNextPage endCursor }
    nodes { id type refunded testMode customer { type id } entries { type productKey quantity oneTimePurchaseId
    subscriptionId itemKey charged { currency amount } } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn products_are_granted_seen_and_cancelled() {
    let shop = Shop::open().await;
    let id = shop.user("graph").await;
    let customer = json!({ "type": "USER", "id": id });
    let granted = shop.ask(GRANT, json!({ "input": { "customer": customer, "productId": "product:basic" } })).await;
    let subscription = granted["data"]["grantProduct"]["subscriptionId"].as_str().unwrap().to_owned();
    let pack = json!({ "customer": customer, "productId": "pack", "quantity": 2, "idempotencyKey": "once" });
    for _ in 0..3 {
        let granted = shop.ask(GRANT, json!({ "input": pack })).await;
        assert!(granted["data"]["grantProduct"]["oneTimePurchaseId"].is_string(), "{granted}");
    }
    assert_eq!(shop.quantity(&id, "coins").await, 20);
    let seen = &shop.ask(PRODUCTS, json!({ "customer": customer })).await["data"]["products"];
    assert_eq!(seen["totalCount"], 2);
    let basic = &seen["nodes"][0];
    assert_eq!((&basic["id"], &basic["key"]), (&json!("product:basic"), &json!("basic")));
    assert_eq!(basic["prices"][0]["amounts"], json!([{ "currency": "USD", "amount": "9" }]));
    assert_eq!(basic["prices"][0]["interval"], json!({ "count": 1, "unit": "MONTH" }));
    assert_eq!(basic["includedItems"], json!([{ "itemKey": "credits", "quantity": 100, "expires": "WHEN_REPEATED" }]));
    assert_eq!(basic["subscription"], json!({ "id": subscription, "cancelAtPeriodEnd": false }));
    assert_eq!(basic["switchOptions"], json!([{ "key": "pro" }]));
    // What comes with the request.
    let product = json!({
        "displayName": "Made for you", "customerType": "USER",
        "prices": [{ "key": "once", "amounts": [{ "currency": "USD", "amount": "5" }] }],
        "includedItems": [{ "itemId": "item:coins", "quantity": 5, "expires": "NEVER" }],
    });
    shop.ask(GRANT, json!({ "input": { "customer": customer, "product": product } })).await;
    assert_eq!(shop.quantity(&id, "coins").await, 25);
    for (input, expected) in [
        (json!({ "customer": customer, "productId": "basic" }), "PRODUCT_ALREADY_GRANTED"),
        (json!({ "customer": customer, "productId": "nobody" }), "PRODUCT_DOES_NOT_EXIST"),
        (json!({ "customer": customer, "productId": "calls" }), "PRODUCT_CUSTOMER_TYPE_DOES_NOT_MATCH"),
        (json!({ "customer": customer, "productId": "pack", "quantity": 0 }), "BAD_REQUEST"),
        (json!({ "customer": customer, "productId": "pack", "product": product }), "BAD_REQUEST"),
        (json!({ "customer": customer }), "BAD_REQUEST"),
    ] {
        assert_eq!(code(&shop.ask(GRANT, json!({ "input": input })).await), expected, "{input}");
    }
    let cancel = async |input: Value| shop.ask(CANCEL, json!({ "input": input })).await;
    assert_eq!(code(&cancel(json!({ "customer": customer, "productId": "pack" })).await), "BAD_REQUEST");
    assert_eq!(code(&cancel(json!({ "customer": customer })).await), "BAD_USER_INPUT");
    let cancelled = cancel(json!({ "customer": customer, "subscriptionId": subscription })).await;
    assert_eq!(cancelled["data"]["cancelProduct"]["success"], true);
    let seen = shop.ask(PRODUCTS, json!({ "customer": customer })).await;
    assert_eq!(seen["data"]["products"]["nodes"][1]["subscription"], Value::Null);
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_are_begun_seen_and_paid_back() {
    let shop = Shop::open().await;
    let id = shop.user("graph").await;
    let customer = json!({ "type": "USER", "id": id });
    let made = shop.ask(CHECKOUT, json!({ "input": { "customer": customer, "productId": "pack" } })).await;
    let url = made["data"]["createCheckoutUrl"]["url"].as_str().unwrap();
    let intent = shop.begin(url.rsplit_once("/purchase/").unwrap().1, "once", 3).await;
    shop.stripe.pay_intent(&shop.account, &intent).unwrap();
    shop.subscribe(&id, "basic", 1).await;
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    // Two and one.
    let first = &shop.ask(TRANSACTIONS, json!({})).await["data"]["transactions"];
    let listed = first["nodes"].as_array().unwrap();
    assert_eq!((listed.len(), &first["pageInfo"]["hasNextPage"]), (2, &json!(false)));
    let pack = listed.iter().find(|found| found["entries"][0]["productKey"] == "pack").unwrap();
    assert_eq!(
        (&pack["type"], &pack["refunded"], &pack["testMode"]),
        (&json!("PURCHASE"), &json!(false), &json!(false))
    );
    assert_eq!(pack["customer"], customer);
    assert_eq!(
        pack["entries"][1]["charged"],
        json!([{ "currency": "USD", "amount": "14.97" }, { "currency": "JPY", "amount": "2100" }])
    );
    let refund = async |amount: &str, quantity: i64| {
        let input = json!({ "type": "ONE_TIME", "id": pack["id"], "quantity": quantity, "amountUsd": amount });
        shop.ask(REFUND, json!({ "input": input })).await
    };
    assert_eq!(code(&refund("14.98", 1).await), "SCHEMA_ERROR");
    assert_eq!(code(&refund("1", 4).await), "SCHEMA_ERROR");
    assert_eq!(refund("4.99", 1).await["data"]["refundTransaction"]["success"], true);
    assert_eq!(code(&refund("4.99", 1).await), "ONE_TIME_PURCHASE_ALREADY_REFUNDED");
    assert_eq!(shop.products(&id).await, [("basic".to_owned(), 1), ("pack".to_owned(), 2)]);
    let listed = shop.ask(TRANSACTIONS, json!({})).await;
    let nodes = listed["data"]["transactions"]["nodes"].as_array().unwrap();
    assert!(nodes.iter().any(|found| found["id"] == pack["id"] && found["refunded"] == true), "{listed}");
    // A user sees its own products, and no transactions.
    let session = shop.app.rest().server().post("/auth/sessions", json!({ "user_id": id })).await.json(200);
    let user = shop.app.rest().client().user(session["access_token"].as_str().unwrap());
    let own = user.graphql(PRODUCTS, json!({ "customer": customer })).await.json(200);
    assert_eq!(own["data"]["products"]["totalCount"], 2);
    let refused = user.graphql(TRANSACTIONS, json!({})).await.json(200);
    assert_eq!(refused["data"]["transactions"], Value::Null);
    shop.app.stop().await;
}

/// Whoever is deleted is charged no longer.
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_a_deleted_user_end_at_stripe() {
    let shop = Shop::open().await;
    let id = shop.user("leaver").await;
    let subscription = shop.subscribe(&id, "basic", 1).await;
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    shop.app.rest().server().delete(&format!("/users/{id}")).await.json(200);
    crate::support::eventually("the end at Stripe", async || {
        (shop.stripe.object(&shop.account, &subscription)?["status"] == "canceled").then_some(())
    })
    .await;
    // What is told of it since is kept, and troubles nobody.
    let told = shop.stripe.take_events();
    shop.deliver(&told).await;
    shop.app.stop().await;
}
