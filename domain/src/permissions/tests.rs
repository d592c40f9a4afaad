//! Permissions on both databases.

use futures::future::join_all;
use serde_json::json;

use super::*;
use crate::{
    Code, Error, ProjectId, TeamId, UserId,
    patch::Patch,
    teams::{self, CreateTeam},
    testing::{TestBench, admin, client, on_each_database, server, stranger},
    users::{self, CreateUser},
};

const TEAM: PermissionScope = PermissionScope::Team;
const PROJECT: PermissionScope = PermissionScope::Project;

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Code {
    outcome.unwrap_err().failure().unwrap().code
}

fn new(id: &str, contained: &[&str]) -> NewDefinition {
    let contained_permission_ids = contained.iter().map(|id| (*id).to_owned()).collect();
    NewDefinition { id: id.to_owned(), description: None, contained_permission_ids }
}

async fn define(bench: &TestBench, project_id: &ProjectId, scope: PermissionScope, id: &str, contained: &[&str]) {
    create(&bench.deps, &admin(project_id), scope, new(id, contained)).await.unwrap();
}

async fn user(bench: &TestBench, project_id: &ProjectId) -> UserId {
    users::create(&bench.deps, &server(project_id), CreateUser::default()).await.unwrap().id
}

async fn team(bench: &TestBench, project_id: &ProjectId, creator: Option<UserId>) -> TeamId {
    let input = CreateTeam { creator_user_id: creator, ..CreateTeam::default() };
    teams::create(&bench.deps, &server(project_id), input).await.unwrap().id
}

/// What the user holds in teams, joined.
async fn held(bench: &TestBench, project_id: &ProjectId, user_id: UserId, recursive: bool) -> String {
    let filter = TeamFilter { user_id: Some(user_id), recursive, ..TeamFilter::default() };
    let grants = in_teams(&bench.deps, &server(project_id), &filter).await.unwrap();
    grants.into_iter().map(|grant| grant.id).collect::<Vec<_>>().join(" ")
}

