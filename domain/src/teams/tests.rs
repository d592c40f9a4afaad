//! Teams on both databases.

use serde_json::json;

use super::{
    CreateTeam, UpdateTeam, by_ids, create, get, is_member, list, of_users, update,
    wire::{ClientTeam, ServerTeam},
};
use crate::{
    Code, Error, ProjectId, TeamId, UserId,
    patch::Patch,
    testing::{START, TestBench, client, on_each_database, server, stranger},
    users::{self, CreateUser},
};

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Code {
    outcome.unwrap_err().failure().unwrap().code
}

async fn user(bench: &TestBench, project_id: &ProjectId) -> UserId {
    users::create(&bench.deps, &server(project_id), CreateUser::default()).await.unwrap().id
}

fn named(name: &str) -> CreateTeam {
    CreateTeam { display_name: name.to_owned(), ..CreateTeam::default() }
}

#[tokio::test]
async fn a_servers_team_has_every_field_and_the_members_it_names() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let creator = user(&bench, &project_id).await;
        let input = CreateTeam {
            display_name: "Team".to_owned(),
            profile_image_url: Some("https://example.com/t.png".to_owned()),
            client_metadata: Some(json!({ "a": 1 })),
            client_read_only_metadata: Some(json!(null)),
            server_metadata: Some(json!("s")),
            creator_user_id: Some(creator),
        };
        let team = create(&bench.deps, &server(&project_id), input).await.unwrap();
        let client_view = json!({
            "id": team.id, "display_name": "Team", "profile_image_url": "https://example.com/t.png",
            "client_metadata": { "a": 1 }, "client_read_only_metadata": null,
        });
        let mut server_view = client_view.clone();
        server_view["server_metadata"] = json!("s");
        server_view["created_at_millis"] = json!(START.millis());
        assert_eq!(serde_json::to_value(ClientTeam::from(team.clone())).unwrap(), client_view);
        assert_eq!(serde_json::to_value(ServerTeam::from(team.clone())).unwrap(), server_view);
        let events = bench.events(&project_id).await;
        assert_eq!(events[1..], [("team.created".to_owned(), server_view)]);
        assert!(is_member(&bench.deps, &project_id, team.id, creator).await.unwrap());

        let empty = create(&bench.deps, &server(&project_id), named("")).await.unwrap();
        assert_eq!(of_users(&bench.deps, &project_id, &[creator]).await.unwrap()[&creator], [team]);
        assert!(!is_member(&bench.deps, &project_id, empty.id, creator).await.unwrap());
        let nobody = CreateTeam { creator_user_id: Some(UserId::random()), ..named("x") };
        assert_eq!(code(create(&bench.deps, &server(&project_id), nobody).await), Code::UserNotFound);
    })
    .await;
}

#[tokio::test]
async fn a_client_makes_teams_for_itself_where_the_project_lets_it() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let own = user(&bench, &project_id).await;
        let actor = client(&project_id, own);
        assert_eq!(code(create(&bench.deps, &actor, named("x")).await), Code::Forbidden);
        bench.set_config(&project_id, json!({ "teams.allowClientTeamCreation": true })).await;
        assert_eq!(
            code(create(&bench.deps, &stranger(&project_id), named("x")).await),
            Code::UserAuthenticationRequired
        );
        for input in [
            CreateTeam { server_metadata: Some(json!(1)), ..named("x") },
            CreateTeam { client_read_only_metadata: Some(json!(1)), ..named("x") },
            named("\0"),
        ] {
            assert_eq!(code(create(&bench.deps, &actor, input).await), Code::SchemaError);
        }
        let picture = CreateTeam { profile_image_url: Some("https://example.com/t.png".to_owned()), ..named("x") };
        assert_eq!(code(create(&bench.deps, &actor, picture).await), Code::BadRequest);
        let for_other = CreateTeam { creator_user_id: Some(user(&bench, &project_id).await), ..named("x") };
        assert_eq!(code(create(&bench.deps, &actor, for_other).await), Code::Forbidden);
        for creator_user_id in [None, Some(own)] {
            let team = create(&bench.deps, &actor, CreateTeam { creator_user_id, ..named("x") }).await.unwrap();
            assert!(is_member(&bench.deps, &project_id, team.id, own).await.unwrap());
        }
        // Making a team does not select it.
        assert_eq!(users::find(&bench.deps, &project_id, own).await.unwrap().unwrap().selected_team, None);
    })
    .await;
}

