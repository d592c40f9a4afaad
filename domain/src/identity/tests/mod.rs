use std::future::Future;

use postern_entity::{session, team, team_membership, user};
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};
use serde_json::{Value, json};

use super::*;
use crate::{
    SessionId, TeamId, UserId,
    projects::{CreatedKeySet, KeySetChange, NewKeySet, WantedKeys, create_key_set, update_key_set},
    sessions::{Subject, mint},
    signal::Signal,
    testing::{START, TestBench, TestDatabase, on_each_database, settings},
    users::RestrictedReason,
};

/// A project with keys, and what callers of it send.
struct Scene {
    bench: TestBench,
    project: ProjectId,
    keys: CreatedKeySet,
}

impl Scene {
    async fn on(bench: TestBench) -> Self {
        let project = bench.insert_project().await;
        let keys = keys_of(&bench, &project).await;
        Self { bench, project, keys }
    }

    fn deps(&self) -> &Deps {
        &self.bench.deps
    }

    /// What a client application without a key sends.
    fn client(&self) -> Credentials {
        Credentials {
            access_type: Some("client".to_owned()),
            project_id: Some(self.project.to_string()),
            ..Credentials::default()
        }
    }

    fn server(&self) -> Credentials {
        Credentials {
            access_type: Some("server".to_owned()),
            secret_server_key: self.keys.keys.secret_server_key.clone(),
            ..self.client()
        }
    }

    fn admin(&self) -> Credentials {
        Credentials {
            access_type: Some("admin".to_owned()),
            super_secret_admin_key: self.keys.keys.super_secret_admin_key.clone(),
            ..self.client()
        }
    }

    async fn user(&self, project_id: &ProjectId) -> (UserId, SessionId) {
        insert_user(&self.bench, project_id).await
    }

    async fn token(&self, project_id: &ProjectId, reason: Option<RestrictedReason>) -> String {
        let (user_id, session_id) = self.user(project_id).await;
        token_for(self.deps(), project_id, user_id, session_id, reason).await
    }

    async fn passes(&self, credentials: &Credentials) -> Identified {
        identify(self.deps(), credentials).await.unwrap().unwrap()
    }

    async fn refusal(&self, credentials: &Credentials) -> (Code, Option<Value>) {
        let error = identify(self.deps(), credentials).await.unwrap_err();
        let failure = error.failure().unwrap_or_else(|| panic!("{error}"));
        (failure.code, failure.details.clone())
    }
}

async fn keys_of(bench: &TestBench, project_id: &ProjectId) -> CreatedKeySet {
    let admin = Actor::new(project_id.clone(), Level::Admin, None);
    let new =
        NewKeySet { description: "test".to_owned(), expires_at: START.plus_seconds(3600), wanted: WantedKeys::ALL };
    create_key_set(&bench.deps, &admin, new).await.unwrap()
}

async fn insert_user(bench: &TestBench, project_id: &ProjectId) -> (UserId, SessionId) {
    let (user_id, session_id) = (UserId::random(), SessionId::random());
    let session = session::Model {
        id: session_id,
        project_id: project_id.clone(),
        user_id,
        token_hash: session_id.0.as_bytes().to_vec(),
        created_at: START,
        last_used_at: START,
        expires_at: START.plus_seconds(3600),
        is_impersonation: false,
        last_used_ip: None,
        last_used_user_agent: None,
    };
    let row = user::ActiveModel {
        id: Set(user_id),
        project_id: Set(project_id.clone()),
        signed_up_at: Set(START),
        last_active_at: Set(START),
        created_at: Set(START),
        updated_at: Set(START),
        ..Default::default()
    };
    bench
        .deps
        .db
        .write(|tx| {
            let (row, session) = (row.clone(), session.clone().into_active_model());
            async move {
                user::Entity::insert(row).exec_without_returning(&*tx).await?;
                session::Entity::insert(session).exec_without_returning(&*tx).await?;
                Ok(())
            }
        })
        .await
        .unwrap();
    (user_id, session_id)
}

async fn delete_user(bench: &TestBench, user_id: UserId) {
    bench
        .deps
        .db
        .write(|tx| async move {
            user::Entity::delete_by_id(user_id).exec(&*tx).await?;
            tx.raise(Signal::UserSignedOut { user_id });
            Ok(())
        })
        .await
        .unwrap();
}

/// A team of `internal` that owns the project, with one member.
async fn owned_by(bench: &TestBench, project_id: &ProjectId, user_id: UserId) {
    let team_id = TeamId::random();
    let team = team::ActiveModel {
        id: Set(team_id),
        project_id: Set(ProjectId::internal()),
        display_name: Set(String::new()),
        created_at: Set(START),
        updated_at: Set(START),
        ..Default::default()
    };
    let membership = team_membership::ActiveModel {
        team_id: Set(team_id),
        user_id: Set(user_id),
        project_id: Set(ProjectId::internal()),
        is_selected: Set(false),
        created_at: Set(START),
        ..Default::default()
    };
    let owned = postern_entity::project::ActiveModel {
        id: Set(project_id.clone()),
        owner_team_id: Set(Some(team_id)),
        ..Default::default()
    };
    bench
        .deps
        .db
        .write(|tx| {
            let (team, membership, owned) = (team.clone(), membership.clone(), owned.clone());
            async move {
                team::Entity::insert(team).exec_without_returning(&*tx).await?;
                team_membership::Entity::insert(membership).exec_without_returning(&*tx).await?;
                postern_entity::project::Entity::update(owned).exec(&*tx).await?;
                tx.raise(Signal::ProjectChanged { project_id: project_id.clone() });
                Ok(())
            }
        })
        .await
        .unwrap();
}

