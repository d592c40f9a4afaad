use postern_domain::ports::stripe::{Stripe, StripeError};
use postern_fake_stripe::Fault;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{Shop, metadata};

#[tokio::test]
async fn a_payment_is_made_and_read_with_its_receipt() {
    let shop = Shop::open().await;
    shop.fake.set_now(1_800_000_000);
    let new = shop.payment().await;
    let made = shop.stripe.create_payment_intent(&shop.account, &new, "key").await.unwrap();
    let secret = made.client_secret.as_ref().unwrap().expose_secret().to_owned();
    assert!(secret.starts_with(&format!("{}_secret", made.id)));
    assert!(!format!("{made:?}").contains(&secret));
    assert_eq!(shop.fake.requests()[1].params["automatic_payment_methods"], json!({ "enabled": "true" }));

    shop.fake.fail_intent(&shop.account, &made.id, "Your card was declined.").unwrap();
    let failed = shop.stripe.payment_intent(&shop.account, &made.id).await.unwrap();
    assert_eq!((&*failed.status, failed.amount_received), ("requires_payment_method", 0));
    assert_eq!(failed.last_error.as_deref(), Some("Your card was declined."));
    assert_eq!(failed.receipt_url, None);

    shop.fake.pay_intent(&shop.account, &made.id).unwrap();
    let paid = shop.stripe.payment_intent(&shop.account, &made.id).await.unwrap();
    assert_eq!((&*paid.status, paid.amount, paid.amount_received), ("succeeded", 2500, 2500));
    assert_eq!((&*paid.currency, paid.customer_id.as_ref()), ("usd", Some(&new.customer_id)));
    assert_eq!((paid.created.seconds(), paid.last_error), (1_800_000_000, None));
    assert_eq!(paid.metadata, new.metadata);
    assert!(paid.receipt_url.unwrap().starts_with("https://"));
    let told = shop.told();
    let expected = [
        "customer.created",
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
        "charge.succeeded",
        "payment_intent.succeeded",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_payment_that_cannot_be_is_refused_and_says_why() {
    let shop = Shop::open().await;
    let mut new = shop.payment().await;
    new.amount = 10;
    let error = shop.stripe.create_payment_intent(&shop.account, &new, "small").await.unwrap_err();
    let StripeError::Refused { code, message } = &error else { panic!("{error}") };
    assert!(code == "amount_too_small" && message.contains("0.50"), "{error}");
    new.customer_id = "cus_unknown".to_owned();
    let error = shop.stripe.create_payment_intent(&shop.account, &new, "nobody").await.unwrap_err();
    assert!(matches!(error, StripeError::NotFound(_)), "{error}");
    assert!(matches!(shop.stripe.payment_intent(&shop.account, "pi_unknown").await, Err(StripeError::NotFound(_))));
}

#[tokio::test]
async fn a_key_that_was_used_otherwise_is_refused() {
    let shop = Shop::open().await;
    let mut new = shop.payment().await;
    shop.stripe.create_payment_intent(&shop.account, &new, "key").await.unwrap();
    new.amount += 1;
    let error = shop.stripe.create_payment_intent(&shop.account, &new, "key").await.unwrap_err();
    assert!(matches!(&error, StripeError::Refused { code, .. } if code == "idempotency_error"), "{error}");
    let error = shop.stripe.create_payment_intent(&shop.account, &new, "").await.unwrap_err();
    assert!(matches!(error, StripeError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_payment_is_paid_back_in_parts_and_no_further() {
    let shop = Shop::open().await;
    let paid = shop.paid().await;
    let purchase = metadata(&[("tenancyId", "t1"), ("purchaseId", "p1")]);
    let refund = async |amount, key: &str| shop.stripe.refund(&shop.account, &paid, amount, &purchase, key).await;
    let first = refund(1000, "r1").await.unwrap();
    assert_eq!(refund(1000, "r1").await.unwrap(), first);
    let error = refund(1501, "r2").await.unwrap_err();
    assert!(matches!(&error, StripeError::Refused { message, .. } if message.contains("greater")), "{error}");
    refund(1500, "r3").await.unwrap();
    let error = refund(1, "r4").await.unwrap_err();
    assert!(matches!(&error, StripeError::Refused { code, .. } if code == "charge_already_refunded"), "{error}");
    let refunds = shop.fake.refunds(&shop.account);
    assert_eq!(refunds.len(), 2);
    assert_eq!((&refunds[0]["id"], &refunds[0]["metadata"]), (&json!(first), &json!(purchase)));
    assert_eq!(shop.told().iter().filter(|told| *told == "charge.refunded").count(), 2);
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_made_once() {
    let shop = Shop::open().await;
    let paid = shop.paid().await;
    let refund =
        async || shop.stripe.refund(&shop.account, &paid, 700, &metadata(&[("a", "b"), ("c", "d")]), "r1").await;
    for fault in [Fault::DropAfterDoing, Fault::StatusAfterDoing(500), Fault::Drop, Fault::Status(429)] {
        shop.fake.fail_next("POST", "/v1/refunds", fault);
        let error = refund().await.unwrap_err();
        assert!(matches!(error, StripeError::Unavailable(_)), "{fault:?}: {error}");
        assert_eq!(shop.fake.refunds(&shop.account).len(), 1);
    }
    let id = refund().await.unwrap();
    let refunds = shop.fake.refunds(&shop.account);
    assert_eq!((refunds.len(), &refunds[0]["id"]), (1, &json!(id)));
    // Nothing but the queue tries again.
    assert_eq!(shop.fake.requests().iter().filter(|request| request.path == "/v1/refunds").count(), 5);
}

#[tokio::test]
async fn the_bank_takes_a_payment_back() {
    let shop = Shop::open().await;
    let paid = shop.paid().await;
    let dispute = shop.fake.dispute(&shop.account, &paid).unwrap();
    let event = shop.fake.take_events().pop().unwrap();
    assert_eq!((&event["type"], &event["data"]["object"]), (&json!("charge.dispute.created"), &dispute));
    assert_eq!(dispute["payment_intent"], json!(paid));
}