async fn held_in_project(bench: &TestBench, project_id: &ProjectId, user_id: UserId, recursive: bool) -> String {
    let filter = TeamFilter { user_id: Some(user_id), recursive, ..TeamFilter::default() };
    let grants = in_project(&bench.deps, &server(project_id), &filter).await.unwrap();
    grants.into_iter().map(|grant| grant.id).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn definitions_are_made_changed_renamed_and_removed_wherever_they_are_named() {
    on_each_database(|bench| async move {
        let (deps, project_id) = (&bench.deps, bench.insert_project().await);
        let actor = admin(&project_id);
        bench.set_config(&project_id, json!({ "rbac.defaultPermissions.teamMember": { "read": true } })).await;
        define(&bench, &project_id, TEAM, "read", &["$read_members"]).await;
        define(&bench, &project_id, TEAM, "write", &["read"]).await;
        let (one, in_team) = (user(&bench, &project_id).await, team(&bench, &project_id, None).await);
        teams::add_member(deps, &server(&project_id), in_team, one).await.unwrap();
        grant_in_team(deps, &server(&project_id), in_team, one, "write").await.unwrap();
        assert_eq!(held(&bench, &project_id, one, false).await, "read write");
        assert_eq!(held(&bench, &project_id, one, true).await, "$read_members read write");

        let change = UpdateDefinition {
            id: Some("see".to_owned()),
            description: Patch::Set("Looks".to_owned()),
            contained_permission_ids: None,
        };
        let renamed = update(deps, &actor, TEAM, "read", change).await.unwrap();
        assert_eq!((renamed.id.as_str(), renamed.description.as_deref()), ("see", Some("Looks")));
        assert_eq!(renamed.contained_permission_ids, ["$read_members"]);
        assert_eq!(held(&bench, &project_id, one, true).await, "$read_members see write");
        let two = user(&bench, &project_id).await;
        teams::add_member(deps, &server(&project_id), in_team, two).await.unwrap();
        assert_eq!(held(&bench, &project_id, two, false).await, "see", "the defaults follow");

        // Nothing else is said, so nothing else changes; what is said replaces.
        let same = update(deps, &actor, TEAM, "see", UpdateDefinition::default()).await.unwrap();
        assert_eq!(same, renamed);
        let circle = UpdateDefinition {
            description: Patch::Set(String::new()),
            contained_permission_ids: Some(vec!["write".to_owned(), "see".to_owned()]),
            ..UpdateDefinition::default()
        };
        let changed = update(deps, &actor, TEAM, "see", circle).await.unwrap();
        assert_eq!((changed.description, changed.contained_permission_ids.join(" ")), (None, "see write".to_owned()));
        assert_eq!(held(&bench, &project_id, two, true).await, "see write", "a circle ends");

        delete(deps, &actor, TEAM, "see").await.unwrap();
        assert_eq!(held(&bench, &project_id, one, true).await, "write");
        let ids: Vec<_> = list(deps, &actor, TEAM).await.unwrap().into_iter().map(|found| found.id).collect();
        assert_eq!(ids.last().unwrap(), "write");
        // A new permission of the old name begins with nobody.
        define(&bench, &project_id, TEAM, "see", &[]).await;
        assert_eq!(held(&bench, &project_id, two, true).await, "");
        let three = user(&bench, &project_id).await;
        teams::add_member(deps, &server(&project_id), in_team, three).await.unwrap();
        assert_eq!(held(&bench, &project_id, three, true).await, "");
    })
    .await;
}

#[tokio::test]
async fn a_definition_that_cannot_be_is_refused_and_changes_nothing() {
    on_each_database(|bench| async move {
        let (deps, project_id) = (&bench.deps, bench.insert_project().await);
        let (actor, other) = (admin(&project_id), bench.insert_project().await);
        define(&bench, &project_id, TEAM, "t", &[]).await;
        define(&bench, &project_id, PROJECT, "p", &[]).await;
        let before = (list(deps, &actor, TEAM).await.unwrap(), list(deps, &actor, PROJECT).await.unwrap());
        for (scope, id, contained, expected) in [
            (TEAM, "", vec![], Code::SchemaError),
            (TEAM, "Upper", vec![], Code::SchemaError),
            (TEAM, "$read_members", vec![], Code::SchemaError),
            (TEAM, "a\0", vec![], Code::SchemaError),
            (TEAM, "t", vec![], Code::PermissionIdAlreadyExists),
            (PROJECT, "t", vec![], Code::PermissionIdAlreadyExists),
            (TEAM, "x", vec!["gone"], Code::ContainedPermissionNotFound),
            (TEAM, "x", vec!["p"], Code::ContainedPermissionNotFound),
            (TEAM, "x", vec!["x"], Code::ContainedPermissionNotFound),
            (PROJECT, "x", vec!["$read_members"], Code::ContainedPermissionNotFound),
        ] {
            assert_eq!(code(create(deps, &actor, scope, new(id, &contained)).await), expected, "{id} {contained:?}");
        }
        let long = new(&"a".repeat(MAX_ID_CHARS + 1), &[]);
        assert_eq!(code(create(deps, &actor, TEAM, long).await), Code::SchemaError);
        let rename = |id: &str| UpdateDefinition { id: Some(id.to_owned()), ..UpdateDefinition::default() };
        for (scope, id, change, expected) in [
            (TEAM, "gone", UpdateDefinition::default(), Code::PermissionNotFound),
            (TEAM, "p", UpdateDefinition::default(), Code::PermissionNotFound),
            (TEAM, "$read_members", UpdateDefinition::default(), Code::PermissionNotFound),
            (TEAM, "t", rename("p"), Code::PermissionIdAlreadyExists),
            (TEAM, "t", rename("$read_members"), Code::SchemaError),
        ] {
            assert_eq!(code(update(deps, &actor, scope, id, change).await), expected, "{id}");
        }
        for (scope, id) in [(TEAM, "p"), (PROJECT, "t"), (TEAM, "gone"), (TEAM, "$read_members")] {
            assert_eq!(code(delete(deps, &actor, scope, id).await), Code::PermissionNotFound, "{id}");
        }
        assert_eq!(code(delete(deps, &admin(&other), TEAM, "t").await), Code::PermissionNotFound);
        for actor in [server(&project_id), stranger(&project_id)] {
            assert_eq!(code(list(deps, &actor, TEAM).await), Code::Forbidden);
            assert_eq!(code(create(deps, &actor, TEAM, new("x", &[])).await), Code::Forbidden);
            assert_eq!(code(update(deps, &actor, TEAM, "t", rename("x")).await), Code::Forbidden);
            assert_eq!(code(delete(deps, &actor, TEAM, "t").await), Code::Forbidden);
        }
        assert_eq!((list(deps, &actor, TEAM).await.unwrap(), list(deps, &actor, PROJECT).await.unwrap()), before);
    })
    .await;
}

#[tokio::test]
async fn of_many_who_define_one_id_one_wins() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let actor = &admin(&project_id);
        let tries = (0..20)
            .map(|number| create(&bench.deps, actor, if number % 2 == 0 { TEAM } else { PROJECT }, new("wanted", &[])));
        let outcomes = join_all(tries).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        for outcome in outcomes.into_iter().filter(Result::is_err) {
            assert_eq!(code(outcome), Code::PermissionIdAlreadyExists);
        }
    })
    .await;
}

