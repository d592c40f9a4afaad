//! Joining by our own page, on both databases.

use serde_json::{Value, json};

use super::*;
use crate::{
    TeamId,
    projects::default_settings,
    sessions::{
        MIN_PASSWORD_CHARS,
        test_scene::{PASSWORD, Scene, refusal, secret},
    },
    teams::invitations::{revoke, tests::scene},
    testing::{TestBench, on_each_database, server},
    users::{CreateUser, RestrictedReason},
};

const GUEST: &str = "guest@example.com";

/// The usual scene with changes of the config, and the code of an invitation into a team.
async fn invited_into(bench: TestBench, config: Value) -> (Scene, TeamId, OneTimeCode) {
    let scene = scene(bench).await;
    let mut settings = Value::from(default_settings());
    settings.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    scene.configure(settings).await;
    let host = scene.member("host@example.com", true).await;
    let team = scene.team(host).await;
    scene.invite(&server(&scene.project), team, GUEST).await.unwrap();
    let code = scene.last_code().await;
    (scene, team, code)
}

impl Scene {
    async fn join(&self, code: &OneTimeCode, password: &str) -> Result<Membership> {
        join_by_page(self.deps(), &self.stranger(), code, &secret(password), &ClientInfo::default()).await
    }

    async fn way_in(&self, code: &OneTimeCode) -> WayIn {
        welcome(self.deps(), &self.stranger(), code).await.unwrap().way_in
    }

    async fn account(&self, more: CreateUser) -> UserId {
        let input =
            CreateUser { primary_email: Some(GUEST.to_owned()), primary_email_auth_enabled: Some(true), ..more };
        users::create(self.deps(), &self.server(), input).await.unwrap().id
    }
}

fn with_password() -> CreateUser {
    CreateUser { password: Some(secret(PASSWORD)), ..CreateUser::default() }
}

#[tokio::test]
async fn somebody_new_makes_an_account_and_joins_once() {
    on_each_database(|bench| async move {
        let (scene, team, code) = invited_into(bench, json!({ "onboarding.requireEmailVerification": true })).await;
        let deps = scene.deps();
        let told = Welcome {
            team_display_name: "Crew".to_owned(),
            recipient_email: GUEST.to_owned(),
            way_in: WayIn::NewAccount,
        };
        // As often as anybody looks.
        for _ in 0..30 {
            assert_eq!(welcome(deps, &scene.stranger(), &code).await.unwrap(), told);
        }
        assert_eq!(refusal(scene.join(&code, &"x".repeat(MIN_PASSWORD_CHARS - 1)).await), Code::PasswordTooShort);
        assert_eq!(refusal(scene.join(&code, &"x".repeat(71)).await), Code::PasswordTooLong);
        let (users_before, sessions_before, _) = scene.counts().await;
        let joined = scene.join(&code, PASSWORD).await.unwrap();
        assert_eq!(joined.team_id, team);
        let (users_now, sessions_now, _) = scene.counts().await;
        assert_eq!((users_now, sessions_now), (users_before + 1, sessions_before), "nobody is signed in by it");
        let user = users::find(deps, &scene.project, joined.user_id).await.unwrap().unwrap();
        let primary = user.primary_email.as_ref().unwrap();
        assert_eq!((primary.address.as_str(), primary.is_verified, user.is_restricted()), (GUEST, true, false));
        assert_eq!(scene.sign_in(GUEST, PASSWORD).await.unwrap().user_id, joined.user_id);
        assert_eq!(refusal(scene.join(&code, PASSWORD).await), Code::VerificationCodeAlreadyUsed);
        let again = welcome(deps, &scene.stranger(), &code).await;
        assert_eq!(refusal(again), Code::VerificationCodeAlreadyUsed);
        let kinds = scene.events().await;
        let tail = ["user.created", "team_invitation.accepted", "team_membership.created", "team_permission.created"];
        let at = kinds.iter().rposition(|kind| kind == "user.created").unwrap();
        assert_eq!(kinds[at..at + tail.len()], tail);
    })
    .await;
}

