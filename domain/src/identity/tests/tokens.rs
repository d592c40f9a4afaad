//! Access tokens of users and of administrators, and the sessions behind them (steps 5, 8 and 11).

use super::*;

#[tokio::test]
async fn step_5a_a_token_that_is_none_is_refused_before_the_project_is_looked_at() {
    on_sqlite(|scene| async move {
        for token in ["garbage", "a.b.c"] {
            let credentials = Credentials { access_token: text(token), project_id: text("nowhere"), ..scene.client() };
            assert_eq!(scene.refusal(&credentials).await, (Code::UnparsableAccessToken, None));
        }
    })
    .await;
}

#[tokio::test]
async fn step_5b_an_expired_token_is_refused_with_what_it_said() {
    on_sqlite(|scene| async move {
        let (user_id, session_id) = scene.user(&scene.project).await;
        let token = token_for(scene.deps(), &scene.project, user_id, session_id, None).await;
        let credentials = Credentials { access_token: Some(token), ..scene.client() };
        assert_eq!(scene.passes(&credentials).await.actor.user_id(), Some(user_id));
        scene.bench.clock.advance_seconds(600);
        let details = json!({
            "expired_at_millis": (START.seconds() + 600) * 1000,
            "project_id": scene.project,
            "user_id": user_id,
            "refresh_token_id": session_id,
        });
        assert_eq!(scene.refusal(&credentials).await, (Code::AccessTokenExpired, Some(details.clone())));
        // Expired comes before foreign.
        let elsewhere = Credentials { project_id: text("nowhere"), ..credentials };
        assert_eq!(scene.refusal(&elsewhere).await, (Code::AccessTokenExpired, Some(details)));
    })
    .await;
}

#[tokio::test]
async fn step_5c_a_token_of_another_project_is_refused_before_the_project_is_looked_at() {
    on_sqlite(|scene| async move {
        let token = scene.token(&scene.project, Some(RestrictedReason::Anonymous)).await;
        let other = scene.bench.insert_project().await.to_string();
        for elsewhere in [other.as_str(), "nowhere"] {
            let credentials =
                Credentials { access_token: Some(token.clone()), project_id: text(elsewhere), ..scene.client() };
            let details = json!({ "expected_project_id": elsewhere, "actual_project_id": scene.project });
            assert_eq!(scene.refusal(&credentials).await, (Code::InvalidProjectForAccessToken, Some(details)));
        }
    })
    .await;
}

#[tokio::test]
async fn step_5d_an_anonymous_user_needs_the_header() {
    on_sqlite(|scene| async move {
        let token = scene.token(&scene.project, Some(RestrictedReason::Anonymous)).await;
        let credentials = Credentials { access_token: Some(token), ..scene.client() };
        assert_eq!(scene.refusal(&credentials).await, (Code::AnonymousAuthenticationNotAllowed, None));
        let half = Credentials { allow_restricted_user: true, ..credentials.clone() };
        assert_eq!(scene.refusal(&half).await, (Code::AnonymousAuthenticationNotAllowed, None));
        let allowed = scene.passes(&Credentials { allow_anonymous_user: true, ..credentials }).await;
        let user = allowed.actor.user.unwrap();
        assert!(user.is_anonymous && user.is_restricted);
    })
    .await;
}

#[tokio::test]
async fn step_5e_a_restricted_user_needs_either_header() {
    on_sqlite(|scene| async move {
        let token = scene.token(&scene.project, Some(RestrictedReason::EmailNotVerified)).await;
        let credentials = Credentials { access_token: Some(token), ..scene.client() };
        let details = json!({ "restricted_reason": { "type": "email_not_verified" } });
        assert_eq!(scene.refusal(&credentials).await, (Code::RestrictedUserNotAllowed, Some(details)));
        for allowed in [
            Credentials { allow_anonymous_user: true, ..credentials.clone() },
            Credentials { allow_restricted_user: true, ..credentials },
        ] {
            let user = scene.passes(&allowed).await.actor.user.unwrap();
            assert!(!user.is_anonymous && user.is_restricted);
        }
    })
    .await;
}

#[tokio::test]
async fn step_8_an_admin_access_token_replaces_the_key_of_every_access_type() {
    on_sqlite(|scene| async move {
        let internal = scene.bench.insert_project_with_id(ProjectId::internal()).await;
        let (user_id, session_id) = scene.user(&internal).await;
        owned_by(&scene.bench, &scene.project, user_id).await;
        let token = token_for(scene.deps(), &internal, user_id, session_id, None).await;
        let (own_user, own_session) = scene.user(&scene.project).await;
        let own_token = token_for(scene.deps(), &scene.project, own_user, own_session, None).await;
        for level in [Level::Client, Level::Server, Level::Admin] {
            let credentials = Credentials {
                access_type: text(level.as_str()),
                admin_access_token: Some(token.clone()),
                publishable_client_key: text("pck_wrong"),
                secret_server_key: text("ssk_wrong"),
                access_token: Some(own_token.clone()),
                ..scene.client()
            };
            let identified = scene.passes(&credentials).await;
            assert_eq!((identified.actor.level, identified.actor.user_id()), (level, Some(own_user)));
            assert_eq!(identified.actor.owner, Some(user_id));
            assert_eq!(identified.owner.unwrap().id, user_id);
            let branch = Credentials { branch_id: text("dev"), ..credentials };
            assert_eq!(scene.refusal(&branch).await.0, Code::BranchDoesNotExist);
        }
    })
    .await;
}