async fn token_for(
    deps: &Deps,
    project_id: &ProjectId,
    user_id: UserId,
    session_id: SessionId,
    restricted_reason: Option<RestrictedReason>,
) -> String {
    let subject = Subject {
        project_id: project_id.clone(),
        user_id,
        session_id,
        name: None,
        email: None,
        email_verified: false,
        selected_team_id: None,
        signed_up_at: START,
        restricted_reason,
        requires_totp_mfa: false,
    };
    mint(deps, &subject).await.unwrap()
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// The rules of identification do not depend on the database; what they ask of it does, and is tested where it lives.
async fn on_sqlite<Fut: Future<Output = ()>>(test: impl FnOnce(Scene) -> Fut) {
    let database = TestDatabase::sqlite().await;
    test(Scene::on(TestBench::on(&database).await).await).await;
}

#[tokio::test]
async fn step_1_a_key_or_admin_token_without_access_type_is_refused() {
    on_sqlite(|scene| async move {
        let project_id = text(scene.project.as_str());
        for credentials in [
            Credentials { publishable_client_key: text("pck_x"), ..Credentials::default() },
            Credentials { secret_server_key: text("ssk_x"), project_id: project_id.clone(), ..Credentials::default() },
            Credentials { super_secret_admin_key: text("sak_x"), ..Credentials::default() },
            Credentials { admin_access_token: text("x"), bearer_token: text("x"), ..Credentials::default() },
        ] {
            assert_eq!(scene.refusal(&credentials).await, (Code::ProjectKeyWithoutAccessType, None));
        }
    })
    .await;
}

#[tokio::test]
async fn step_2_without_access_type_nothing_of_the_request_counts() {
    on_sqlite(|scene| async move {
        let credentials = Credentials {
            project_id: text("no such project"),
            branch_id: text("no such branch"),
            access_token: text("garbage"),
            secret_server_key: text(""),
            access_type: text(""),
            development_override_key: text("wrong"),
            ..Credentials::default()
        };
        let identified = identify(scene.deps(), &credentials).await.unwrap();
        assert!(identified.is_none());
        assert!(require_auth(identified).unwrap_err().is(Code::AccessTypeRequired));
    })
    .await;
}

#[tokio::test]
async fn step_3_other_access_types_are_refused() {
    on_sqlite(|scene| async move {
        for wrong in ["Client", "root", "client "] {
            let credentials = Credentials { access_type: text(wrong), ..Credentials::default() };
            assert_eq!(scene.refusal(&credentials).await, (Code::InvalidAccessType, None));
        }
        for (credentials, level) in
            [(scene.client(), Level::Client), (scene.server(), Level::Server), (scene.admin(), Level::Admin)]
        {
            let identified = scene.passes(&credentials).await;
            assert_eq!(identified.actor, Actor::new(scene.project.clone(), level, None));
            assert_eq!(identified.project.id, scene.project);
        }
    })
    .await;
}

#[tokio::test]
async fn step_4_an_access_type_needs_a_project_id() {
    on_sqlite(|scene| async move {
        for (level, project_id) in [("client", None), ("server", text("")), ("admin", None)] {
            let credentials =
                Credentials { access_type: text(level), project_id, access_token: text("x"), ..Credentials::default() };
            let details = Some(json!({ "request_type": level }));
            assert_eq!(scene.refusal(&credentials).await, (Code::AccessTypeWithoutProjectId, details));
        }
        let upper = Credentials { project_id: text(&scene.project.as_str().to_uppercase()), ..scene.client() };
        assert_eq!(scene.passes(&upper).await.actor.project_id, scene.project);
    })
    .await;
}

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

#[test]
fn demands_refuse_with_their_codes() {
    let client = Actor::new(ProjectId::random(), Level::Client, None);
    let refused = require_level(&client, &[Level::Server, Level::Admin]).unwrap_err();
    assert!(refused.is(Code::InsufficientAccessType));
    let details = json!({ "actual_access_type": "client", "allowed_access_types": ["server", "admin"] });
    assert_eq!(refused.failure().unwrap().details, Some(details));
    require_level(&client, &[Level::Client]).unwrap();
    assert!(require_user(&client).unwrap_err().is(Code::UserAuthenticationRequired));
    assert!(require_own_user(&client).unwrap_err().is(Code::CannotGetOwnUserWithoutUser));
    assert!(require_internal_project(&client).unwrap_err().is(Code::ExpectedInternalProject));

    let user =
        ActingUser { id: UserId::random(), session_id: SessionId::random(), is_anonymous: false, is_restricted: false };
    let signed_in = Actor::new(ProjectId::internal(), Level::Client, Some(user.clone()));
    assert_eq!(require_user(&signed_in).unwrap(), &user);
    require_internal_project(&signed_in).unwrap();
    let id = UserId::random();
    let upper = id.to_string().to_uppercase();
    assert_eq!(UserRef::parse("user_id", &upper).unwrap().resolve(&client).unwrap(), id);
    assert_eq!(UserRef::parse("user_id", "me").unwrap().resolve(&signed_in).unwrap(), user.id);
    assert!(UserRef::Me.resolve(&client).unwrap_err().is(Code::CannotGetOwnUserWithoutUser));
    for bad in ["", "Me", "1", &id.0.simple().to_string()] {
        assert!(UserRef::parse("user_id", bad).unwrap_err().is(Code::SchemaError), "{bad}");
    }
}

#[test]
fn credentials_do_not_show_in_debug() {
    let secret = "very secret";
    let credentials = Credentials {
        publishable_client_key: text(secret),
        secret_server_key: text(secret),
        super_secret_admin_key: text(secret),
        admin_access_token: text(secret),
        access_token: text(secret),
        bearer_token: text(secret),
        development_override_key: text(secret),
        ..Credentials::default()
    };
    assert!(!format!("{credentials:?}").contains(secret));
}