#[tokio::test]
async fn grants_are_given_taken_and_told_to_members_and_users_only() {
    on_each_database(|bench| async move {
        let (deps, project_id, other) = (&bench.deps, bench.insert_project().await, bench.insert_project().await);
        define(&bench, &project_id, TEAM, "t", &[]).await;
        define(&bench, &project_id, PROJECT, "p", &[]).await;
        let (member, outsider) = (user(&bench, &project_id).await, user(&bench, &project_id).await);
        let in_team = team(&bench, &project_id, Some(member)).await;
        let actor = server(&project_id);
        let skipped = bench.events(&project_id).await.len();

        let grant = TeamGrant { team_id: in_team, user_id: member, id: "t".to_owned() };
        for _ in 0..2 {
            assert_eq!(grant_in_team(deps, &actor, in_team, member, "t").await.unwrap(), grant);
        }
        grant_in_team(deps, &actor, in_team, member, "$read_members").await.unwrap();
        grant_in_project(deps, &actor, member, "p").await.unwrap();
        assert_eq!(held(&bench, &project_id, member, false).await, "$read_members t");
        assert_eq!(held_in_project(&bench, &project_id, member, false).await, "p");
        revoke_in_team(deps, &actor, in_team, member, "t").await.unwrap();
        revoke_in_project(deps, &actor, member, "p").await.unwrap();
        assert_eq!(held(&bench, &project_id, member, false).await, "$read_members");
        assert_eq!(held_in_project(&bench, &project_id, member, false).await, "");
        let told = bench.events(&project_id).await.split_off(skipped);
        let payload = json!({ "id": "t", "team_id": in_team, "user_id": member });
        assert_eq!(told[0], ("team_permission.created".to_owned(), payload.clone()));
        assert_eq!(told[1], told[0], "a repeated grant is told again");
        assert_eq!(told[3], ("project_permission.created".to_owned(), json!({ "id": "p", "user_id": member })));
        assert_eq!(told[4], ("team_permission.deleted".to_owned(), payload));
        assert_eq!((told.len(), told[5].0.as_str()), (6, "project_permission.deleted"));

        let nobody = UserId::random();
        for (outcome, expected) in [
            (grant_in_team(deps, &actor, in_team, nobody, "t").await.map(drop), Code::UserNotFound),
            (grant_in_team(deps, &actor, in_team, outsider, "t").await.map(drop), Code::TeamMembershipNotFound),
            (grant_in_team(deps, &actor, TeamId::random(), member, "t").await.map(drop), Code::TeamMembershipNotFound),
            (grant_in_team(deps, &server(&other), in_team, member, "t").await.map(drop), Code::UserNotFound),
            (grant_in_team(deps, &actor, in_team, member, "gone").await.map(drop), Code::PermissionNotFound),
            (grant_in_team(deps, &actor, in_team, member, "p").await.map(drop), Code::WrongPermissionScope),
            (grant_in_project(deps, &actor, nobody, "p").await.map(drop), Code::UserNotFound),
            (grant_in_project(deps, &server(&other), member, "p").await.map(drop), Code::UserNotFound),
            (grant_in_project(deps, &actor, member, "t").await.map(drop), Code::WrongPermissionScope),
            (grant_in_project(deps, &actor, member, "$read_members").await.map(drop), Code::WrongPermissionScope),
            (grant_in_project(deps, &actor, member, "gone").await.map(drop), Code::PermissionNotFound),
            (revoke_in_team(deps, &actor, in_team, member, "t").await, Code::TeamPermissionNotFound),
            (revoke_in_team(deps, &actor, in_team, outsider, "t").await, Code::TeamMembershipNotFound),
            (revoke_in_team(deps, &server(&other), in_team, member, "$read_members").await, Code::UserNotFound),
            (revoke_in_project(deps, &actor, member, "p").await, Code::PermissionNotFound),
            (revoke_in_project(deps, &actor, nobody, "p").await, Code::UserNotFound),
        ] {
            assert_eq!(code(outcome), expected);
        }
        let own = client(&project_id, member);
        assert_eq!(code(grant_in_team(deps, &own, in_team, member, "t").await), Code::Forbidden);
        assert_eq!(code(revoke_in_project(deps, &own, member, "p").await), Code::Forbidden);
        let filter = |user_id| TeamFilter { user_id, ..TeamFilter::default() };
        assert_eq!(in_teams(deps, &own, &filter(Some(member))).await.unwrap().len(), 1);
        assert_eq!(code(in_teams(deps, &own, &filter(None)).await), Code::Forbidden);
        assert_eq!(code(in_project(deps, &own, &filter(Some(outsider))).await), Code::Forbidden);
        assert_eq!(
            code(in_teams(deps, &stranger(&project_id), &filter(None)).await),
            Code::CannotGetOwnUserWithoutUser
        );
        assert_eq!(in_teams(deps, &server(&other), &filter(Some(member))).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn creators_members_and_new_users_are_granted_the_defaults_that_are_defined() {
    on_each_database(|bench| async move {
        let (deps, project_id) = (&bench.deps, bench.insert_project().await);
        bench
            .set_config(
                &project_id,
                json!({
                    "rbac.defaultPermissions.teamCreator": { "lead": true, "gone": true, "enter": true },
                    "rbac.defaultPermissions.teamMember": { "play": true, "$read_members": true, "gone": true },
                    "rbac.defaultPermissions.signUp": { "enter": true, "lead": true, "$read_members": true },
                }),
            )
            .await;
        for (scope, id) in [(TEAM, "lead"), (TEAM, "play"), (PROJECT, "enter")] {
            define(&bench, &project_id, scope, id, &[]).await;
        }
        let (maker, joiner) = (user(&bench, &project_id).await, user(&bench, &project_id).await);
        assert_eq!(held_in_project(&bench, &project_id, maker, false).await, "enter");
        let skipped = bench.events(&project_id).await.len();
        let made = team(&bench, &project_id, Some(maker)).await;
        teams::add_member(deps, &server(&project_id), made, joiner).await.unwrap();
        assert_eq!(held(&bench, &project_id, maker, false).await, "lead");
        assert_eq!(held(&bench, &project_id, joiner, false).await, "$read_members play");
        let kinds: Vec<_> =
            bench.events(&project_id).await.split_off(skipped).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(
            kinds,
            ["team.created", "team_membership.created", "team_permission.created", "team_permission.created"]
        );
        // Whoever comes back begins anew.
        grant_in_team(deps, &server(&project_id), made, joiner, "lead").await.unwrap();
        teams::remove_member(deps, &server(&project_id), made, joiner).await.unwrap();
        assert_eq!(held(&bench, &project_id, joiner, false).await, "");
        teams::add_member(deps, &server(&project_id), made, joiner).await.unwrap();
        assert_eq!(held(&bench, &project_id, joiner, false).await, "$read_members play");
    })
    .await;
}
