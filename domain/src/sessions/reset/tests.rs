use futures::future::join_all;

use super::*;
use crate::{
    Code,
    sessions::{
        check_code,
        test_scene::{CALLBACK, EMAIL, PASSWORD, Scene, refusal, secret},
    },
    testing::on_each_database,
};

fn callback() -> LinkTarget {
    LinkTarget::Callback(CALLBACK.to_owned())
}

async fn code(scene: &Scene) -> OneTimeCode {
    send_password_reset(scene.deps(), &scene.stranger(), EMAIL, callback(), &ClientInfo::default()).await.unwrap();
    scene.last_code().await
}

#[tokio::test]
async fn a_code_sets_a_new_password_once_and_ends_all_sessions() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let user_id = scene.signed_up().await.user_id;
        let (code, deps, stranger) = (&code(&scene).await, scene.deps(), &scene.stranger());
        let (address, link) = scene.links().await.pop().unwrap();
        assert!(address == EMAIL && link.as_str().starts_with(&format!("{CALLBACK}&code=")));
        check_code(deps, &scene.project, CodeKind::PasswordReset, code).await.unwrap();
        let new = &secret("another horse");
        let outcomes = join_all((0..4).map(|_| reset_password(deps, stranger, code, new))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(scene.sessions_of(user_id).await, 0);
        assert!(scene.events().await.contains(&"user.updated".to_owned()));
        assert_eq!(refusal(scene.sign_in(EMAIL, PASSWORD).await), Code::EmailPasswordMismatch);
        scene.sign_in(EMAIL, "another horse").await.unwrap();
        assert_eq!(refusal(reset_password(deps, stranger, code, new).await), Code::VerificationCodeAlreadyUsed);
    })
    .await;
}

#[tokio::test]
async fn a_weak_password_uses_the_code_up() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        scene.signed_up().await;
        let (code, deps, stranger) = (&code(&scene).await, scene.deps(), &scene.stranger());
        assert_eq!(refusal(reset_password(deps, stranger, code, &secret("weak")).await), Code::PasswordTooShort);
        let again = reset_password(deps, stranger, code, &secret("another horse")).await;
        assert_eq!(refusal(again), Code::VerificationCodeAlreadyUsed);
        scene.sign_in(EMAIL, PASSWORD).await.unwrap();
        let unknown = OneTimeCode::parse(&"0".repeat(45)).unwrap();
        let refused = reset_password(deps, stranger, &unknown, &secret("weak")).await;
        assert_eq!(refusal(refused), Code::VerificationCodeNotFound);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_address_gets_the_same_answer_and_no_mail() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (deps, stranger) = (scene.deps(), scene.stranger());
        let started = Instant::now();
        send_password_reset(deps, &stranger, "nobody@example.com", callback(), &ClientInfo::default()).await.unwrap();
        assert!(started.elapsed() >= LEAST);
        assert_eq!(scene.counts().await, (0, 0, 0));
        for email in ["nobody@example.com", EMAIL] {
            let elsewhere = LinkTarget::Callback("https://evil.example".to_owned());
            let refused = send_password_reset(deps, &stranger, email, elsewhere, &ClientInfo::default()).await;
            assert_eq!(refusal(refused), Code::RedirectUrlNotWhitelisted);
        }
        assert_eq!(
            refusal(send_password_reset(deps, &stranger, "", callback(), &ClientInfo::default()).await),
            Code::SchemaError
        );
    })
    .await;
}
