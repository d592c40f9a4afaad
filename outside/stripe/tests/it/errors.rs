use std::time::Duration;

use postern_domain::ports::stripe::{Stripe, StripeError};
use postern_fake_stripe::{FakeStripe, Fault};

use crate::{Shop, client, metadata};

#[tokio::test]
async fn the_check_changes_nothing_and_takes_the_key() {
    let Shop { fake, stripe, .. } = Shop::open().await;
    stripe.check().await.unwrap();
    assert!(fake.requests().iter().all(|request| request.method == "GET"));
    let error = client(&fake, "sk_test_wrong").check().await.unwrap_err();
    assert!(matches!(&error, StripeError::Unauthorized(_)) && !error.to_string().contains("sk_"), "{error}");
}

#[tokio::test]
async fn what_passes_is_unavailable() {
    let Shop { fake, stripe, account } = Shop::open().await;
    for status in [409, 429, 500, 502, 503] {
        fake.fail_next("GET", "/v1/accounts", Fault::Status(status));
        let error = stripe.account(&account).await.unwrap_err();
        assert!(matches!(&error, StripeError::Unavailable(_)), "{status}: {error}");
    }
    fake.fail_next("GET", "/v1/accounts", Fault::Status(403));
    assert!(matches!(stripe.account(&account).await, Err(StripeError::Unauthorized(_))));
    fake.fail_next("GET", "/v1/accounts", Fault::Drop);
    assert!(matches!(stripe.account(&account).await, Err(StripeError::Unavailable(_))));
    // One call is one request.
    assert_eq!(fake.requests().len(), 7);
    stripe.account(&account).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let fake = FakeStripe::start().await.unwrap();
    let stripe = client(&fake, fake.secret_key());
    drop(fake);
    assert!(matches!(stripe.check().await, Err(StripeError::Unavailable(_))));
}

#[tokio::test]
async fn the_same_call_twice_at_once_is_done_once() {
    let Shop { fake, stripe, account } = Shop::open().await;
    fake.set_latency(Duration::from_millis(300));
    let metadata = metadata(&[("customerId", "u1")]);
    let make = || stripe.create_customer(&account, &metadata, "key");
    let (one, other) = tokio::join!(make(), make());
    let done = [&one, &other].into_iter().filter(|made| made.is_ok()).count();
    assert_eq!(done, 1, "{one:?} {other:?}");
    assert!([one, other].iter().any(|made| matches!(made, Err(StripeError::Unavailable(_)))));
    make().await.unwrap();
    assert_eq!(fake.objects(&account, "customer").len(), 1);
}
