//! Invoices, cards, and the account of the project.

use reqwest::Method;
use serde_json::json;

use super::{Shop, stories::add_card};
use crate::support::App;

#[tokio::test(flavor = "multi_thread")]
async fn customers_see_their_invoices_and_cards() {
    let shop = Shop::open().await;
    let customer = shop.user("billed").await;
    let server = shop.app.rest().server();
    let invoices = format!("/payments/invoices/user/{customer}");
    let billing = format!("/payments/billing/user/{customer}");
    assert_eq!(server.get(&billing).await.json(200), json!({ "has_customer": false, "default_payment_method": null }));
    assert_eq!(server.get(&invoices).await.json(200)["items"], json!([]));
    let subscription = shop.subscribe(&customer, "basic", 1).await;
    for _ in 0..4 {
        shop.stripe.renew(&shop.account, &subscription).unwrap();
    }
    let page = server.get(&format!("{invoices}?limit=2")).await.json(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!((&page["items"][0]["amount_total"], &page["items"][0]["status"]), (&json!(900), &json!("paid")));
    let mut cursor = page["pagination"]["next_cursor"].as_str().map(str::to_owned);
    let mut seen = 2;
    while let Some(after) = cursor {
        let page = server.get(&format!("{invoices}?limit=2&cursor={after}")).await.json(200);
        seen += page["items"].as_array().unwrap().len();
        cursor = page["pagination"]["next_cursor"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, 5);
    server.get(&format!("{invoices}?cursor=nonsense")).await.refused_with_text(400);
    add_card(&shop, &customer).await;
    let seen = server.get(&billing).await.json(200);
    assert_eq!(seen["has_customer"], true);
    assert!(seen["default_payment_method"]["last4"].is_string(), "{seen}");
    // Somebody else's set-up of a card.
    let other = shop.user("unbilled").await;
    let setup = server.post(&format!("/payments/payment-method/user/{other}/setup-intent"), json!({})).await.json(200);
    let id = setup["client_secret"].as_str().unwrap().split_once("_secret").unwrap().0.to_owned();
    let set_default = format!("/payments/payment-method/user/{customer}/set-default");
    server.post(&set_default, json!({ "setup_intent_id": id })).await.refused_with_text(403);
    server.post(&set_default, json!({ "setup_intent_id": "seti_nobody" })).await.refused_with_text(400);
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_look_after_the_account() {
    let shop = Shop::open().await;
    let admin = shop.app.rest().admin();
    let info = admin.get("/internal/payments/stripe/account-info").await.json(200);
    assert_eq!(info["account_id"], shop.account.as_str());
    assert_eq!(info["charges_enabled"], true);
    // Once more is the same account.
    admin.post("/internal/payments/setup", json!({})).await.json(200);
    assert_eq!(
        admin.get("/internal/payments/stripe/account-info").await.json(200)["account_id"],
        shop.account.as_str()
    );
    let session = admin.post("/internal/payments/stripe-widgets/account-session", json!({})).await.json(200);
    assert!(session["client_secret"].is_string());
    let methods = admin.get("/internal/payments/method-configs").await.json(200);
    let config = methods["config_id"].as_str().unwrap();
    let first = methods["methods"][0]["id"].as_str().unwrap();
    let is_on = async || {
        let methods = admin.get("/internal/payments/method-configs").await.json(200);
        methods["methods"][0]["enabled"].as_bool().unwrap()
    };
    for wanted in [false, true] {
        let update = json!({ "config_id": config, "updates": { first: if wanted { "on" } else { "off" } } });
        assert_eq!(
            admin.patch("/internal/payments/method-configs", update).await.json(200),
            json!({ "success": true })
        );
        assert_eq!(is_on().await, wanted);
    }
    let wrong = json!({ "config_id": config, "updates": { "nonsense": "on" } });
    admin.patch("/internal/payments/method-configs", wrong).await.refused_with_text(400);
    for (method, path) in [
        (Method::POST, "/internal/payments/setup"),
        (Method::GET, "/internal/payments/stripe/account-info"),
        (Method::GET, "/internal/payments/transactions"),
    ] {
        let body = (method == Method::POST).then(|| json!({}));
        shop.app.rest().server().send(method, path, body).await.refused(401, "INSUFFICIENT_ACCESS_TYPE");
    }
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_without_payments_says_so() {
    let app = App::start().await;
    let (admin, server) = (app.rest().admin(), app.rest().server());
    admin.post("/internal/payments/setup", json!({})).await.refused_with_text(400);
    admin.get("/internal/payments/stripe/account-info").await.refused(404, "STRIPE_ACCOUNT_INFO_NOT_FOUND");
    admin.post("/internal/payments/stripe-widgets/account-session", json!({})).await.refused_with_text(400);
    let user = server.post("/users", json!({})).await.json(201)["id"].as_str().unwrap().to_owned();
    let set_up = format!("/payments/payment-method/user/{user}/setup-intent");
    server.post(&set_up, json!({})).await.refused_with_text(400);
    assert_eq!(server.get(&format!("/payments/billing/user/{user}")).await.json(200)["has_customer"], false);
    app.stop().await;
}
