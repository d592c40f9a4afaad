use futures::future::join_all;
use serde_json::json;

use super::*;
use crate::{
    ProjectId,
    sessions::{
        create_invite, refresh,
        test_scene::{CALLBACK, EMAIL, PASSWORD, Scene, details, refusal, secret},
        verify_email,
    },
    settings::Settings,
    testing::{START, TestBench, TestDatabase, on_each_database, settings},
    users::UpdateUser,
};

#[tokio::test]
async fn a_new_user_is_signed_in_with_its_address_as_primary_unverified_and_good_to_sign_in() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let input = PasswordSignUp { email: " Ada@Example.COM ".to_owned(), ..scene.input() };
        let signed_in = scene.sign_up(&scene.stranger(), input).await.unwrap();
        let claims = scene.claims(&signed_in).await;
        assert_eq!((claims.email.as_deref(), claims.email_verified), (Some(EMAIL), false));
        assert_eq!((claims.is_anonymous, claims.is_restricted), (false, false));
        let user = users::find(scene.deps(), &scene.project, signed_in.user_id).await.unwrap().unwrap();
        let primary = user.primary_email.unwrap();
        assert_eq!((primary.is_verified, primary.used_for_auth, user.has_password), (false, true, true));
        assert!(scene.user(signed_in.user_id).await.password_hash.unwrap().0.starts_with("$argon2id$"));
        assert_eq!(scene.events().await, ["user.created", "session.created", "sign_in.succeeded"]);
        // No callback URL, no mail.
        assert_eq!(scene.counts().await, (1, 1, 0));
        refresh(scene.deps(), &scene.project, &signed_in.refresh_token, &ClientInfo::default()).await.unwrap();
        scene.sign_in(EMAIL, PASSWORD).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn checks_come_in_the_order_of_the_contract_and_leave_nothing() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let wrong = PasswordSignUp {
            email: "x@y".to_owned(),
            password: secret("short"),
            verification: Some(LinkTarget::Callback("https://evil.example".to_owned())),
            invite_code: None,
            challenge: BotChallenge::default(),
        };
        let off = |key: &str| json!({ key: false });
        scene.configure(json!({ "auth.password.allowSignIn": false, "auth.allowSignUp": false })).await;
        let try_now = |input: PasswordSignUp| {
            let scene = &scene;
            async move { scene.sign_up(&scene.stranger(), input).await }
        };
        assert_eq!(refusal(try_now(wrong.clone()).await), Code::SchemaError);
        let wrong = PasswordSignUp { email: EMAIL.to_owned(), ..wrong };
        assert_eq!(refusal(try_now(wrong.clone()).await), Code::PasswordAuthenticationNotEnabled);
        scene.configure(off("auth.allowSignUp")).await;
        assert_eq!(refusal(try_now(wrong.clone()).await), Code::RedirectUrlNotWhitelisted);
        let wrong = PasswordSignUp { verification: None, ..wrong };
        assert_eq!(refusal(try_now(wrong.clone()).await), Code::SignUpNotEnabled);
        scene.configure(json!({})).await;
        let outcome = try_now(wrong.clone()).await;
        assert_eq!(details(outcome), json!({ "min_length": 8 }));
        assert_eq!(refusal(try_now(wrong.clone()).await), Code::PasswordTooShort);
        for (password, code) in [("", Code::PasswordTooShort), (&"x".repeat(71), Code::PasswordTooLong)] {
            let wrong = PasswordSignUp { password: secret(password), ..wrong.clone() };
            assert_eq!(refusal(try_now(wrong).await), code);
        }
        assert_eq!(scene.counts().await, (0, 0, 0));
        let longest = PasswordSignUp { password: secret(&"ä".repeat(70)), ..wrong };
        try_now(longest.clone()).await.unwrap();
        let taken = details(try_now(longest.clone()).await);
        assert_eq!(taken, json!({ "email": EMAIL, "would_work_if_email_was_verified": false }));
        let upper = PasswordSignUp { email: EMAIL.to_uppercase(), ..longest };
        assert_eq!(refusal(try_now(upper).await), Code::UserEmailAlreadyExists);
        assert_eq!(scene.counts().await, (1, 1, 0));
    })
    .await;
}

