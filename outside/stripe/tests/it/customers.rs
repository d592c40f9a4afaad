use postern_domain::ports::stripe::{Stripe, StripeCard, StripeError};
use postern_fake_stripe::Card;
use secrecy::ExposeSecret;

use crate::{Shop, metadata};

#[tokio::test]
async fn a_customer_is_made_read_and_gone_when_deleted() {
    let shop = Shop::open().await;
    let made = shop.customer("u1").await;
    assert_eq!(made.metadata, metadata(&[("customerId", "u1"), ("customerType", "USER")]));
    assert_eq!(shop.stripe.customer(&shop.account, &made.id).await.unwrap(), made);
    assert_eq!(shop.told(), ["customer.created"]);
    let request = &shop.fake.requests()[0];
    assert_eq!(request.account.as_ref(), Some(&shop.account));
    assert_eq!(request.idempotency_key.as_deref(), Some("customer-u1"));

    shop.fake.delete_customer(&shop.account, &made.id).unwrap();
    for id in [made.id.as_str(), "cus_unknown"] {
        let error = shop.stripe.customer(&shop.account, id).await.unwrap_err();
        assert!(matches!(error, StripeError::NotFound(_)), "{error}");
    }
    let other = shop.fake.account(&[]);
    let mine = shop.customer("u2").await;
    assert!(matches!(shop.stripe.customer(&other, &mine.id).await, Err(StripeError::NotFound(_))));
}

#[tokio::test]
async fn a_customer_is_found_by_search() {
    let shop = Shop::open().await;
    let odd = r"o'Neill \ co: 'x' AND metadata['a']:'b'";
    for id in ["u1", odd] {
        let made = shop.customer(id).await;
        let found = shop.stripe.find_customer(&shop.account, id, "USER").await.unwrap();
        assert_eq!(found.unwrap().id, made.id, "{id}");
    }
    assert!(shop.fake.requests().iter().all(|request| request.method == "POST" || request.path.ends_with("/search")));
    for (id, kind) in [("u1", "TEAM"), ("u", "USER")] {
        assert_eq!(shop.stripe.find_customer(&shop.account, id, kind).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_customer_that_search_does_not_know_yet_is_found_in_the_list() {
    let shop = Shop::open().await;
    shop.fake.set_search_lag(60);
    let made = shop.customer("u1").await;
    for at in 0..150 {
        shop.customer(&format!("other{at}")).await;
    }
    let found = shop.stripe.find_customer(&shop.account, "u1", "USER").await.unwrap();
    assert_eq!(found.unwrap().id, made.id);
    // Behind a thousand newer ones nobody looks.
    for at in 150..1000 {
        shop.customer(&format!("other{at}")).await;
    }
    assert_eq!(shop.stripe.find_customer(&shop.account, "u1", "USER").await.unwrap(), None);
    let pages =
        shop.fake.requests().iter().filter(|asked| asked.method == "GET" && asked.path == "/v1/customers").count();
    assert_eq!(pages, 2 + 10);
    shop.fake.advance(60);
    assert!(shop.stripe.find_customer(&shop.account, "u1", "USER").await.unwrap().is_some());
}

#[tokio::test]
async fn a_card_is_set_up_and_becomes_the_one_that_pays() {
    let shop = Shop::open().await;
    let customer = shop.customer("u1").await.id;
    let secret = shop.stripe.create_setup_intent(&shop.account, &customer).await.unwrap();
    let (id, _) = secret.expose_secret().split_once("_secret").unwrap();
    let setup = shop.stripe.setup_intent(&shop.account, id).await.unwrap();
    assert_eq!((&*setup.status, setup.customer_id.as_ref()), ("requires_payment_method", Some(&customer)));
    assert_eq!(setup.payment_method_id, None);
    assert_eq!(shop.stripe.cards(&shop.account, &customer).await.unwrap(), []);

    let card = Card { brand: "amex".to_owned(), last4: "0005".to_owned(), exp_month: 12, exp_year: 2031 };
    shop.fake.confirm_setup_intent(&shop.account, id, &card).unwrap();
    assert_eq!(
        shop.told(),
        ["customer.created", "setup_intent.created", "payment_method.attached", "setup_intent.succeeded"]
    );
    let setup = shop.stripe.setup_intent(&shop.account, id).await.unwrap();
    assert_eq!(setup.status, "succeeded");
    let method = setup.payment_method_id.unwrap();
    let known = StripeCard {
        id: method.clone(),
        brand: Some("amex".to_owned()),
        last4: Some("0005".to_owned()),
        exp_month: Some(12),
        exp_year: Some(2031),
    };
    assert_eq!(shop.stripe.cards(&shop.account, &customer).await.unwrap(), [known]);

    let more = metadata(&[("defaultPaymentMethodId", &method), ("hasPaymentMethod", "true")]);
    shop.stripe.set_default_card(&shop.account, &customer, &method, &more).await.unwrap();
    let read = shop.stripe.customer(&shop.account, &customer).await.unwrap();
    assert_eq!(read.default_payment_method, Some(method));
    assert_eq!((&*read.metadata["customerId"], &*read.metadata["hasPaymentMethod"]), ("u1", "true"));
}

#[tokio::test]
async fn a_card_of_somebody_else_is_not_found() {
    let shop = Shop::open().await;
    let (mine, other) = (shop.customer("u1").await.id, shop.customer("u2").await.id);
    let secret = shop.stripe.create_setup_intent(&shop.account, &other).await.unwrap();
    let (id, _) = secret.expose_secret().split_once("_secret").unwrap();
    shop.fake.confirm_setup_intent(&shop.account, id, &Card::default()).unwrap();
    let method = shop.stripe.setup_intent(&shop.account, id).await.unwrap().payment_method_id.unwrap();
    for method in [method.as_str(), "pm_unknown"] {
        let set = shop.stripe.set_default_card(&shop.account, &mine, method, &metadata(&[])).await;
        assert!(matches!(set, Err(StripeError::NotFound(_))), "{set:?}");
    }
    assert!(matches!(shop.stripe.setup_intent(&shop.account, "seti_unknown").await, Err(StripeError::NotFound(_))));
}
