//! API keys in the place of access tokens, as GraphQL takes them.

use super::*;
use crate::{
    actor::{ActingKey, KeyOwner},
    api_keys::{self, NewApiKey},
};

async fn key_of(scene: &Scene, config: Value) -> (UserId, String) {
    let mut whole = json!({ "apiKeys.enabled.user": true });
    for (name, value) in config.as_object().unwrap() {
        whole[name] = value.clone();
    }
    scene.bench.set_config(&scene.project, whole).await;
    let (user_id, _) = scene.user(&scene.project).await;
    let owner = KeyOwner::User(user_id);
    let new = NewApiKey { owner, description: String::new(), expires_at: None, is_public: false };
    let server = Actor::new(scene.project.clone(), Level::Server, None);
    (user_id, api_keys::create(scene.deps(), &server, new).await.unwrap().value)
}

#[tokio::test]
async fn a_key_implies_access_type_client_and_needs_the_project() {
    on_sqlite(|scene| async move {
        let (user_id, key) = key_of(&scene, json!({ "project.requirePublishableClientKey": true })).await;
        let alone =
            Credentials { api_key: Some(key), project_id: text(scene.project.as_str()), ..Credentials::default() };
        let with_type = Credentials { access_type: text("client"), ..alone.clone() };
        for credentials in [&alone, &with_type] {
            let identified = scene.passes(credentials).await;
            let (actor, acting) = (&identified.actor, identified.actor.key.unwrap());
            assert_eq!((actor.level, actor.user_id(), &actor.user), (Level::Client, Some(user_id), &None));
            assert_eq!(acting, ActingKey { id: acting.id, owner: KeyOwner::User(user_id) });
            assert!(identified.claims.is_none() && identified.owner.is_none());
            require_live_sessions(scene.deps(), &identified).await.unwrap();
            // It is nobody who signed in.
            assert!(require_own_user(actor).unwrap_err().is(Code::CannotGetOwnUserWithoutUser));
            assert_eq!(own_user_id(actor).unwrap(), user_id);
        }
        let nowhere = Credentials { project_id: None, ..alone.clone() };
        assert_eq!(scene.refusal(&nowhere).await.0, Code::AccessTypeWithoutProjectId);
        let other = Credentials { project_id: text(scene.bench.insert_project().await.as_str()), ..alone.clone() };
        scene
            .bench
            .set_config(&ProjectId(other.project_id.clone().unwrap()), json!({ "apiKeys.enabled.user": true }))
            .await;
        assert_eq!(scene.refusal(&other).await.0, Code::ApiKeyNotFound);
        // A publishable key beside it must be right.
        let wrong = Credentials { publishable_client_key: text("pck_wrong"), ..with_type.clone() };
        assert_eq!(scene.refusal(&wrong).await.0, Code::InvalidPublishableClientKey);
        let branch = Credentials { branch_id: text("dev"), ..alone };
        assert_eq!(scene.refusal(&branch).await.0, Code::BranchDoesNotExist);
    })
    .await;
}

#[tokio::test]
async fn a_key_stands_alone() {
    on_sqlite(|scene| async move {
        let (_, key) = key_of(&scene, json!({})).await;
        let token = Some(scene.token(&scene.project, None).await);
        let alone = Credentials { api_key: Some(key.clone()), ..scene.client() };
        for credentials in [
            Credentials { access_token: token.clone(), ..alone.clone() },
            Credentials { bearer_token: token.clone(), ..alone.clone() },
            Credentials { admin_access_token: token, ..alone },
            Credentials { api_key: Some(key.clone()), ..scene.server() },
            Credentials { api_key: Some(key), ..scene.admin() },
        ] {
            assert_eq!(scene.refusal(&credentials).await.0, Code::BadRequest);
        }
    })
    .await;
}

#[tokio::test]
async fn the_user_of_a_key_is_held_to_the_same_as_one_with_a_token() {
    on_sqlite(|scene| async move {
        let (user_id, key) = key_of(&scene, json!({ "onboarding.requireEmailVerification": true })).await;
        let credentials = Credentials { api_key: Some(key), ..scene.client() };
        let details = json!({ "restricted_reason": { "type": "email_not_verified" } });
        assert_eq!(scene.refusal(&credentials).await, (Code::RestrictedUserNotAllowed, Some(details)));
        let allowed = Credentials { allow_restricted_user: true, ..credentials };
        assert_eq!(scene.passes(&allowed).await.actor.user_id(), Some(user_id));
    })
    .await;
}