#[tokio::test]
async fn members_see_their_teams_and_servers_all_of_their_project() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let member = user(&bench, &project_id).await;
        let mut teams = Vec::new();
        for (name, creator_user_id) in [("b", Some(member)), ("a", Some(member)), ("c", None)] {
            let input = CreateTeam { creator_user_id, ..named(name) };
            teams.push(create(&bench.deps, &server(&project_id), input).await.unwrap());
            bench.clock.advance_seconds(1);
        }
        let (deps, own) = (&bench.deps, client(&project_id, member));
        assert_eq!(list(deps, &own, Some(member)).await.unwrap(), teams[..2]);
        assert_eq!(list(deps, &server(&project_id), None).await.unwrap(), teams);
        assert_eq!(list(deps, &server(&project_id), Some(UserId::random())).await.unwrap(), []);
        assert_eq!(list(deps, &server(&other), None).await.unwrap(), []);
        assert_eq!(code(list(deps, &own, None).await), Code::Forbidden);
        assert_eq!(code(list(deps, &own, Some(UserId::random())).await), Code::Forbidden);
        assert_eq!(code(list(deps, &stranger(&project_id), None).await), Code::CannotGetOwnUserWithoutUser);

        assert_eq!(get(deps, &own, teams[0].id).await.unwrap(), teams[0]);
        for id in [teams[2].id, TeamId::random()] {
            assert_eq!(code(get(deps, &own, id).await), Code::TeamMembershipNotFound);
        }
        assert_eq!(code(get(deps, &stranger(&project_id), teams[0].id).await), Code::UserAuthenticationRequired);
        assert_eq!(get(deps, &server(&project_id), teams[2].id).await.unwrap(), teams[2]);
        assert_eq!(code(get(deps, &server(&other), teams[2].id).await), Code::TeamNotFound);
        let found = by_ids(deps, &project_id, &[teams[1].id, TeamId::random()]).await.unwrap();
        assert_eq!((found.len(), &found[&teams[1].id]), (1, &teams[1]));
        assert!(!is_member(deps, &other, teams[0].id, member).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn servers_change_teams_and_every_change_is_told() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let made = create(&bench.deps, &server(&project_id), named("old")).await.unwrap();
        let change = UpdateTeam {
            display_name: Some(String::new()),
            profile_image_url: Patch::Set("https://example.com/t.png".to_owned()),
            client_metadata: Some(json!([1])),
            ..UpdateTeam::default()
        };
        let changed = update(&bench.deps, &server(&project_id), made.id, change.clone()).await.unwrap();
        assert_eq!((changed.display_name.as_str(), &changed.client_metadata), ("", &json!([1])));
        assert_eq!(changed.created_at, made.created_at);
        let same = update(&bench.deps, &server(&project_id), made.id, UpdateTeam::default()).await.unwrap();
        assert_eq!(same, changed);
        let kinds: Vec<_> = bench.events(&project_id).await.into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["team.created", "team.updated", "team.updated"]);
        assert_eq!(code(update(&bench.deps, &server(&other), made.id, change.clone()).await), Code::TeamNotFound);
        let outsider = client(&project_id, UserId::random());
        assert_eq!(code(update(&bench.deps, &outsider, made.id, change).await), Code::Forbidden);
        assert_eq!(get(&bench.deps, &server(&project_id), made.id).await.unwrap(), changed);
    })
    .await;
}
