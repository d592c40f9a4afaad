use futures::future::join_all;
use postern_entity::{PasswordHash, user, verification_code};
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::{Value, json};

use super::*;
use crate::{
    passwords::Passwords,
    sessions::{
        is_alive, refresh,
        test_scene::{EMAIL, PASSWORD, Scene, details, refusal, secret},
    },
    testing::on_each_database,
    users::{CreateUser, UpdateUser},
};

/// Replaces what is stored of a user.
async fn store(scene: &Scene, row: user::ActiveModel) {
    let db = &scene.deps().db;
    db.write(|tx| {
        let row = row.clone();
        async move { Ok(user::Entity::update(row).exec(&*tx).await?) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_right_password_signs_in_whatever_the_case_of_the_address() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let user_id = scene.signed_up().await.user_id;
        for email in [EMAIL, " ADA@example.com "] {
            let signed_in = scene.sign_in(email, PASSWORD).await.unwrap();
            assert_eq!(scene.claims(&signed_in).await.sub, user_id);
        }
        assert_eq!(scene.sessions_of(user_id).await, 3);
    })
    .await;
}

#[tokio::test]
async fn unknown_addresses_users_without_password_and_wrong_passwords_are_refused_alike() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        scene.signed_up().await;
        let other = scene.bench.insert_project().await;
        let without = CreateUser {
            primary_email: Some("none@example.com".to_owned()),
            primary_email_auth_enabled: Some(true),
            ..CreateUser::default()
        };
        users::create(scene.deps(), &scene.server(), without).await.unwrap();
        let not_for_auth = CreateUser {
            primary_email: Some("not@example.com".to_owned()),
            password: Some(secret(PASSWORD)),
            ..CreateUser::default()
        };
        users::create(scene.deps(), &scene.server(), not_for_auth).await.unwrap();
        let mut answers = Vec::new();
        for (email, password) in [
            ("nobody@example.com", PASSWORD),
            ("none@example.com", PASSWORD),
            ("none@example.com", ""),
            ("not@example.com", PASSWORD),
            (EMAIL, "wrong horse"),
            (EMAIL, ""),
        ] {
            let failure = scene.sign_in(email, password).await.unwrap_err().failure().unwrap().clone();
            assert_eq!(failure.code, Code::EmailPasswordMismatch);
            answers.push((failure.message, failure.details));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
        let elsewhere = Scene::with(scene.bench, other, json!({})).await;
        assert_eq!(refusal(elsewhere.sign_in(EMAIL, PASSWORD).await), Code::EmailPasswordMismatch);
    })
    .await;
}

#[tokio::test]
async fn sign_in_refuses_what_cannot_be_and_what_is_off() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let caller = scene.client(&scene.signed_up().await).await;
        assert_eq!(refusal(scene.sign_in("not an address", PASSWORD).await), Code::SchemaError);
        assert_eq!(refusal(scene.sign_in(EMAIL, &"x".repeat(71)).await), Code::SchemaError);
        scene.configure(json!({ "auth.password.allowSignIn": false })).await;
        assert_eq!(refusal(scene.sign_in(EMAIL, PASSWORD).await), Code::PasswordAuthenticationNotEnabled);
        let (old, new) = (secret(PASSWORD), secret("another horse"));
        assert_eq!(refusal(set_password(scene.deps(), &caller, &new).await), Code::PasswordAuthenticationNotEnabled);
        let updated = update_password(scene.deps(), &caller, &old, &new, None, &ClientInfo::default()).await;
        assert_eq!(refusal(updated), Code::PasswordAuthenticationNotEnabled);
    })
    .await;
}