#[tokio::test]
async fn of_many_sign_ups_with_one_address_one_succeeds() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let stranger = scene.stranger();
        let outcomes = join_all((0..8).map(|_| scene.sign_up(&stranger, scene.input()))).await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        assert!(lost.into_iter().all(|lost| lost.unwrap_err().is(Code::UserEmailAlreadyExists)));
        assert_eq!(scene.counts().await, (1, 1, 0));
    })
    .await;
}

#[tokio::test]
async fn the_verification_mail_carries_a_code_that_verifies() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let verification = Some(LinkTarget::Callback(CALLBACK.to_owned()));
        let signed_in =
            scene.sign_up(&scene.stranger(), PasswordSignUp { verification, ..scene.input() }).await.unwrap();
        let (address, link) = scene.links().await.pop().unwrap();
        assert_eq!(address, EMAIL);
        assert!(link.as_str().starts_with(&format!("{CALLBACK}&code=")), "{link}");
        let channel = verify_email(scene.deps(), &scene.stranger(), &scene.last_code().await).await.unwrap();
        assert_eq!((channel.user_id, channel.is_verified), (signed_in.user_id, true));
    })
    .await;
}

#[tokio::test]
async fn an_anonymous_user_who_signs_up_stays_the_same_user() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        // Works with sign-ups off; becoming a regular user does not.
        scene.configure(json!({ "auth.allowSignUp": false, "teams.createPersonalTeamOnSignUp": true })).await;
        let nobody = &ClientInfo::default();
        let anonymous = sign_up_anonymously(scene.deps(), &scene.stranger(), nobody).await.unwrap();
        let claims = scene.claims(&anonymous).await;
        assert!(claims.is_anonymous && claims.is_restricted && claims.email.is_none());
        assert_eq!(claims.aud, format!("{}:anon", scene.project));
        let caller = scene.client(&anonymous).await;
        assert_eq!(refusal(scene.sign_up(&caller, scene.input()).await), Code::SignUpNotEnabled);
        scene.configure(json!({ "teams.createPersonalTeamOnSignUp": true })).await;
        let metadata = UpdateUser { client_metadata: Some(json!({"kept": true})), ..UpdateUser::default() };
        users::update(scene.deps(), &scene.server(), anonymous.user_id, metadata).await.unwrap();

        scene.bench.clock.advance_seconds(10);
        let signed_in = scene.sign_up(&caller, scene.input()).await.unwrap();
        assert_eq!(signed_in.user_id, anonymous.user_id);
        let claims = scene.claims(&signed_in).await;
        assert!(!claims.is_anonymous && !claims.is_restricted);
        assert_eq!((claims.email.as_deref(), claims.signed_up_at), (Some(EMAIL), START.seconds() + 10));
        let user = scene.user(signed_in.user_id).await;
        assert_eq!((user.client_metadata, user.signed_up_at), (Some(json!({"kept": true})), START.plus_seconds(10)));
        // The sessions of the anonymous user are gone.
        assert_eq!(scene.sessions_of(signed_in.user_id).await, 1);
        let old = refresh(scene.deps(), &scene.project, &anonymous.refresh_token, nobody).await;
        assert_eq!(refusal(old), Code::RefreshTokenNotFoundOrExpired);
        let team = users::find(scene.deps(), &scene.project, user.id).await.unwrap().unwrap().selected_team.unwrap();
        assert_eq!(team.display_name, format!("{EMAIL}'s Team"));
        assert!(scene.events().await.contains(&"user.updated".to_owned()));

        // The old token again: the user is no longer anonymous, so this is somebody else.
        let second = PasswordSignUp { email: "second@example.com".to_owned(), ..scene.input() };
        assert_ne!(scene.sign_up(&caller, second).await.unwrap().user_id, anonymous.user_id);
    })
    .await;
}