#[tokio::test]
async fn step_8_other_admin_access_tokens_are_refused() {
    on_sqlite(|scene| async move {
        let internal = scene.bench.insert_project_with_id(ProjectId::internal()).await;
        let (owner, owner_session) = scene.user(&internal).await;
        owned_by(&scene.bench, &scene.project, owner).await;
        let with = |token: &str| Credentials { admin_access_token: text(token), ..scene.admin() };
        assert_eq!(scene.refusal(&with("garbage")).await, (Code::UnparsableAdminAccessToken, None));
        for reason in [RestrictedReason::Anonymous, RestrictedReason::RestrictedByAdministrator] {
            let token = token_for(scene.deps(), &internal, owner, owner_session, Some(reason)).await;
            assert_eq!(scene.refusal(&with(&token)).await, (Code::UnparsableAdminAccessToken, None));
        }
        for project in [&scene.project, &internal] {
            let stranger = scene.token(project, None).await;
            assert_eq!(scene.refusal(&with(&stranger)).await, (Code::AdminAccessTokenIsNotAdmin, None));
        }
        let token = token_for(scene.deps(), &internal, owner, owner_session, None).await;
        let unowned = scene.bench.insert_project().await;
        let elsewhere = Credentials { project_id: text(unowned.as_str()), ..with(&token) };
        assert_eq!(scene.refusal(&elsewhere).await, (Code::AdminAccessTokenIsNotAdmin, None));

        scene.passes(&with(&token)).await;
        delete_user(&scene.bench, owner).await;
        assert_eq!(scene.refusal(&with(&token)).await, (Code::Unauthenticated, None));
        scene.bench.clock.advance_seconds(600);
        let details = json!({ "expired_at_millis": (START.seconds() + 600) * 1000 });
        assert_eq!(scene.refusal(&with(&token)).await, (Code::AdminAccessTokenExpired, Some(details)));
    })
    .await;
}

#[tokio::test]
async fn step_11_the_token_of_a_deleted_user_is_as_good_as_none() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let (user_id, session_id) = scene.user(&scene.project).await;
        let token = token_for(scene.deps(), &scene.project, user_id, session_id, None).await;
        let credentials = Credentials { access_token: Some(token), ..scene.client() };
        for _ in 0..2 {
            assert_eq!(scene.passes(&credentials).await.actor.user_id(), Some(user_id));
        }
        delete_user(&scene.bench, user_id).await;
        let identified = scene.passes(&credentials).await;
        assert_eq!((identified.actor.user, identified.claims), (None, None));
    })
    .await;
}

#[tokio::test]
async fn a_bearer_token_stands_for_a_client_with_that_access_token() {
    on_sqlite(|scene| async move {
        let (user_id, session_id) = scene.user(&scene.project).await;
        let token = token_for(scene.deps(), &scene.project, user_id, session_id, None).await;
        let bearer = Credentials {
            bearer_token: Some(token.clone()),
            project_id: text(scene.project.as_str()),
            ..Credentials::default()
        };
        let identified = scene.passes(&bearer).await;
        assert_eq!((identified.actor.level, identified.actor.user_id()), (Level::Client, Some(user_id)));
        let both = Credentials { access_token: Some(token.clone()), ..bearer.clone() };
        assert_eq!(scene.passes(&both).await.actor.user_id(), Some(user_id));
        let two = Credentials { access_token: text("another"), ..bearer.clone() };
        assert_eq!(scene.refusal(&two).await.0, Code::BadRequest);
        let nowhere = Credentials { project_id: None, ..bearer };
        assert_eq!(scene.refusal(&nowhere).await.0, Code::AccessTypeWithoutProjectId);
        let server = Credentials { bearer_token: Some(token), ..scene.server() };
        assert_eq!(scene.passes(&server).await.actor.user_id(), Some(user_id));
    })
    .await;
}

#[tokio::test]
async fn sessions_behind_the_tokens_must_live_where_that_is_asked() {
    on_each_database(|bench| async move {
        let scene = Scene::on(bench).await;
        let internal = scene.bench.insert_project_with_id(ProjectId::internal()).await;
        let (owner, owner_session) = scene.user(&internal).await;
        owned_by(&scene.bench, &scene.project, owner).await;
        let (user_id, session_id) = scene.user(&scene.project).await;
        let credentials = Credentials {
            access_token: Some(token_for(scene.deps(), &scene.project, user_id, session_id, None).await),
            admin_access_token: Some(token_for(scene.deps(), &internal, owner, owner_session, None).await),
            ..scene.client()
        };
        let identified = scene.passes(&credentials).await;
        require_live_sessions(scene.deps(), &identified).await.unwrap();
        for (ended, code) in [(owner_session, Code::AdminAccessTokenExpired), (session_id, Code::AccessTokenExpired)] {
            let db = &scene.deps().db;
            db.write(|tx| async move { Ok(session::Entity::delete_by_id(ended).exec(&*tx).await?) }).await.unwrap();
            // REST takes the tokens until they expire.
            let identified = scene.passes(&credentials).await;
            assert!(require_live_sessions(scene.deps(), &identified).await.unwrap_err().is(code));
        }
    })
    .await;
}