#[tokio::test]
async fn an_imported_password_is_stored_anew_at_the_next_sign_in_even_when_several_race() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let bcrypt = bcrypt::hash(PASSWORD, 4).unwrap();
        let input = CreateUser {
            primary_email: Some(EMAIL.to_owned()),
            primary_email_auth_enabled: Some(true),
            password_hash: Some(secret(&bcrypt)),
            ..CreateUser::default()
        };
        let user_id = users::create(scene.deps(), &scene.server(), input).await.unwrap().id;
        for signed_in in join_all((0..4).map(|_| scene.sign_in(EMAIL, PASSWORD))).await {
            assert_eq!(signed_in.unwrap().user_id, user_id);
        }
        let stored = scene.user(user_id).await.password_hash.unwrap();
        assert!(stored.0.starts_with("$argon2id$"), "{stored:?}");
        scene.sign_in(EMAIL, PASSWORD).await.unwrap();
        assert_eq!(scene.user(user_id).await.password_hash.unwrap(), stored);
        assert!(!scene.events().await.contains(&"user.password_changed".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_password_alone_does_not_let_a_user_with_a_second_factor_in() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let user_id = scene.signed_up().await.user_id;
        let factor = UpdateUser {
            totp_secret_base64: crate::patch::Patch::Set(secret("c2VjcmV0c2VjcmV0c2VjcmV0")),
            ..UpdateUser::default()
        };
        users::update(scene.deps(), &scene.server(), user_id, factor).await.unwrap();
        let before = scene.sessions_of(user_id).await;
        assert_eq!(refusal(scene.sign_in(EMAIL, "wrong horse").await), Code::EmailPasswordMismatch);
        let refused = scene.sign_in(EMAIL, PASSWORD).await.unwrap_err();
        assert!(refused.is(Code::MultiFactorAuthenticationRequired));
        let Some(Value::String(code)) = refused.failure().unwrap().details.as_ref().map(|d| d["attempt_code"].clone())
        else {
            panic!("no attempt code")
        };
        let rows = verification_code::Entity::find().all(scene.deps().db.read()).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((code.len(), rows[0].code_hash.clone()), (45, crate::random::hash_token(&code)));
        assert_eq!((rows[0].user_id, rows[0].kind.as_str()), (Some(user_id), "second_factor"));
        assert_eq!(rows[0].expires_at, scene.deps().now().plus_seconds(300));
        assert_eq!(scene.sessions_of(user_id).await, before);
    })
    .await;
}

#[tokio::test]
async fn a_first_password_can_be_set_once_and_ends_no_session() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.anonymous().await;
        let (caller, deps) = (scene.client(&signed_in).await, scene.deps());
        assert_eq!(refusal(set_password(deps, &scene.stranger(), &secret(PASSWORD)).await), Code::SchemaError);
        assert_eq!(refusal(set_password(deps, &caller, &secret("1234567")).await), Code::PasswordTooShort);
        let outcomes = join_all((0..4).map(|_| {
            let caller = caller.clone();
            async move { set_password(deps, &caller, &secret(PASSWORD)).await }
        }))
        .await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(refusal(set_password(deps, &caller, &secret(PASSWORD)).await), Code::BadRequest);
        assert!(is_alive(deps, &scene.project, signed_in.session_id).await.unwrap());
        let events = scene.events().await;
        assert_eq!(events.iter().filter(|kind| *kind == "user.password_changed").count(), 1);
        assert!(!events.contains(&"user.updated".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_changed_password_ends_all_sessions_but_the_one_named() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let kept = scene.signed_up().await;
        let (deps, caller) = (scene.deps(), scene.client(&kept).await);
        scene.sign_in(EMAIL, PASSWORD).await.unwrap();
        let (old, new) = (secret(PASSWORD), secret("another horse"));
        let nobody = update_password(deps, &scene.stranger(), &old, &new, None, &ClientInfo::default()).await;
        assert_eq!(refusal(nobody), Code::SchemaError);
        assert_eq!(
            refusal(update_password(deps, &caller, &old, &secret("x"), None, &ClientInfo::default()).await),
            Code::PasswordTooShort
        );
        let wrong = update_password(deps, &caller, &secret("wrong horse"), &new, None, &ClientInfo::default()).await;
        assert_eq!(refusal(wrong), Code::PasswordConfirmationMismatch);
        assert_eq!(scene.sessions_of(kept.user_id).await, 2);

        update_password(deps, &caller, &old, &new, Some(&kept.refresh_token), &ClientInfo::default()).await.unwrap();
        assert_eq!(scene.sessions_of(kept.user_id).await, 1);
        refresh(deps, &scene.project, &kept.refresh_token, &ClientInfo::default()).await.unwrap();
        let events = scene.events().await;
        assert_eq!(events[events.len() - 3..], ["user.password_changed", "factor.changed", "session.revoked"]);
        assert_eq!(refusal(scene.sign_in(EMAIL, PASSWORD).await), Code::EmailPasswordMismatch);

        // Without the header, or with the token of somebody else, the caller's own session ends too.
        update_password(deps, &caller, &new, &old, Some(&secret("unknown")), &ClientInfo::default()).await.unwrap();
        assert_eq!(scene.sessions_of(kept.user_id).await, 0);
        scene.sign_in(EMAIL, PASSWORD).await.unwrap();
        update_password(deps, &caller, &old, &new, None, &ClientInfo::default()).await.unwrap();
        assert_eq!(scene.sessions_of(kept.user_id).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_change_with_an_idempotency_key_succeeds_again() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let mut caller = scene.client(&scene.signed_up().await).await;
        caller.idempotency = Some(crate::actor::IdempotencyKey { key: "k".to_owned(), request_hash: vec![1] });
        for _ in 0..2 {
            let (old, new) = (secret(PASSWORD), secret("another horse"));
            update_password(scene.deps(), &caller, &old, &new, None, &ClientInfo::default()).await.unwrap();
        }
        let events = scene.events().await;
        assert_eq!(events.iter().filter(|kind| *kind == "user.password_changed").count(), 1);
        caller.idempotency = Some(crate::actor::IdempotencyKey { key: "other".to_owned(), request_hash: vec![1] });
        let refused =
            update_password(scene.deps(), &caller, &secret(PASSWORD), &secret(PASSWORD), None, &ClientInfo::default())
                .await;
        assert_eq!(refusal(refused), Code::PasswordConfirmationMismatch);
    })
    .await;
}

