//! What is posted as an event of Stripe and is none, or one of somebody else.

use postern_fake_stripe::sign;
use serde_json::{Value, json};

use super::{OLD_SECRET, SECRET, Shop};

fn event(id: &str, kind: &str, account: Option<&str>, object: &Value) -> Value {
    let mut event = json!({
        "id": id, "object": "event", "api_version": "2026-09-30.endive", "created": 1, "type": kind, "livemode": false,
        "data": { "object": object }, "request": null, "pending_webhooks": 1,
    });
    if let Some(account) = account {
        event["account"] = json!(account);
    }
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_stripe_signed_just_now_is_taken() {
    let shop = Shop::open().await;
    let body = event("evt_signed", "customer.updated", Some(&shop.account), &json!({ "id": "cus_1" })).to_string();
    let now = shop.stripe.now();
    let [new, old, other] =
        [SECRET, OLD_SECRET, "whsec_somebody-else-s-secret"].map(|secret| sign(body.as_bytes(), secret, now));
    let v1 = |header: &str| header.split_once("v1=").unwrap().1.to_owned();
    for good in
        [new.clone(), old.clone(), format!("t={now},v1={},v1={}", v1(&other), v1(&old)), format!("{new},v0=abcdef")]
    {
        assert_eq!(shop.post_signed(body.clone(), &good).await.json(200), json!({ "received": true }));
    }
    let late = sign(body.as_bytes(), SECRET, now - 400);
    let early = sign(body.as_bytes(), SECRET, now + 400);
    let of_other_body = sign(format!("{body} ").as_bytes(), SECRET, now);
    for bad in [
        other,
        late,
        early,
        of_other_body,
        "t=1".to_owned(),
        format!("v1={}", v1(&new)),
        "nonsense".to_owned(),
        String::new(),
    ] {
        let said = shop.post_signed(body.clone(), &bad).await.refused_with_text(400);
        assert!(!said.contains("whsec"), "{said}");
    }
    let client = shop.app.rest();
    let path = "/api/v1/integrations/stripe/webhooks";
    client.raw(reqwest::Method::POST, path, Some(("application/json", body))).await.refused(400, "SCHEMA_ERROR");
    for no_event in [
        "",
        "{}",
        "[]",
        "null",
        "not json",
        r#"{"object":"event"}"#,
        r#"{"object":"event","id":"","type":"x"}"#,
        r#"{"object":"charge","id":"evt_1","type":"x"}"#,
    ] {
        let signature = sign(no_event.as_bytes(), SECRET, now);
        assert_eq!(shop.post_signed(no_event.to_owned(), &signature).await.status, 400, "{no_event}");
    }
    // More than a mebibyte.
    let long = event("evt_long", "customer.updated", None, &json!({ "x": "y".repeat(2 << 20) })).to_string();
    let signature = sign(long.as_bytes(), SECRET, now);
    assert_eq!(shop.post_signed(long, &signature).await.status, 413);
    shop.app.stop().await;
}

/// Each is kept and answered well; nothing follows, and nothing is tried for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_here_knows_grants_nothing_and_is_kept() {
    let shop = Shop::open().await;
    let customer = shop.user("foreign").await;
    let stranger = shop.stripe.account(&[("tenancyId", "00000000-0000-4000-8000-000000000000")]);
    let nobodys = shop.stripe.account(&[]);
    let intent = shop.buy(&customer, "pack", 1).await;
    // Listed, it would be fetched every ten minutes, perhaps just now.
    shop.stripe.forget_events();
    let paid = json!({ "id": intent, "object": "payment_intent", "metadata": { "purchaseKind": "ONE_TIME" } });
    let forged = json!({ "id": "pi_nobody", "object": "payment_intent" });
    let sub = json!({ "id": "sub_1", "object": "subscription", "customer": "cus_nobody" });
    let events = [
        event("evt_1", "some.new.kind", Some(&shop.account), &json!({})),
        event("evt_2", "payment_intent.succeeded", None, &paid),
        event("evt_3", "payment_intent.succeeded", Some("acct_nobody"), &paid),
        event("evt_4", "payment_intent.succeeded", Some(&stranger), &paid),
        event("evt_5", "payment_intent.succeeded", Some(&nobodys), &paid),
        event("evt_6", "payment_intent.succeeded", Some(&shop.account), &forged),
        event("evt_7", "customer.subscription.updated", Some(&shop.account), &sub),
        event("evt_8", "invoice.paid", Some(&shop.account), &json!({ "id": "in_nobody" })),
        event("evt_9", "invoice.upcoming", Some(&shop.account), &json!({ "customer": 5 })),
        event("evt_10", "payment_intent.succeeded", Some(&shop.account), &json!("not an object")),
        event("evt_11", "charge.dispute.created", Some(&shop.account), &json!({})),
    ];
    shop.deliver(&events).await;
    assert_eq!(shop.quantity(&customer, "coins").await, 0);
    assert!(shop.products(&customer).await.is_empty());
    assert!(shop.mails("foreign").await.is_empty());
    // The true one grants once, even when a forger has told of it before.
    shop.deliver(&[event("evt_12", "payment_intent.succeeded", Some(&shop.account), &paid)]).await;
    assert_eq!(shop.quantity(&customer, "coins").await, 10);
    shop.app.stop().await;
}

/// Stripe that is away, slow to answer, or answers with faults: what was told is done once it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_that_fails_is_asked_again() {
    use postern_fake_stripe::Fault;
    let shop = Shop::open().await;
    let customer = shop.user("patient").await;
    shop.buy(&customer, "pack", 2).await;
    let events = shop.stripe.take_events();
    for fault in [Fault::Status(500), Fault::Status(429), Fault::Drop] {
        shop.stripe.fail_next("GET", "/v1/payment_intents", fault);
    }
    shop.deliver(&events).await;
    assert_eq!(shop.quantity(&customer, "coins").await, 20);
    assert_eq!(shop.mails_once("patient", 1).await.len(), 1);
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_without_a_secret_takes_no_events() {
    let app = crate::support::App::start().await;
    let client = app.rest().with("stripe-signature", "t=1,v1=00");
    let path = "/api/v1/integrations/stripe/webhooks";
    client.raw(reqwest::Method::POST, path, Some(("application/json", "{}".to_owned()))).await.refused_with_text(400);
    app.stop().await;
}
