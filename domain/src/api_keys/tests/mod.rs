//! API keys on both databases. What the tests stand on comes first.

mod acting;
mod audit;
mod leaked;
mod manage;

use postern_entity::api_key;
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::json;

use super::*;
use crate::{
    TeamId, UserId, permissions,
    signal::Signal,
    teams::{self, CreateTeam, ListTeams},
    testing::{START, TestBench, client, on_each_database, server, stranger},
    users::{self, CreateUser},
};

/// A project with both sorts of keys switched on, a team, and two of its members: one looks after its keys.
struct Scene {
    bench: TestBench,
    project: ProjectId,
    team: TeamId,
    keeper: UserId,
    member: UserId,
}

impl Scene {
    async fn on(bench: TestBench) -> Self {
        let project = bench.insert_project().await;
        switch(&bench, &project, true, true).await;
        let actor = server(&project);
        let team = CreateTeam { display_name: "Analysts".to_owned(), ..CreateTeam::default() };
        let team = teams::create(&bench.deps, &actor, team).await.unwrap().id;
        let mut members = Vec::new();
        for name in ["keeper", "member"] {
            let input = CreateUser { primary_email: Some(format!("{name}@example.com")), ..CreateUser::default() };
            let id = users::create(&bench.deps, &actor, input).await.unwrap().id;
            teams::add_member(&bench.deps, &actor, team, id).await.unwrap();
            members.push(id);
        }
        permissions::grant_in_team(&bench.deps, &actor, team, members[0], "team_keys").await.unwrap();
        Self { bench, project, team, keeper: members[0], member: members[1] }
    }

    fn deps(&self) -> &Deps {
        &self.bench.deps
    }

    fn server(&self) -> Actor {
        server(&self.project)
    }

    fn keeper(&self) -> Actor {
        client(&self.project, self.keeper)
    }

    fn member(&self) -> Actor {
        client(&self.project, self.member)
    }

    fn of_keeper(&self) -> NewApiKey {
        new(KeyOwner::User(self.keeper))
    }

    fn of_team(&self) -> NewApiKey {
        new(KeyOwner::Team(self.team))
    }

    async fn made(&self, new: NewApiKey) -> CreatedApiKey {
        create(self.deps(), &self.server(), new).await.unwrap()
    }

    async fn revoked(&self, id: ApiKeyId) -> ApiKey {
        let change = ApiKeyChange { revoke: true, ..ApiKeyChange::default() };
        update(self.deps(), &self.server(), None, id, change).await.unwrap()
    }

    async fn count(&self) -> u64 {
        api_key::Entity::find().count(self.deps().db.read()).await.unwrap()
    }
}

async fn switch(bench: &TestBench, project: &ProjectId, user: bool, team: bool) {
    // What the keeper is granted includes the permission: checks look at what is included.
    let config = json!({
        "apiKeys.enabled.user": user,
        "apiKeys.enabled.team": team,
        "rbac.permissions": {
            "team_keys": { "scope": "team", "containedPermissionIds": { "$manage_api_keys": true } },
        },
    });
    bench.set_config(project, config).await;
}

fn new(owner: KeyOwner) -> NewApiKey {
    NewApiKey { owner, description: "CI".to_owned(), expires_at: None, is_public: false }
}

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> Code {
    outcome.unwrap_err().failure().unwrap().code
}