#[tokio::test]
async fn somebody_with_an_account_joins_by_its_password() {
    on_each_database(|bench| async move {
        let (scene, team, code) = invited_into(bench, json!({})).await;
        let user = scene.account(with_password()).await;
        assert_eq!(scene.way_in(&code).await, WayIn::Password);
        assert_eq!(refusal(scene.join(&code, "not the password").await), Code::EmailPasswordMismatch);
        assert_eq!(refusal(scene.join(&code, &"x".repeat(71)).await), Code::SchemaError);
        let (users, sessions, _) = scene.counts().await;
        assert_eq!(scene.join(&code, PASSWORD).await.unwrap(), Membership { team_id: team, user_id: user });
        assert_eq!((scene.counts().await.0, scene.counts().await.1), (users, sessions), "nobody is signed in by it");
        // Invited once more, a member stays one.
        scene.invite(&scene.server(), team, GUEST).await.unwrap();
        assert_eq!(scene.join(&scene.last_code().await, PASSWORD).await.unwrap().user_id, user);
    })
    .await;
}

#[tokio::test]
async fn a_password_is_tried_as_often_as_at_sign_in() {
    on_each_database(|bench| async move {
        let (scene, _, code) = invited_into(bench, json!({})).await;
        scene.account(with_password()).await;
        scene.bench.rates.refuse("passwords/", std::time::Duration::from_secs(9));
        assert_eq!(refusal(scene.join(&code, PASSWORD).await), Code::RateLimited);
    })
    .await;
}

#[tokio::test]
async fn what_a_page_cannot_do_is_left_to_the_application() {
    on_each_database(|bench| async move {
        let (scene, _, code) = invited_into(bench, json!({ "auth.allowSignUp": false })).await;
        let refused = async || {
            assert_eq!(scene.way_in(&code).await, WayIn::Application);
            assert_eq!(refusal(scene.join(&code, PASSWORD).await), Code::BadRequest);
        };
        refused().await;
        let deps = scene.deps();
        for more in [
            CreateUser::default(),
            CreateUser { totp_secret_base64: Some("AAECAwQFBgcICQ==".into()), ..with_password() },
        ] {
            let user = scene.account(more).await;
            refused().await;
            users::delete(deps, &scene.server(), user).await.unwrap();
        }
        scene.account(with_password()).await;
        assert_eq!(scene.way_in(&code).await, WayIn::Password);
        let mut off = Value::from(default_settings());
        off["auth.password.allowSignIn"] = json!(false);
        scene.configure(off).await;
        refused().await;
    })
    .await;
}

#[tokio::test]
async fn a_refused_join_leaves_the_code_good_and_nothing_behind() {
    on_each_database(|bench| async move {
        let (scene, team, code) = invited_into(bench, json!({})).await;
        let deps = scene.deps();
        let restricted = CreateUser { restricted_by_admin: Some(true), ..with_password() };
        let user = scene.account(restricted).await;
        let failure = scene.join(&code, PASSWORD).await.unwrap_err();
        assert!(failure.is(Code::TeamInvitationRestrictedUserNotAllowed));
        let seen = users::find(deps, &scene.project, user).await.unwrap().unwrap();
        assert_eq!(seen.restricted_reason, Some(RestrictedReason::RestrictedByAdministrator));
        users::delete(deps, &scene.server(), user).await.unwrap();
        assert_eq!(scene.join(&code, PASSWORD).await.unwrap().team_id, team);
    })
    .await;
}

#[tokio::test]
async fn a_code_that_is_none_over_taken_back_or_of_another_project_is_refused() {
    on_each_database(|bench| async move {
        let (scene, team, code) = invited_into(bench, json!({})).await;
        let deps = scene.deps();
        let refused = async |actor: &Actor, code: &OneTimeCode, expected: Code| {
            assert_eq!(refusal(welcome(deps, actor, code).await), expected);
            let joined = join_by_page(deps, actor, code, &secret(PASSWORD), &ClientInfo::default()).await;
            assert_eq!(refusal(joined), expected);
        };
        let elsewhere = crate::testing::stranger(&scene.bench.insert_project().await);
        refused(&elsewhere, &code, Code::VerificationCodeNotFound).await;
        let none = OneTimeCode::parse(&"0".repeat(45)).unwrap();
        refused(&scene.stranger(), &none, Code::VerificationCodeNotFound).await;
        let second = scene.invite(&scene.server(), team, GUEST).await.unwrap();
        let taken_back = scene.last_code().await;
        revoke(deps, &scene.server(), team, second.id).await.unwrap();
        refused(&scene.stranger(), &taken_back, Code::VerificationCodeAlreadyUsed).await;
        scene.bench.clock.advance_seconds(7 * 24 * 60 * 60);
        refused(&scene.stranger(), &code, Code::VerificationCodeExpired).await;
    })
    .await;
}
