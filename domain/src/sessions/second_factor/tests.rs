use base64::{Engine, prelude::BASE64_STANDARD};
use futures::future::join_all;
use totp_rs::Builder;

use super::*;
use crate::sessions::{
    codes::check_code,
    create_recovery_codes,
    test_scene::{EMAIL, PASSWORD, Scene, details, refusal, secret},
};
use crate::{
    patch::Patch,
    testing::on_each_database,
    users::{UpdateOwnUser, UpdateUser, update, update_own},
};

const SECRET: &[u8] = b"12345678901234567890";

fn totp_at(scene: &Scene, steps: i64) -> SecretString {
    let seconds = scene.deps().now().millis() / 1000 + steps * 30;
    let totp = Builder::new().with_secret(SECRET.to_vec()).build().unwrap();
    totp.generate(u64::try_from(seconds).unwrap()).to_string().into()
}

/// Somebody with the factor on, and signed in.
async fn protected(scene: &Scene) -> SignedIn {
    let signed_in = scene.signed_up().await;
    let on = UpdateOwnUser {
        totp_secret_base64: Patch::Set(BASE64_STANDARD.encode(SECRET).into()),
        ..UpdateOwnUser::default()
    };
    update_own(scene.deps(), &scene.client(&signed_in).await, on).await.unwrap();
    signed_in
}

async fn attempt(scene: &Scene) -> OneTimeCode {
    let waiting = details(scene.sign_in(EMAIL, PASSWORD).await);
    OneTimeCode::parse(waiting["attempt_code"].as_str().unwrap()).unwrap()
}

async fn finish(scene: &Scene, attempt: &OneTimeCode, factor: SecondFactor) -> Result<SignedIn> {
    sign_in_with_second_factor(scene.deps(), &scene.stranger(), attempt, &factor, &ClientInfo::default()).await
}

#[tokio::test]
async fn a_wrong_code_leaves_the_attempt_good_and_a_right_one_counts_once() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let user_id = protected(&scene).await.user_id;
        let first = &attempt(&scene).await;
        for wrong in [secret("000000"), secret("not a code"), secret(""), totp_at(&scene, -1), totp_at(&scene, 1)] {
            assert_eq!(refusal(finish(&scene, first, SecondFactor::Totp(wrong)).await), Code::InvalidTotpCode);
        }
        let right = totp_at(&scene, 0);
        let signed_in = finish(&scene, first, SecondFactor::Totp(right.clone())).await.unwrap();
        assert_eq!((signed_in.user_id, signed_in.is_new_user), (user_id, false));
        assert!(scene.claims(&signed_in).await.requires_totp_mfa);
        // Seen over the shoulder, the code is worth nothing within its own half minute.
        let second = &attempt(&scene).await;
        assert_eq!(refusal(finish(&scene, second, SecondFactor::Totp(right)).await), Code::InvalidTotpCode);
        scene.bench.clock.advance_seconds(30);
        finish(&scene, second, SecondFactor::Totp(totp_at(&scene, 0))).await.unwrap();
        let used = finish(&scene, second, SecondFactor::Totp(totp_at(&scene, 0))).await;
        assert_eq!(refusal(used), Code::VerificationCodeAlreadyUsed);
    })
    .await;
}

#[tokio::test]
async fn of_two_attempts_at_once_one_takes_the_code() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        protected(&scene).await;
        let attempts = [attempt(&scene).await, attempt(&scene).await, attempt(&scene).await];
        let code = totp_at(&scene, 0);
        let outcomes =
            join_all(attempts.iter().map(|attempt| finish(&scene, attempt, SecondFactor::Totp(code.clone())))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_attempt_ends_after_twenty_guesses_or_five_minutes() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        protected(&scene).await;
        let guessed = &attempt(&scene).await;
        for _ in 0..20 {
            let outcome = finish(&scene, guessed, SecondFactor::Totp(secret("000000"))).await;
            assert_eq!(refusal(outcome), Code::InvalidTotpCode);
        }
        let right = finish(&scene, guessed, SecondFactor::Totp(totp_at(&scene, 0))).await;
        assert_eq!(refusal(right), Code::VerificationCodeMaxAttemptsReached);
        let late = &attempt(&scene).await;
        scene.bench.clock.advance_seconds(ATTEMPT_SECONDS);
        let outcome = finish(&scene, late, SecondFactor::Totp(totp_at(&scene, 0))).await;
        assert_eq!(refusal(outcome), Code::VerificationCodeExpired);
        let failures = scene.events().await.iter().filter(|kind| *kind == "sign_in.failed").count();
        assert_eq!(failures, 20);
    })
    .await;
}

