//! Who asks, by the steps of wire/requests-and-errors.md §3. What the tests stand on comes first.

mod api_keys;
mod keys;
mod request;
mod tokens;

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
        last_used_country: None,
        network: None,
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
        display_name_folded: Set(String::new()),
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
