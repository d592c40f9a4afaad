use futures::future::join_all;
use secrecy::ExposeSecret;

use super::*;
use crate::{
    sessions::{
        check_code,
        test_scene::{CALLBACK, EMAIL, Scene, details, refusal},
    },
    testing::{START, on_each_database},
    users::channels::{CreateChannel, UpdateChannel},
};

fn callback() -> LinkTarget {
    LinkTarget::Callback(CALLBACK.to_owned())
}

async fn primary_channel(scene: &Scene, user_id: UserId) -> ContactChannel {
    let channels = channels::list(scene.deps(), &scene.server(), Some(user_id), None).await.unwrap();
    channels.into_iter().find(|channel| channel.is_primary).unwrap()
}

async fn is_verified(scene: &Scene, user_id: UserId) -> bool {
    primary_channel(scene, user_id).await.is_verified
}

#[tokio::test]
async fn a_code_brought_by_anybody_verifies_the_address_once() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        let (deps, caller) = (scene.deps(), scene.client(&signed_in).await);
        let channel = primary_channel(&scene, signed_in.user_id).await;
        send_verification(deps, &caller, signed_in.user_id, channel.id, callback(), &ClientInfo::default())
            .await
            .unwrap();
        let code = &scene.last_code().await;
        for _ in 0..2 {
            check_code(deps, &scene.project, CodeKind::EmailVerification, code).await.unwrap();
        }
        assert!(!is_verified(&scene, signed_in.user_id).await);
        let stranger = &scene.stranger();
        let outcomes = join_all((0..15).map(|_| verify_email(deps, stranger, code))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(is_verified(&scene, signed_in.user_id).await);
        assert_eq!(refusal(verify_email(deps, stranger, code).await), Code::VerificationCodeAlreadyUsed);
        // An event for those who ask for it, no `user.updated`.
        let events = scene.events().await;
        assert_eq!(events.last().unwrap(), "contact_channel.updated");
        assert!(!events.contains(&"user.updated".to_owned()));
        let again =
            send_verification(deps, &caller, signed_in.user_id, channel.id, callback(), &ClientInfo::default()).await;
        assert_eq!(refusal(again), Code::EmailAlreadyVerified);
    })
    .await;
}

#[tokio::test]
async fn a_verified_address_lifts_the_restriction_at_the_next_token() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        scene.configure(json!({ "onboarding.requireEmailVerification": true })).await;
        let signed_in = scene.signed_up().await;
        let claims = scene.claims(&signed_in).await;
        assert_eq!(claims.restricted_reason, Some(users::RestrictedReason::EmailNotVerified));
        let caller = scene.client(&signed_in).await;
        send_verification_to_primary(scene.deps(), &caller, EMAIL, LinkTarget::OwnPage, &ClientInfo::default())
            .await
            .unwrap();
        verify_email(scene.deps(), &scene.stranger(), &scene.last_code().await).await.unwrap();
        let client = crate::sessions::ClientInfo::default();
        let token = &signed_in.refresh_token;
        let refreshed = crate::sessions::refresh(scene.deps(), &scene.project, token, &client).await.unwrap();
        let claims = crate::sessions::verify(scene.deps(), refreshed.access_token.expose_secret()).await.unwrap();
        assert!(claims.email_verified && !claims.is_restricted);
    })
    .await;
}

#[tokio::test]
async fn a_code_ends_after_seven_days() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        let channel = primary_channel(&scene, signed_in.user_id).await;
        send_verification(
            scene.deps(),
            &scene.server(),
            signed_in.user_id,
            channel.id,
            callback(),
            &ClientInfo::default(),
        )
        .await
        .unwrap();
        scene.bench.clock.advance_seconds(7 * 24 * 60 * 60);
        let code = scene.last_code().await;
        assert_eq!(refusal(verify_email(scene.deps(), &scene.stranger(), &code).await), Code::VerificationCodeExpired);
        assert!(!is_verified(&scene, signed_in.user_id).await);
        assert_eq!(START.plus_seconds(7 * 24 * 60 * 60), scene.deps().now());
    })
    .await;
}