#[tokio::test]
async fn only_a_password_that_is_there_can_be_changed() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let caller = scene.client(&scene.anonymous().await).await;
        let updated =
            update_password(scene.deps(), &caller, &secret("x"), &secret(PASSWORD), None, &ClientInfo::default()).await;
        assert_eq!(refusal(updated), Code::UserDoesNotHavePassword);
    })
    .await;
}

#[tokio::test]
async fn a_password_changed_while_it_is_checked_lets_nobody_in() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        let (deps, actor) = (scene.deps(), scene.stranger());
        let email = EmailAddress::loose(EMAIL).unwrap();
        let stolen = users::credentials_by_email(deps, &scene.project, &email).await.unwrap();
        let other = Passwords::new(1).unwrap().hash("another horse").await.unwrap();
        let row = user::ActiveModel {
            id: Set(signed_in.user_id),
            password_hash: Set(Some(PasswordHash(other))),
            ..Default::default()
        };
        store(&scene, row).await;
        // Found before the change, written after it.
        let mismatch = email_password_mismatch;
        let password = &secret(PASSWORD);
        let check = Check { deps, actor: &actor, operation: "test", password, mismatch };
        let outcome: Result<()> = check.run(|| async { Ok(stolen.clone()) }, |_, _| async { Ok(()) }).await;
        assert_eq!(refusal(outcome), Code::EmailPasswordMismatch);
    })
    .await;
}

#[tokio::test]
async fn limits_of_new_passwords_are_told() {
    assert_eq!(
        details(require_acceptable(&secret("ääääääää").clone()).and(require_acceptable(&secret("1234567")))),
        json!({ "min_length": 8 })
    );
    assert_eq!(details(require_acceptable(&secret(&"x".repeat(71)))), json!({ "maxLength": 70 }));
}

#[tokio::test]
async fn a_flood_of_guesses_does_not_lock_out_whoever_is_signed_in_nearby() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let home = ClientInfo { ip: Some("2001:db8:1:2::3".parse().unwrap()), ..ClientInfo::default() };
        let away = ClientInfo { ip: Some("2001:db8:1:3::3".parse().unwrap()), ..ClientInfo::default() };
        let try_from = |client: &ClientInfo, email: &'static str| {
            let (scene, client) = (&scene, client.clone());
            async move {
                let password = secret(PASSWORD);
                sign_in_with_password(scene.deps(), &scene.stranger(), email, &password, &client).await
            }
        };
        scene.signed_up().await;
        try_from(&home, EMAIL).await.unwrap();
        for limit in ["passwords/account/", "code_mails/recipient/"] {
            scene.bench.rates.refuse(limit, std::time::Duration::from_secs(60));
        }
        assert_eq!(refusal(try_from(&away, EMAIL).await), Code::RateLimited);
        assert_eq!(refusal(try_from(&home, "nobody@example.com").await), Code::RateLimited);
        // The same customer's network, by another address of it.
        let neighbour = ClientInfo { ip: Some("2001:db8:1:2::4".parse().unwrap()), ..ClientInfo::default() };
        try_from(&neighbour, EMAIL).await.unwrap();
        let mail = |client: ClientInfo| {
            let scene = &scene;
            async move {
                let target = crate::sessions::LinkTarget::Callback(crate::sessions::test_scene::CALLBACK.to_owned());
                crate::sessions::send_password_reset(scene.deps(), &scene.stranger(), EMAIL, target, &client).await
            }
        };
        mail(neighbour).await.unwrap();
        // Another network has a small share of its own.
        mail(away.clone()).await.unwrap();
        scene.bench.rates.refuse("code_mails/network/", std::time::Duration::from_secs(60));
        assert_eq!(refusal(mail(away).await), Code::RateLimited);
        // But not without end.
        scene.bench.rates.refuse("passwords/address+account/", std::time::Duration::from_secs(60));
        assert_eq!(refusal(try_from(&home, EMAIL).await), Code::RateLimited);
    })
    .await;
}
