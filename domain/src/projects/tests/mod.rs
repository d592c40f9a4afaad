//! Projects, their config and the seed, on both databases.

mod audit;
mod config;
mod config_file;
mod project;
mod seed;

use sea_orm::EntityTrait;
use serde_json::{Value, json};

use super::{wire::*, *};
use crate::{
    Actor, Code, SessionId, TeamId, UserId,
    actor::ActingUser,
    patch::Patch,
    testing::{TestBench, on_each_database},
    users::{self, CreateUser},
};

fn admin(project_id: &ProjectId) -> Actor {
    Actor::new(project_id.clone(), Level::Admin, None)
}

fn client(user_id: UserId) -> Actor {
    let user = ActingUser { id: user_id, session_id: SessionId::random(), is_anonymous: false, is_restricted: false };
    Actor::new(ProjectId::internal(), Level::Client, Some(user))
}

/// A user of project `internal` and its personal team.
async fn owner(bench: &TestBench) -> (Actor, TeamId) {
    let actor = Actor::new(ProjectId::internal(), Level::Server, None);
    let user = users::create(&bench.deps, &actor, CreateUser::default()).await.unwrap();
    let teams = crate::teams::of_users(&bench.deps, &ProjectId::internal(), &[user.id]).await.unwrap();
    (client(user.id), teams[&user.id][0].id)
}

fn new_project(owner_team_id: TeamId) -> NewProject {
    NewProject {
        display_name: "Shop".to_owned(),
        owner_team_id,
        is_development_environment: false,
        settings: ProjectChange::default(),
    }
}

/// A seeded installation and a project of a fresh owner.
async fn owned(bench: &TestBench) -> (Actor, AdminProject) {
    seed(&bench.deps, &Seed::default()).await.unwrap();
    let (actor, team) = owner(bench).await;
    let project = create_project(&bench.deps, &actor, new_project(team)).await.unwrap();
    (actor, project)
}
