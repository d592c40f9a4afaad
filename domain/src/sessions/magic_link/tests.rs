use futures::future::join_all;
use secrecy::ExposeSecret;

use super::*;
use crate::sessions::test_scene::{CALLBACK, EMAIL, PASSWORD, Scene, details, refusal, secret};
use crate::{
    Level,
    sessions::{check_code, refresh, set_password},
    testing::{TestBench, on_each_database},
    users::{UpdateUser, update},
};

async fn scene(bench: TestBench) -> Scene {
    let scene = Scene::on(bench).await;
    scene.configure(json!({ "auth.otp.allowSignIn": true })).await;
    scene
}

fn from(country: &str) -> ClientInfo {
    ClientInfo { ip: Some("192.0.2.7".parse().unwrap()), country: Some(country.to_owned()), ..ClientInfo::default() }
}

async fn send(scene: &Scene, email: &str) -> Result<SentCode> {
    let target = LinkTarget::Callback(CALLBACK.to_owned());
    let challenge = BotChallenge::default();
    send_sign_in_code(scene.deps(), &scene.stranger(), email, target, &challenge, &from("SE")).await
}

async fn sign_in(scene: &Scene, actor: &Actor, code: &OneTimeCode) -> Result<SignedIn> {
    sign_in_with_magic_link(scene.deps(), actor, code, &from("NO")).await
}

/// An account with a verified address and a password.
async fn verified(scene: &Scene) -> UserId {
    let user_id = scene.signed_up().await.user_id;
    let change = UpdateUser { primary_email_verified: Some(true), ..UpdateUser::default() };
    update(scene.deps(), &scene.server(), user_id, change).await.unwrap();
    user_id
}

#[tokio::test]
async fn a_stranger_gets_an_account_once_by_the_code_that_the_mail_and_the_caller_share() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let sent = send(&scene, "Ada@example.com").await.unwrap();
        let (address, link) = scene.links().await.pop().unwrap();
        assert!(address == EMAIL && link.as_str().starts_with(&format!("{CALLBACK}&code=")));
        assert_eq!(sent.nonce.expose_secret().len(), 39);
        assert!(link.as_str().ends_with(sent.nonce.expose_secret()));
        let (code, stranger) = (&scene.last_code().await, &scene.stranger());
        let shown = sign_in_code_to_type(scene.deps(), stranger, code, &from("NO")).await.unwrap();
        let typed = OneTimeCode::parse(&format!("{shown}{}", sent.nonce.expose_secret())).unwrap();
        let outcomes = join_all((0..4).map(|_| sign_in(&scene, stranger, &typed))).await;
        let mut signed_in: Vec<_> = outcomes.into_iter().filter_map(Result::ok).collect();
        assert_eq!(signed_in.len(), 1);
        let signed_in = signed_in.pop().unwrap();
        assert!(signed_in.is_new_user);
        let user = users::find(scene.deps(), &scene.project, signed_in.user_id).await.unwrap().unwrap();
        let primary = user.primary_email.unwrap();
        assert_eq!((primary.address.as_str(), primary.is_verified, primary.used_for_auth), (EMAIL, true, true));
        assert_eq!((user.otp_auth_enabled, user.has_password, user.country_code.as_deref()), (true, false, Some("SE")));
        assert_eq!(refusal(sign_in(&scene, stranger, code).await), Code::VerificationCodeAlreadyUsed);
        assert_eq!(scene.counts().await, (1, 1, 1));
        refresh(scene.deps(), &scene.project, &signed_in.refresh_token, &ClientInfo::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_account_is_signed_in_to_and_offers_codes_from_then_on() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let user_id = verified(&scene).await;
        assert!(!scene.user(user_id).await.otp_auth_enabled);
        send(&scene, EMAIL).await.unwrap();
        assert!(scene.user(user_id).await.otp_auth_enabled);
        // An anonymous caller signs in to the account and is left alone.
        let anonymous = scene.anonymous().await;
        let caller = scene.client(&anonymous).await;
        let signed_in = sign_in(&scene, &caller, &scene.last_code().await).await.unwrap();
        assert_eq!((signed_in.user_id, signed_in.is_new_user), (user_id, false));
        assert!(scene.user(anonymous.user_id).await.is_anonymous);
        scene.sign_in(EMAIL, PASSWORD).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_anonymous_caller_becomes_the_new_user_and_stays_signed_in() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let anonymous = scene.anonymous().await;
        send(&scene, EMAIL).await.unwrap();
        let caller = scene.client(&anonymous).await;
        let signed_in = sign_in(&scene, &caller, &scene.last_code().await).await.unwrap();
        assert_eq!((signed_in.user_id, signed_in.is_new_user), (anonymous.user_id, true));
        let claims = scene.claims(&signed_in).await;
        assert_eq!((claims.is_anonymous, claims.email_verified, claims.email.as_deref()), (false, true, Some(EMAIL)));
        // Its earlier session goes on (wire/auth §1), and it may have a password of its own now.
        refresh(scene.deps(), &scene.project, &anonymous.refresh_token, &ClientInfo::default()).await.unwrap();
        set_password(scene.deps(), &scene.client(&signed_in).await, &secret(PASSWORD)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn refusals_come_in_order_and_nothing_is_mailed() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let user_id = scene.signed_up().await.user_id;
        let elsewhere = LinkTarget::Callback("https://evil.example".to_owned());
        let challenge = BotChallenge::default();
        let (deps, stranger) = (scene.deps(), &scene.stranger());
        let away = send_sign_in_code(deps, stranger, EMAIL, elsewhere, &challenge, &ClientInfo::default()).await;
        assert_eq!(refusal(away), Code::RedirectUrlNotWhitelisted);
        assert_eq!(refusal(send(&scene, "no address").await), Code::SchemaError);
        // Whoever made the account has not shown to hold the address.
        let unverified = send(&scene, EMAIL).await;
        assert_eq!(details(unverified), json!({ "email": EMAIL, "would_work_if_email_was_verified": true }));
        scene.configure(json!({ "auth.otp.allowSignIn": true, "auth.allowSignUp": false })).await;
        assert_eq!(refusal(send(&scene, "bob@example.com").await), Code::SignUpNotEnabled);
        scene.configure(json!({ "auth.otp.allowSignIn": false })).await;
        assert_eq!(refusal(send(&scene, EMAIL).await), Code::Forbidden);
        assert_eq!(scene.links().await.len(), 0);
        assert!(!scene.user(user_id).await.otp_auth_enabled);
    })
    .await;
}