#[tokio::test]
async fn a_clash_leaves_the_anonymous_user_anonymous_and_signed_in() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        scene.signed_up().await;
        let anonymous = scene.anonymous().await;
        let caller = scene.client(&anonymous).await;
        assert_eq!(refusal(scene.sign_up(&caller, scene.input()).await), Code::UserEmailAlreadyExists);
        assert!(scene.user(anonymous.user_id).await.is_anonymous);
        assert_eq!(scene.sessions_of(anonymous.user_id).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_signed_in_user_who_signs_up_makes_a_second_account() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let first = scene.signed_up().await;
        let caller = scene.client(&first).await;
        let second = PasswordSignUp { email: "second@example.com".to_owned(), ..scene.input() };
        assert_ne!(scene.sign_up(&caller, second).await.unwrap().user_id, first.user_id);
        assert_eq!(scene.sessions_of(first.user_id).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_sign_up_with_an_idempotency_key_answers_the_same_session() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let mut actor = scene.stranger();
        let key = crate::actor::IdempotencyKey { key: "k".to_owned(), request_hash: vec![1] };
        actor.idempotency = Some(key);
        let first = scene.sign_up(&actor, scene.input()).await.unwrap();
        let again = scene.sign_up(&actor, scene.input()).await.unwrap();
        assert_eq!((again.user_id, again.session_id), (first.user_id, first.session_id));
        assert_eq!(again.refresh_token.expose_secret(), first.refresh_token.expose_secret());
        assert_eq!(scene.counts().await, (1, 1, 0));
        let key = crate::actor::IdempotencyKey { key: "k".to_owned(), request_hash: vec![2] };
        actor.idempotency = Some(key);
        assert_eq!(refusal(scene.sign_up(&actor, scene.input()).await), Code::IdempotencyKeyReused);
        // The session may be over when the request is repeated.
        users::delete(scene.deps(), &scene.server(), first.user_id).await.unwrap();
        actor.idempotency = Some(crate::actor::IdempotencyKey { key: "k".to_owned(), request_hash: vec![1] });
        assert_eq!(refusal(scene.sign_up(&actor, scene.input()).await), Code::RefreshTokenNotFoundOrExpired);
    })
    .await;
}

/// Project `internal` of an installation where signing up needs an invitation.
async fn invited_only(database: &TestDatabase) -> Scene {
    let settings = Settings { internal_sign_up: InternalSignUp::Invite, ..settings() };
    let bench = TestBench::with_settings(database, settings).await;
    let project = bench.insert_project_with_id(ProjectId::internal()).await;
    Scene::with(bench, project, json!({})).await
}

#[tokio::test]
async fn an_invitation_lets_one_person_sign_up_on_internal() {
    for database in TestDatabase::each().await {
        let scene = invited_only(&database).await;
        let stranger = scene.stranger();
        assert_eq!(refusal(scene.sign_up(&stranger, scene.input()).await), Code::SignUpNotEnabled);
        let anonymous = sign_up_anonymously(scene.deps(), &stranger, &ClientInfo::default()).await;
        assert_eq!(refusal(anonymous), Code::SignUpNotEnabled);

        let invite = create_invite(scene.deps()).await.unwrap();
        let with = |code: &str, email: &str| PasswordSignUp {
            email: email.to_owned(),
            invite_code: Some(secret(code)),
            ..scene.input()
        };
        let code = invite.code.expose_secret();
        assert_eq!(refusal(scene.sign_up(&stranger, with("short", EMAIL)).await), Code::SchemaError);
        let unknown = scene.sign_up(&stranger, with(&"0".repeat(45), EMAIL)).await;
        assert_eq!(refusal(unknown), Code::VerificationCodeNotFound);
        // A refused sign-up does not cost the invitation.
        let weak = PasswordSignUp { password: secret("short"), ..with(code, EMAIL) };
        assert_eq!(refusal(scene.sign_up(&stranger, weak).await), Code::PasswordTooShort);

        let inputs = ["a@example.com", "b@example.com", "c@example.com"].map(|email| with(code, email));
        let outcomes = join_all(inputs.map(|input| scene.sign_up(&stranger, input))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(scene.counts().await.0, 1);
        let used = scene.sign_up(&stranger, with(code, EMAIL)).await;
        assert_eq!(refusal(used), Code::VerificationCodeAlreadyUsed);

        let expiring = create_invite(scene.deps()).await.unwrap();
        scene.bench.clock.advance_seconds(7 * 24 * 60 * 60);
        let code = expiring.code.expose_secret();
        assert_eq!(refusal(scene.sign_up(&stranger, with(code, EMAIL)).await), Code::VerificationCodeExpired);
        drop(scene);
    }
}

#[tokio::test]
async fn other_projects_need_no_invitation() {
    let database = TestDatabase::sqlite().await;
    let internal = invited_only(&database).await;
    let project = internal.bench.insert_project().await;
    let scene = Scene::with(internal.bench, project, json!({})).await;
    scene.signed_up().await;
}
