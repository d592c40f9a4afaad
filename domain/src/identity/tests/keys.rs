//! The project and the keys that open it (steps 6, 7, 9 and 10).

use super::*;

#[tokio::test]
async fn step_6_an_unknown_project_is_refused_before_keys_are_looked_at() {
    on_sqlite(|scene| async move {
        let missing = ProjectId::random().to_string();
        for project in ["nowhere", "internal", &missing] {
            let credentials = Credentials {
                project_id: text(project),
                development_override_key: text("wrong"),
                branch_id: text("dev"),
                ..scene.server()
            };
            let details = json!({ "project_id": project });
            assert_eq!(scene.refusal(&credentials).await, (Code::CurrentProjectNotFound, Some(details)));
        }
        let long = Credentials { project_id: text(&"x".repeat(5000)), ..scene.client() };
        let details = json!({ "project_id": "x".repeat(MAX_ECHOED_CHARS) });
        assert_eq!(scene.refusal(&long).await, (Code::CurrentProjectNotFound, Some(details)));
    })
    .await;
}

#[tokio::test]
async fn step_7_the_development_override_is_the_admin_key_of_internal_in_local_mode_only() {
    on_sqlite(|scene| async move {
        let internal = scene.bench.insert_project_with_id(ProjectId::internal()).await;
        let keys = keys_of(&scene.bench, &internal).await.keys;
        let with = |key: Option<String>| Credentials {
            development_override_key: key,
            secret_server_key: text("ssk_wrong"),
            admin_access_token: text("garbage"),
            ..scene.server()
        };
        let right = with(keys.super_secret_admin_key.clone());
        assert_eq!(scene.passes(&right).await.actor.level, Level::Server);
        for wrong in [keys.secret_server_key, scene.keys.keys.super_secret_admin_key.clone(), text("x")] {
            assert_eq!(scene.refusal(&with(wrong)).await, (Code::Unauthenticated, None));
        }
        let branch = Credentials { branch_id: text("dev"), ..right.clone() };
        assert_eq!(scene.refusal(&branch).await.0, Code::BranchDoesNotExist);
        let mut deps = scene.deps().clone();
        deps.settings = std::sync::Arc::new(crate::settings::Settings { local_mode: false, ..settings() });
        assert!(identify(&deps, &right).await.unwrap_err().is(Code::Unauthenticated));
    })
    .await;
}

#[tokio::test]
async fn step_9_a_client_needs_no_key_unless_the_project_wants_one() {
    on_sqlite(|scene| async move {
        let right = scene.keys.keys.publishable_client_key.clone();
        let with = |key: Option<String>| Credentials { publishable_client_key: key, ..scene.client() };
        let details = Some(json!({ "project_id": scene.project }));
        let invalid = (Code::InvalidPublishableClientKey, details.clone());
        for required in [false, true] {
            scene.bench.set_config(&scene.project, json!({ "project.requirePublishableClientKey": required })).await;
            scene.passes(&with(right.clone())).await;
            assert_eq!(scene.refusal(&with(text("pck_wrong"))).await, invalid);
            assert_eq!(scene.refusal(&with(scene.keys.keys.secret_server_key.clone())).await, invalid);
            for none in [None, text(""), text(NO_PUBLISHABLE_CLIENT_KEY)] {
                if required {
                    let refusal = (Code::PublishableClientKeyRequiredForProject, details.clone());
                    assert_eq!(scene.refusal(&with(none)).await, refusal);
                } else {
                    scene.passes(&with(none)).await;
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn step_9_only_the_key_of_the_stated_level_counts() {
    on_sqlite(|scene| async move {
        let keys = &scene.keys.keys;
        let details = Some(json!({ "project_id": scene.project }));
        let server = |key: Option<String>| Credentials {
            secret_server_key: key,
            super_secret_admin_key: keys.super_secret_admin_key.clone(),
            ..scene.server()
        };
        for none in [None, text("")] {
            assert_eq!(scene.refusal(&server(none)).await, (Code::ServerAuthenticationRequired, None));
        }
        for wrong in [text("ssk_wrong"), keys.super_secret_admin_key.clone(), text(NO_PUBLISHABLE_CLIENT_KEY)] {
            assert_eq!(scene.refusal(&server(wrong)).await, (Code::InvalidSecretServerKey, details.clone()));
        }
        let admin = |key: Option<String>| Credentials {
            super_secret_admin_key: key,
            secret_server_key: keys.secret_server_key.clone(),
            ..scene.admin()
        };
        for none in [None, text("")] {
            assert_eq!(scene.refusal(&admin(none)).await, (Code::AdminAuthenticationRequired, None));
        }
        for wrong in [text("sak_wrong"), keys.secret_server_key.clone()] {
            assert_eq!(scene.refusal(&admin(wrong)).await, (Code::InvalidSuperSecretAdminKey, details.clone()));
        }
        let other = scene.bench.insert_project().await;
        let foreign = Credentials { project_id: text(other.as_str()), ..scene.server() };
        assert_eq!(scene.refusal(&foreign).await.0, Code::InvalidSecretServerKey);
    })
    .await;
}

#[tokio::test]
async fn step_9_a_revoked_or_expired_key_is_refused_at_once() {
    on_sqlite(|scene| async move {
        scene.passes(&scene.server()).await;
        let other = keys_of(&scene.bench, &scene.project).await;
        let admin = Actor::new(scene.project.clone(), Level::Admin, None);
        let revoke = KeySetChange { description: None, revoke: true };
        update_key_set(scene.deps(), &admin, scene.keys.key_set.id, revoke).await.unwrap();
        assert_eq!(scene.refusal(&scene.server()).await.0, Code::InvalidSecretServerKey);
        let second = Credentials { secret_server_key: other.keys.secret_server_key, ..scene.server() };
        scene.passes(&second).await;
        scene.bench.clock.advance_seconds(3600);
        assert_eq!(scene.refusal(&second).await.0, Code::InvalidSecretServerKey);
    })
    .await;
}

#[tokio::test]
async fn step_10_branches_are_told_only_to_callers_with_a_key() {
    on_sqlite(|scene| async move {
        let on = |branch: &str, credentials: Credentials| Credentials { branch_id: text(branch), ..credentials };
        for known in ["main", ""] {
            scene.passes(&on(known, scene.client())).await;
        }
        let details = Some(json!({ "branch_id": "dev" }));
        assert_eq!(scene.refusal(&on("dev", scene.server())).await, (Code::BranchDoesNotExist, details));
        assert_eq!(scene.refusal(&on("dev", scene.admin())).await.0, Code::BranchDoesNotExist);
        let wrong = Credentials { secret_server_key: text("ssk_wrong"), ..scene.server() };
        assert_eq!(scene.refusal(&on("dev", wrong)).await.0, Code::InvalidSecretServerKey);
        let refusal = scene.refusal(&on("dev", scene.client())).await;
        assert_eq!(refusal.0, Code::PublishableClientKeyRequiredForProject);
        let key = scene.keys.keys.publishable_client_key.clone();
        let with_key = Credentials { publishable_client_key: key, ..scene.client() };
        assert_eq!(scene.refusal(&on("dev", with_key)).await.0, Code::BranchDoesNotExist);
    })
    .await;
}
