use std::collections::BTreeMap;

use postern_domain::ports::stripe::{Stripe, StripeError, StripeMethod};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{Shop, metadata};

#[tokio::test]
async fn an_account_is_made_once_and_read() {
    let Shop { fake, stripe, .. } = Shop::open().await;
    let tenancy = metadata(&[("tenancyId", "t2")]);
    let made = stripe.create_account(&tenancy, "account-t2").await.unwrap();
    assert_eq!(stripe.create_account(&tenancy, "account-t2").await.unwrap(), made);
    assert_eq!((made.charges_enabled, made.details_submitted, made.payouts_enabled), (false, false, false));
    assert_eq!(made.metadata, tenancy);
    let asked = &fake.requests()[0].params;
    assert_eq!(asked["controller"], json!({ "stripe_dashboard": { "type": "none" } }));
    assert_eq!(asked["capabilities"]["card_payments"]["requested"], "true");
    assert_eq!((&asked["capabilities"]["transfers"]["requested"], &asked["country"]), (&json!("true"), &json!("US")));

    fake.enable_charges(&made.id).unwrap();
    let read = stripe.account(&made.id).await.unwrap();
    assert_eq!((read.charges_enabled, read.details_submitted, read.payouts_enabled), (true, true, true));
}

#[tokio::test]
async fn an_owner_gets_pages_and_components() {
    let Shop { fake, stripe, account } = Shop::open().await;
    let url = stripe.onboarding_url(&account, "https://app/return?a=b&c", "https://app/refresh").await.unwrap();
    assert!(url.starts_with("https://"), "{url}");
    let asked = fake.requests()[0].params.clone();
    assert_eq!(asked["return_url"], "https://app/return?a=b&c");
    assert_eq!((&asked["refresh_url"], &asked["type"]), (&json!("https://app/refresh"), &json!("account_onboarding")));
    let secret = stripe.account_session(&account).await.unwrap();
    assert!(secret.expose_secret().starts_with("accs_secret_"));
    assert_eq!(fake.requests()[1].params["components"]["payments"]["enabled"], "true");
}

#[tokio::test]
async fn an_account_that_is_not_there_is_not_found() {
    let Shop { fake: _fake, stripe, .. } = Shop::open().await;
    for id in ["acct_unknown", "", "acct/../x", "acct?x"] {
        assert!(matches!(stripe.account(id).await, Err(StripeError::NotFound(_))), "{id}");
        assert!(matches!(stripe.customer(id, "cus_1").await, Err(StripeError::NotFound(_))), "{id}");
    }
    assert!(matches!(stripe.onboarding_url("acct_unknown", "r", "f").await, Err(StripeError::NotFound(_))));
    assert!(matches!(stripe.account_session("acct_unknown").await, Err(StripeError::NotFound(_))));
}

#[tokio::test]
async fn sorts_of_payment_are_read_and_switched() {
    let Shop { fake: _fake, stripe, account } = Shop::open().await;
    let config = stripe.methods(&account).await.unwrap();
    assert!(config.id.starts_with("pmc_"));
    let find = |config: &[StripeMethod], id: &str| config.iter().find(|method| method.id == id).cloned().unwrap();
    let card = StripeMethod { id: "card".to_owned(), enabled: true, available: true, overridable: true };
    assert_eq!(find(&config.methods, "card"), card);
    assert!(!find(&config.methods, "link").enabled && !find(&config.methods, "klarna").available);
    assert!(config.methods.iter().all(|method| !["id", "name", "active"].contains(&method.id.as_str())));

    let updates = BTreeMap::from([("link".to_owned(), true), ("card".to_owned(), false)]);
    stripe.set_methods(&account, &config.id, &updates).await.unwrap();
    let changed = stripe.methods(&account).await.unwrap().methods;
    assert!(find(&changed, "link").enabled && !find(&changed, "card").enabled);

    let unknown = BTreeMap::from([("pigeons".to_owned(), true)]);
    let error = stripe.set_methods(&account, &config.id, &unknown).await.unwrap_err();
    assert!(matches!(&error, StripeError::Refused { code, .. } if code == "parameter_unknown"), "{error}");
    for (config, sort) in [("pmc_unknown", "card"), ("../accounts", "card"), (&*config.id, "card[x]")] {
        let updates = BTreeMap::from([(sort.to_owned(), true)]);
        let error = stripe.set_methods(&account, config, &updates).await.unwrap_err();
        assert!(matches!(error, StripeError::NotFound(_)), "{config} {sort}: {error}");
    }
}
