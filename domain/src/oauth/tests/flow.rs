//! The way there and back, and what can be wrong with it.

use base64::prelude::BASE64_STANDARD;
use postern_entity::oauth_visit;
use sea_orm::PaginatorTrait;
use serde_json::json;

use super::*;
use crate::{
    Code,
    patch::Patch,
    ports::oauth::ProviderError,
    sessions::{
        self, OneTimeCode, SecondFactor,
        test_scene::{details, refusal},
    },
    users::{self, UpdateUser},
};

#[tokio::test]
async fn a_code_is_for_whoever_began_it_once_and_not_for_long() {
    on_each(async |scene| {
        let arrival = scene.visit(&scene.stranger(), departing("github"), account("1")).await;
        let Arrival::In(url) = &arrival else { panic!("kept out") };
        assert_eq!(parameter(url, "state").as_deref(), Some("the application's"));
        assert!(url.as_str().starts_with(REDIRECT));
        let code = code(&arrival);
        for wrong in [None, Some("another-verifier-that-is-long-enough-for-the-standard")] {
            let exchanged = scene.exchange_with(&code, wrong, REDIRECT).await;
            assert_eq!(refusal(exchanged), Code::InvalidAuthorizationCode);
        }
        // Those did not use it up.
        assert!(scene.exchange(&code).await.unwrap().signed_in.is_new_user);
        assert_eq!(refusal(scene.exchange(&code).await), Code::InvalidAuthorizationCode);

        let arrival = scene.visit(&scene.stranger(), departing("github"), account("1")).await;
        let elsewhere = scene.exchange_with(&super::code(&arrival), Some(VERIFIER), "https://app.example.com/x").await;
        assert_eq!(refusal(elsewhere), Code::BadRequest);
        let used_up = scene.exchange(&super::code(&arrival)).await;
        assert_eq!(refusal(used_up), Code::InvalidAuthorizationCode);

        let arrival = scene.visit(&scene.stranger(), departing("github"), account("1")).await;
        scene.bench.clock.advance_seconds(5 * 60);
        assert_eq!(refusal(scene.exchange(&super::code(&arrival)).await), Code::InvalidAuthorizationCode);
        assert_eq!(refusal(scene.exchange("nothing").await), Code::InvalidAuthorizationCode);

        let arrival = scene.visit(&scene.stranger(), departing("github"), account("1")).await;
        let (foreign, code) = (scene.bench.insert_project().await, super::code(&arrival));
        assert_eq!(refusal(scene.exchange_in(&foreign, &code).await), Code::InvalidAuthorizationCode);
        assert!(scene.exchange(&code).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_return_is_taken_once_from_the_browser_that_left_and_for_its_provider() {
    on_each(async |scene| {
        scene.leave(&scene.stranger(), departing("github")).await.unwrap();
        let right = scene.returned("github");
        let wrong = [
            Returned { has_cookie: false, ..right.clone() },
            Returned { provider: "google".to_owned(), ..right.clone() },
            Returned { state: "unknown".to_owned(), ..right.clone() },
            Returned { state: crate::random::random_token().unwrap(), ..right.clone() },
        ];
        for wrong in wrong {
            assert_eq!(refusal(scene.come_back(wrong).await), Code::BadRequest);
        }
        scene.bench.providers.send_back(account("1"), tokens("at", None, None, "email"));
        assert!(matches!(scene.come_back(right.clone()).await.unwrap(), Arrival::In(_)));
        assert_eq!(refusal(scene.come_back(right).await), Code::BadRequest);

        // A browser that was told where to go could be given no cookie.
        scene.leave(&scene.stranger(), Departing { has_cookie: false, ..departing("github") }).await.unwrap();
        scene.bench.providers.send_back(account("1"), tokens("at", None, None, "email"));
        let returned = Returned { has_cookie: false, ..scene.returned("github") };
        assert!(matches!(scene.come_back(returned).await.unwrap(), Arrival::In(_)));
    })
    .await;
}

#[tokio::test]
async fn what_keeps_somebody_out_goes_to_where_it_is_trusted() {
    on_each(async |scene| {
        let denied = |scene: &Scene| Returned {
            code: None,
            error: Some("access_denied".to_owned()),
            ..scene.returned("github")
        };
        scene.leave(&scene.stranger(), departing("github")).await.unwrap();
        let arrival = scene.come_back(denied(&scene)).await.unwrap();
        let Arrival::Out(url) = &arrival else { panic!("let in") };
        assert_eq!(told(&arrival), ("OAUTH_PROVIDER_ACCESS_DENIED".to_owned(), json!({})));
        let shown = ["error", "state"].map(|name| parameter(url, name).unwrap());
        assert_eq!(shown, ["server_error".to_owned(), "the application's".to_owned()]);
        assert_eq!(parameter(url, "error_description"), parameter(url, "message"));

        let evil = "https://evil.example.com/callback";
        let untrusted = Departing { redirect_uri: evil.to_owned(), ..departing("github") };
        scene.leave(&scene.stranger(), untrusted.clone()).await.unwrap();
        let refused = scene.come_back(scene.returned("github")).await;
        assert_eq!(refusal(refused), Code::RedirectUrlNotWhitelisted);
        let errors = "https://app.example.com/errors";
        let with_errors = Departing { error_redirect_url: Some(errors.to_owned()), ..untrusted };
        scene.leave(&scene.stranger(), with_errors).await.unwrap();
        let arrival = scene.come_back(scene.returned("github")).await.unwrap();
        assert_eq!(told(&arrival).0, "REDIRECT_URL_NOT_WHITELISTED");
        assert!(matches!(&arrival, Arrival::Out(url) if url.as_str().starts_with(errors)));

        scene.leave(&scene.stranger(), departing("github")).await.unwrap();
        scene.bench.clock.advance_seconds(10 * 60);
        assert_eq!(told(&scene.come_back(scene.returned("github")).await.unwrap()).0, "OUTER_OAUTH_TIMEOUT");
        scene.leave(&scene.stranger(), departing("github")).await.unwrap();
        scene.bench.clock.advance_seconds(2 * 60 * 60);
        assert_eq!(refusal(scene.come_back(scene.returned("github")).await), Code::BadRequest);

        // An app of a phone.
        let app = Departing { redirect_uri: "stack-auth-mobile-oauth-url://done".to_owned(), ..departing("github") };
        let arrival = scene.visit(&scene.stranger(), app, account("1")).await;
        assert!(matches!(arrival, Arrival::In(url) if url.scheme() == "stack-auth-mobile-oauth-url"));
        assert_eq!(scene.counts().await.0, 0, "nobody was made by any of these");
    })
    .await;
}

#[tokio::test]
async fn a_site_in_trouble_leaves_nothing_behind() {
    on_each(async |scene| {
        for (error, expected) in [
            (ProviderError::Unavailable("it answered 503".to_owned()), Ok("OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE")),
            (ProviderError::Refused("The provider refuses: invalid_grant.".to_owned()), Err(Code::BadRequest)),
            (ProviderError::Unacceptable("The provider gave no ID token.".to_owned()), Err(Code::BadRequest)),
        ] {
            scene.leave(&scene.stranger(), departing("github")).await.unwrap();
            scene.bench.providers.fail_next(error);
            let arrival = scene.come_back(scene.returned("github")).await;
            match expected {
                Ok(code) => assert_eq!(told(&arrival.unwrap()).0, code),
                Err(code) => assert_eq!(refusal(arrival), code),
            }
        }
        for error in ["invalid_scope", "temporarily_unavailable"] {
            scene.leave(&scene.stranger(), departing("github")).await.unwrap();
            let returned = Returned { code: None, error: Some(error.to_owned()), ..scene.returned("github") };
            match scene.come_back(returned).await {
                Ok(arrival) => assert_eq!(told(&arrival).0, "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE"),
                Err(refused) => assert_eq!(refused.failure().unwrap().code, Code::BadRequest),
            }
        }
        scene.leave(&scene.stranger(), departing("github")).await.unwrap();
        let nothing = Returned { code: None, ..scene.returned("github") };
        assert_eq!(refusal(scene.come_back(nothing).await), Code::BadRequest);
        assert_eq!(scene.counts().await.0, 0);
    })
    .await;
}

#[tokio::test]
async fn whoever_leaves_is_refused_what_cannot_be() {
    on_each(async |scene| {
        let stranger = scene.stranger();
        let refused = async |input| refusal(scene.leave(&stranger, input).await);
        let not_enabled = Code::OauthProviderNotFoundOrNotEnabled;
        assert_eq!(refused(departing("unknown")).await, not_enabled);
        let after =
            Departing { after_callback_redirect_url: Some("https://evil.test".to_owned()), ..departing("github") };
        assert_eq!(refused(after).await, Code::RedirectUrlNotWhitelisted);
        for wrong in [
            Departing { redirect_uri: "no url".to_owned(), ..departing("github") },
            Departing { state: String::new(), ..departing("github") },
            Departing { state: "s".repeat(2_049), ..departing("github") },
            Departing { code_challenge: "short".to_owned(), ..departing("github") },
            Departing { code_challenge_method: Some("plain".to_owned()), ..departing("github") },
            Departing { scopes: Some("a\"b".to_owned()), ..departing("github") },
        ] {
            assert_eq!(refused(wrong).await, Code::SchemaError);
        }
        let garbled = Departing { token: Some("garbage".to_owned().into()), ..departing("github") };
        assert_eq!(refused(garbled).await, Code::UnparsableAccessToken);

        let shared = json!({ "type": "github", "allowSignIn": true, "isShared": true });
        let off = json!({ "type": "google", "allowSignIn": false, "allowConnectedAccounts": true, "isShared": false,
            "clientId": "us", "clientSecret": "s" });
        let bare = json!({ "type": "x", "allowSignIn": true, "isShared": false });
        let lost = json!({ "type": "oidc", "allowSignIn": true, "isShared": false, "clientId": "us",
            "clientSecret": "s", "issuerUrl": "no url" });
        let providers = json!({ "github": shared, "google": off, "x": bare, "oidc": lost });
        scene.configure(json!({ "auth.oauth.providers": providers })).await;
        // The installation has no client to share; the others are off, or have none.
        for provider in ["github", "google", "x", "oidc"] {
            assert_eq!(refused(departing(provider)).await, not_enabled, "{provider}");
        }
        // What is off to sign in with can be linked.
        let ada = scene.signed_up().await;
        let link = Departing { purpose: Purpose::Link, ..departing("google") };
        scene.leave(&scene.client(&ada).await, link).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_second_factor_is_asked_for_when_the_code_is_used() {
    on_each(async |scene| {
        let user_id = scene.sign_in_with("github", account("1")).await.signed_in.user_id;
        let secret = BASE64_STANDARD.encode([7_u8; 20]);
        let change = UpdateUser { totp_secret_base64: Patch::Set(secret.into()), ..UpdateUser::default() };
        users::update(scene.deps(), &scene.server(), user_id, change).await.unwrap();
        let arrival = scene.visit(&scene.stranger(), departing("github"), account("1")).await;
        let refused = scene.exchange(&code(&arrival)).await;
        let attempt = details(refused)["attempt_code"].as_str().unwrap().to_owned();
        assert_eq!(refusal(scene.exchange(&code(&arrival)).await), Code::InvalidAuthorizationCode);
        let attempt = OneTimeCode::parse(&attempt).unwrap();
        let wrong = SecondFactor::Totp("000000".to_owned().into());
        let stranger = scene.stranger();
        let client = ClientInfo::default();
        let tried = sessions::sign_in_with_second_factor(scene.deps(), &stranger, &attempt, &wrong, &client).await;
        assert_eq!(refusal(tried), Code::InvalidTotpCode);
    })
    .await;
}

#[tokio::test]
async fn what_is_over_is_forgotten() {
    on_each(async |scene| {
        scene.leave(&scene.stranger(), departing("github")).await.unwrap();
        scene.visit(&scene.stranger(), departing("github"), account("1")).await;
        let count = async || oauth_visit::Entity::find().count(scene.deps().db.read()).await.unwrap();
        let prune = async || super::super::prune_step(scene.deps()).await.unwrap();
        for (seconds, left) in [(0, 2), (5 * 60 + 1, 1), (65 * 60, 0)] {
            scene.bench.clock.advance_seconds(seconds);
            prune().await;
            assert_eq!(count().await, left, "after {seconds} s more");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_remembered_can_be_read_by_nobody() {
    on_each(async |scene| {
        scene.visit(&scene.stranger(), departing("github"), account("secret-account")).await;
        let row = oauth_visit::Entity::find().one(scene.deps().db.read()).await.unwrap().unwrap();
        let memory = String::from_utf8_lossy(row.memory.as_ref().unwrap()).into_owned();
        assert!(!memory.contains("secret-account") && !memory.contains(REDIRECT));
    })
    .await;
}
