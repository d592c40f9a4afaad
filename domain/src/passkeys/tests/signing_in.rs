//! Whom a passkey lets in: how often, for how long, and where.

use futures::future::join_all;

use super::*;
use crate::{
    Level,
    sessions::test_scene::details,
    users::{self, UpdateUser},
};

#[tokio::test]
async fn a_passkey_signs_in_until_it_is_replaced_or_taken_away() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let signed_in = scene.signed_up().await;
        let actor = &scene.client(&signed_in).await;
        let (mut first, mut second) = (Authenticator::new(1), Authenticator::new(2));
        assert_eq!(refusal(enter(&scene, &mut first).await), Code::PasskeyAuthenticationFailed);
        assert_eq!(add(&scene, actor, &first).await.unwrap(), BASE64.encode([1; 16]));
        let user = users::find(scene.deps(), &scene.project, signed_in.user_id).await.unwrap().unwrap();
        assert!(user.passkey_auth_enabled);
        for _ in 0..2 {
            let again = enter(&scene, &mut first).await.unwrap();
            assert_eq!((again.user_id, again.is_new_user), (signed_in.user_id, false));
        }
        // It need not verify who holds it, though it did when it was made.
        first.flags = PRESENT;
        first.user_handle = Some(signed_in.user_id.to_string().into_bytes());
        enter(&scene, &mut first).await.unwrap();
        add(&scene, actor, &second).await.unwrap();
        assert_eq!(refusal(enter(&scene, &mut first).await), Code::PasskeyAuthenticationFailed);
        enter(&scene, &mut second).await.unwrap();
        let change = UpdateUser { passkey_auth_enabled: Some(false), ..UpdateUser::default() };
        let user = users::update(scene.deps(), &scene.server(), signed_in.user_id, change).await.unwrap();
        assert!(!user.passkey_auth_enabled);
        assert_eq!(refusal(enter(&scene, &mut second).await), Code::PasskeyAuthenticationFailed);
    })
    .await;
}

#[tokio::test]
async fn a_challenge_is_answered_once_in_time_and_by_whom_it_was_for() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let (ada, bob) = (scene.signed_up().await, scene.anonymous().await);
        let (deps, client) = (scene.deps(), &ClientInfo::default());
        let (actor, other) = (&scene.client(&ada).await, &scene.client(&bob).await);
        let mut authenticator = Authenticator::new(1);
        let challenge = start_registration(deps, actor, client).await.unwrap();
        let answer = &authenticator.create(&challenge.options);
        let theirs = register(deps, other, &code(&challenge), answer, false, client).await;
        assert_eq!(refusal(theirs), Code::VerificationCodeNotFound);
        let used = register(deps, actor, &code(&challenge), answer, false, client).await;
        assert_eq!(refusal(used), Code::VerificationCodeAlreadyUsed);
        add(&scene, actor, &authenticator).await.unwrap();
        let challenge = start_sign_in(deps, &scene.stranger(), client).await.unwrap();
        let answer = &authenticator.get(&challenge.options);
        let (code_, stranger) = (&code(&challenge), &scene.stranger());
        let outcomes = join_all((0..4).map(|_| sign_in(deps, stranger, code_, answer, client))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let late = start_sign_in(deps, stranger, client).await.unwrap();
        let answer = &authenticator.get(&late.options);
        scene.bench.clock.advance_seconds(register::CHALLENGE_SECONDS);
        let outcome = sign_in(deps, stranger, &code(&late), answer, client).await;
        assert_eq!(refusal(outcome), Code::VerificationCodeExpired);
    })
    .await;
}

#[tokio::test]
async fn passkeys_are_of_one_project_need_its_switch_and_pass_the_gate() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let signed_in = scene.signed_up().await;
        let mut authenticator = Authenticator::new(1);
        add(&scene, &scene.client(&signed_in).await, &authenticator).await.unwrap();
        let (deps, client) = (scene.deps(), &ClientInfo::default());
        let other = scene.bench.insert_project().await;
        let trusting = json!({ "auth.passkey.allowSignIn": true, "domains.trustedDomains.a.baseUrl": ORIGIN });
        scene.bench.set_config(&other, trusting).await;
        let foreign = Actor::new(other, Level::Client, None);
        let challenge = start_sign_in(deps, &foreign, client).await.unwrap();
        let outcome = sign_in(deps, &foreign, &code(&challenge), &authenticator.get(&challenge.options), client).await;
        assert_eq!(refusal(outcome), Code::PasskeyAuthenticationFailed);
        let totp = UpdateUser {
            totp_secret_base64: crate::patch::Patch::Set("AAECAwQFBgcICQ==".into()),
            ..UpdateUser::default()
        };
        users::update(deps, &scene.server(), signed_in.user_id, totp).await.unwrap();
        assert!(details(enter(&scene, &mut authenticator).await)["attempt_code"].is_string());
        scene.configure(json!({ "auth.passkey.allowSignIn": false })).await;
        let off = start_sign_in(deps, &scene.stranger(), client).await.map(drop);
        assert_eq!(refusal(off), Code::PasskeyAuthenticationNotEnabled);
        let nobody = start_registration(deps, &scene.stranger(), client).await.map(drop);
        assert_eq!(refusal(nobody), Code::SchemaError);
    })
    .await;
}

#[tokio::test]
async fn an_id_of_somebody_else_s_passkey_takes_nothing_away() {
    on_each_database(|bench| async move {
        let scene = scene(bench).await;
        let (ada, eve) = (scene.signed_up().await, scene.anonymous().await);
        let mut authenticator = Authenticator::new(1);
        add(&scene, &scene.client(&ada).await, &authenticator).await.unwrap();
        let mut forged = Authenticator::new(2);
        forged.id = authenticator.id;
        assert_eq!(refusal(add(&scene, &scene.client(&eve).await, &forged).await), Code::PasskeyRegistrationFailed);
        assert_eq!(refusal(enter(&scene, &mut forged).await), Code::PasskeyAuthenticationFailed);
        assert_eq!(enter(&scene, &mut authenticator).await.unwrap().user_id, ada.user_id);
        // Whoever was thrown out makes no key that outlives it.
        crate::sessions::revoke_all(scene.deps(), &scene.server(), ada.user_id).await.unwrap();
        let thrown_out = scene.client(&ada).await;
        let late = start_registration(scene.deps(), &thrown_out, &ClientInfo::default()).await.map(drop);
        assert_eq!(refusal(late), Code::AccessTokenExpired);
    })
    .await;
}