#[tokio::test]
async fn what_changed_since_the_mail_counts_when_the_code_is_used() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        send(&scene, EMAIL).await.unwrap();
        let (code, stranger) = (&scene.last_code().await, &scene.stranger());
        // Somebody takes the address meanwhile, unverified: the code waits for what comes of it.
        let user_id = scene.signed_up().await.user_id;
        assert_eq!(refusal(sign_in(&scene, stranger, code).await), Code::UserEmailAlreadyExists);
        let change = UpdateUser { primary_email_verified: Some(true), ..UpdateUser::default() };
        update(scene.deps(), &scene.server(), user_id, change).await.unwrap();
        assert_eq!(sign_in(&scene, stranger, code).await.unwrap().user_id, user_id);
        send(&scene, "bob@example.com").await.unwrap();
        let code = &scene.last_code().await;
        scene.configure(json!({ "auth.otp.allowSignIn": true, "auth.allowSignUp": false })).await;
        assert_eq!(refusal(sign_in(&scene, stranger, code).await), Code::SignUpNotEnabled);
        assert_eq!(refusal(sign_in(&scene, stranger, code).await), Code::VerificationCodeAlreadyUsed);
    })
    .await;
}

#[tokio::test]
async fn a_code_is_bound_to_its_project_and_kind_and_ends() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        send(&scene, EMAIL).await.unwrap();
        let code = &scene.last_code().await;
        let other = scene.bench.insert_project().await;
        let foreign = Actor::new(other.clone(), Level::Client, None);
        scene.bench.set_config(&other, json!({ "auth.otp.allowSignIn": true })).await;
        assert_eq!(refusal(sign_in(&scene, &foreign, code).await), Code::VerificationCodeNotFound);
        let as_reset = check_code(scene.deps(), &scene.project, CodeKind::PasswordReset, code).await;
        assert_eq!(refusal(as_reset), Code::VerificationCodeNotFound);
        scene.bench.clock.advance_seconds(scene.deps().settings.code_seconds);
        assert_eq!(refusal(sign_in(&scene, &scene.stranger(), code).await), Code::VerificationCodeExpired);
    })
    .await;
}

#[tokio::test]
async fn rules_look_at_where_the_code_was_asked_for_and_a_rejection_uses_it_up() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let rule = json!({ "enabled": true, "condition": "countryCode == \"SE\" && authMethod == \"otp\"",
            "action": { "type": "reject" } });
        scene.configure(json!({ "auth.otp.allowSignIn": true, "auth.signUpRules.nordic": rule })).await;
        send(&scene, EMAIL).await.unwrap();
        let (code, stranger) = (&scene.last_code().await, &scene.stranger());
        assert_eq!(refusal(sign_in(&scene, stranger, code).await), Code::SignUpRejected);
        assert_eq!(refusal(sign_in(&scene, stranger, code).await), Code::VerificationCodeAlreadyUsed);
        assert_eq!(scene.counts().await.0, 0);
        assert!(scene.events().await.contains(&"sign_up.rejected".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn guesses_at_a_code_are_told_to_the_audit_until_they_are_too_many_to_matter() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        verified(&scene).await;
        let nonce = send(&scene, EMAIL).await.unwrap().nonce;
        let (deps, stranger, client) = (scene.deps(), &scene.stranger(), &from("NO"));
        let told = async || scene.events().await.iter().filter(|name| *name == "sign_in.failed").count();
        let guess = |head: &str| OneTimeCode::parse(&format!("{head}{}", nonce.expose_secret())).unwrap();
        assert_eq!(refusal(sign_in(&scene, stranger, &guess("000000")).await), Code::VerificationCodeNotFound);
        let checked = check_sign_in_code(deps, stranger, &guess("000001"), client).await;
        assert_eq!(refusal(checked), Code::VerificationCodeNotFound);
        let shown = sign_in_code_to_type(deps, stranger, &guess("000002"), client).await;
        assert_eq!(refusal(shown), Code::VerificationCodeNotFound);
        assert_eq!(told().await, 3);
        // Nothing is told of what cannot be a guess at anybody's code.
        let into_the_blue = OneTimeCode::parse(&"x".repeat(45)).unwrap();
        assert_eq!(refusal(sign_in(&scene, stranger, &into_the_blue).await), Code::VerificationCodeNotFound);
        assert_eq!(told().await, 3);
        for _ in 0..30 {
            assert_eq!(refusal(sign_in(&scene, stranger, &guess("000003")).await), Code::VerificationCodeNotFound);
        }
        assert_eq!(told().await, 20);
    })
    .await;
}