#[tokio::test]
async fn who_may_send_a_code_where() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        let (deps, caller, user_id) = (scene.deps(), scene.client(&signed_in).await, signed_in.user_id);
        let channel = primary_channel(&scene, user_id).await.id;
        let send = |actor: Actor, user_id: UserId, channel: ContactChannelId, target: LinkTarget| async move {
            send_verification(deps, &actor, user_id, channel, target, &ClientInfo::default()).await
        };
        let nowhere = LinkTarget::Callback("https://evil.example".to_owned());
        // Trust comes first, before anything is known of the user.
        let untrusted = send(scene.server(), UserId::random(), channel, nowhere.clone()).await;
        assert_eq!(refusal(untrusted), Code::RedirectUrlNotWhitelisted);
        assert_eq!(refusal(send(caller.clone(), UserId::random(), channel, callback()).await), Code::BadRequest);
        assert_eq!(refusal(send(scene.stranger(), user_id, channel, callback()).await), Code::BadRequest);
        let missing = UserId::random();
        let refused = send(scene.server(), missing, channel, callback()).await;
        assert_eq!(details(refused), json!({ "user_id": missing }));
        let refused = send(scene.server(), missing, channel, callback()).await;
        assert_eq!(refusal(refused), Code::UserIdDoesNotExist);
        let no_channel = send(caller.clone(), user_id, ContactChannelId::random(), callback()).await;
        assert_eq!(refusal(no_channel), Code::NotFound);
        let foreign = send(scene.server(), scene.anonymous().await.user_id, channel, callback()).await;
        assert_eq!(refusal(foreign), Code::NotFound);
        assert_eq!(scene.links().await, []);

        send(scene.server(), user_id, channel, LinkTarget::OwnPage).await.unwrap();
        let (address, link) = scene.links().await.pop().unwrap();
        assert_eq!(address, EMAIL);
        let page = format!("http://localhost:8102/verify/email?project_id={}&code=", scene.project);
        assert!(link.as_str().starts_with(&page), "{link}");
    })
    .await;
}

#[tokio::test]
async fn the_way_of_older_clients_takes_the_primary_address_only() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        let (deps, caller) = (scene.deps(), scene.client(&signed_in).await);
        let send = |actor: Actor, email: &'static str| async move {
            send_verification_to_primary(deps, &actor, email, callback(), &ClientInfo::default()).await
        };
        assert_eq!(refusal(send(scene.stranger(), EMAIL).await), Code::SchemaError);
        assert_eq!(refusal(send(caller.clone(), "x@y").await), Code::SchemaError);
        let other = details(send(caller.clone(), "Other@example.com").await);
        assert_eq!(other, json!({ "email": "other@example.com", "primary_email": EMAIL }));
        let nameless = scene.client(&scene.anonymous().await).await;
        let none = details(send(nameless, EMAIL).await);
        assert_eq!(none, json!({ "email": EMAIL, "primary_email": null }));
        assert_eq!(scene.links().await, []);

        send(caller.clone(), "ADA@example.com").await.unwrap();
        verify_email(deps, &scene.stranger(), &scene.last_code().await).await.unwrap();
        assert_eq!(refusal(send(caller, EMAIL).await), Code::EmailAlreadyVerified);
    })
    .await;
}

#[tokio::test]
async fn a_code_for_an_address_the_user_gave_up_verifies_nothing_and_is_used_up() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        let (deps, user_id) = (scene.deps(), signed_in.user_id);
        let channel = primary_channel(&scene, user_id).await;
        send_verification(deps, &scene.server(), user_id, channel.id, callback(), &ClientInfo::default())
            .await
            .unwrap();
        let code = &scene.last_code().await;
        let change = UpdateChannel { value: Some("new@example.com".to_owned()), ..UpdateChannel::default() };
        channels::update(deps, &scene.server(), user_id, channel.id, change).await.unwrap();
        assert_eq!(refusal(verify_email(deps, &scene.stranger(), code).await), Code::BadRequest);
        assert!(!is_verified(&scene, user_id).await);
        assert_eq!(refusal(verify_email(deps, &scene.stranger(), code).await), Code::VerificationCodeAlreadyUsed);
    })
    .await;
}

#[tokio::test]
async fn codes_go_with_their_user() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        let channel = primary_channel(&scene, signed_in.user_id).await;
        send_verification(
            scene.deps(),
            &scene.server(),
            signed_in.user_id,
            channel.id,
            callback(),
            &ClientInfo::default(),
        )
        .await
        .unwrap();
        let code = scene.last_code().await;
        users::delete(scene.deps(), &scene.server(), signed_in.user_id).await.unwrap();
        let gone = verify_email(scene.deps(), &scene.stranger(), &code).await;
        assert_eq!(refusal(gone), Code::VerificationCodeNotFound);
    })
    .await;
}

#[tokio::test]
async fn every_channel_of_a_user_can_be_verified() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = scene.signed_up().await;
        let (deps, caller) = (scene.deps(), scene.client(&signed_in).await);
        let input = CreateChannel {
            user_id: signed_in.user_id,
            value: "second@example.com".to_owned(),
            used_for_auth: false,
            is_primary: None,
            is_verified: None,
        };
        let second = channels::create(deps, &caller, input).await.unwrap();
        send_verification(deps, &caller, signed_in.user_id, second.id, callback(), &ClientInfo::default())
            .await
            .unwrap();
        assert_eq!(scene.links().await[0].0, "second@example.com");
        let verified = verify_email(deps, &caller, &scene.last_code().await).await.unwrap();
        assert_eq!((verified.id, verified.is_verified), (second.id, true));
        assert!(!is_verified(&scene, signed_in.user_id).await);
    })
    .await;
}