#[tokio::test]
async fn guesses_are_counted_by_account_whatever_the_attempt() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        protected(&scene).await;
        let attempt = &attempt(&scene).await;
        scene.bench.rates.refuse("second_factors/account", std::time::Duration::from_secs(60));
        let outcome = finish(&scene, attempt, SecondFactor::Totp(totp_at(&scene, 0))).await;
        assert_eq!(refusal(outcome), Code::RateLimited);
        // It was not counted as an attempt, and is good for later.
        check_code(scene.deps(), &scene.project, CodeKind::SecondFactor, attempt).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn recovery_codes_are_good_once_each_and_go_with_the_factor() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let signed_in = protected(&scene).await;
        let owner = scene.client(&signed_in).await;
        let client = ClientInfo::default();
        let first = create_recovery_codes(scene.deps(), &owner, &client).await.unwrap();
        let codes = create_recovery_codes(scene.deps(), &owner, &client).await.unwrap();
        assert_eq!((first.len(), codes.len()), (10, 10));
        let waiting = &attempt(&scene).await;
        let by = |code: &str| SecondFactor::RecoveryCode(secret(code));
        assert_eq!(refusal(finish(&scene, waiting, by(&first[0])).await), Code::InvalidTotpCode);
        finish(&scene, waiting, by(&codes[0].to_uppercase().replace('-', ""))).await.unwrap();
        let waiting = &attempt(&scene).await;
        assert_eq!(refusal(finish(&scene, waiting, by(&codes[0])).await), Code::InvalidTotpCode);
        let outcomes = join_all((0..3).map(|_| finish(&scene, waiting, by(&codes[1])))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        // Another secret, and they are gone.
        let change = UpdateUser { totp_secret_base64: Patch::Set("AAECAwQFBgcICQ==".into()), ..UpdateUser::default() };
        update(scene.deps(), &scene.server(), signed_in.user_id, change).await.unwrap();
        let waiting = &attempt(&scene).await;
        assert_eq!(refusal(finish(&scene, waiting, by(&codes[2])).await), Code::InvalidTotpCode);
    })
    .await;
}

#[tokio::test]
async fn recovery_codes_are_for_users_with_a_factor_only() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let owner = scene.client(&scene.signed_up().await).await;
        let client = ClientInfo::default();
        assert_eq!(refusal(create_recovery_codes(scene.deps(), &owner, &client).await), Code::BadRequest);
        let nobody = create_recovery_codes(scene.deps(), &scene.stranger(), &client).await;
        assert_eq!(refusal(nobody), Code::UserAuthenticationRequired);
    })
    .await;
}

#[tokio::test]
async fn whoever_changes_the_factor_may_end_all_other_sessions() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let kept = scene.signed_up().await;
        scene.sign_in(EMAIL, PASSWORD).await.unwrap();
        scene.sign_in(EMAIL, PASSWORD).await.unwrap();
        let on = UpdateOwnUser {
            totp_secret_base64: Patch::Set(BASE64_STANDARD.encode(SECRET).into()),
            ends_other_sessions: true,
            ..UpdateOwnUser::default()
        };
        update_own(scene.deps(), &scene.client(&kept).await, on).await.unwrap();
        assert_eq!(scene.sessions_of(kept.user_id).await, 1);
        let told = scene.bench.events(&scene.project).await;
        let change = told.iter().find(|(kind, _)| kind == "factor.changed").unwrap();
        assert_eq!((&change.1["factor"], &change.1["change"]), (&json!("totp"), &json!("set")));
    })
    .await;
}
