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
        let client = &ClientInfo::default();
        let outcomes = join_all((0..4).map(|_| reset_password(deps, stranger, code, new, client))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(scene.sessions_of(user_id).await, 0);
        assert!(scene.events().await.contains(&"user.updated".to_owned()));
        assert_eq!(refusal(scene.sign_in(EMAIL, PASSWORD).await), Code::EmailPasswordMismatch);
        scene.sign_in(EMAIL, "another horse").await.unwrap();
        assert_eq!(refusal(reset_password(deps, stranger, code, new, client).await), Code::VerificationCodeAlreadyUsed);
    })
    .await;
}

#[tokio::test]
async fn a_weak_password_leaves_the_code_good() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        scene.signed_up().await;
        let (code, deps, stranger) = (&code(&scene).await, scene.deps(), &scene.stranger());
        for (weak, reason) in [("weak", Code::PasswordTooShort), (&"long".repeat(100), Code::PasswordTooLong)] {
            assert_eq!(
                refusal(reset_password(deps, stranger, code, &secret(weak), &ClientInfo::default()).await),
                reason
            );
        }
        scene.sign_in(EMAIL, PASSWORD).await.unwrap();
        reset_password(deps, stranger, code, &secret("another horse"), &ClientInfo::default()).await.unwrap();
        let again = reset_password(deps, stranger, code, &secret("another horse"), &ClientInfo::default()).await;
        assert_eq!(refusal(again), Code::VerificationCodeAlreadyUsed);
        let unknown = OneTimeCode::parse(&"0".repeat(45)).unwrap();
        let refused = reset_password(deps, stranger, &unknown, &secret("weak"), &ClientInfo::default()).await;
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

#[tokio::test]
async fn a_code_goes_with_its_address_and_with_any_reset() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let user_id = scene.signed_up().await.user_id;
        let (first, second) = (code(&scene).await, code(&scene).await);
        let (deps, stranger, client) = (scene.deps(), &scene.stranger(), &ClientInfo::default());
        reset_password(deps, stranger, &second, &secret("another horse"), client).await.unwrap();
        let older = reset_password(deps, stranger, &first, &secret("a third horse"), client).await;
        assert_eq!(refusal(older), Code::VerificationCodeAlreadyUsed);
        // The old mailbox is somebody else's now.
        let third = code(&scene).await;
        let moved = users::UpdateUser {
            primary_email: Patch::Set("new@example.com".to_owned()),
            primary_email_auth_enabled: Some(true),
            ..users::UpdateUser::default()
        };
        users::update(deps, &scene.server(), user_id, moved).await.unwrap();
        for channel in channels::list(deps, &scene.server(), Some(user_id), None).await.unwrap() {
            if channel.value == EMAIL {
                channels::delete(deps, &scene.server(), user_id, channel.id).await.unwrap();
            }
        }
        let late = reset_password(deps, stranger, &third, &secret("a thief's horse"), client).await;
        assert_eq!(refusal(late), Code::VerificationCodeNotFound);
        scene.sign_in("new@example.com", "another horse").await.unwrap();
    })
    .await;
}
