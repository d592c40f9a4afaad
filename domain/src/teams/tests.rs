//! Teams on both databases.

use serde_json::json;

use super::{
    CreateTeam, ListTeams, Membership, TeamStart, UpdateMemberProfile, UpdateTeam, add_member, by_ids, count, create,
    delete, get, is_member, list, of_users, profile, profiles, remove_member, update, update_profile,
    wire::{ClientTeam, ServerTeam},
};
use crate::{
    Actor, Code, Error, ProjectId, TeamId, UserId,
    patch::Patch,
    permissions,
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
        let of = |user_id| ListTeams { user_id, ..ListTeams::default() };
        let listed = async |actor: &Actor, user_id| list(deps, actor, &of(user_id)).await.map(|page| page.teams);
        assert_eq!(listed(&own, Some(member)).await.unwrap(), teams[..2]);
        assert_eq!(listed(&server(&project_id), None).await.unwrap(), teams);
        assert_eq!(listed(&server(&project_id), Some(UserId::random())).await.unwrap(), []);
        assert_eq!(listed(&server(&other), None).await.unwrap(), []);
        assert_eq!(code(listed(&own, None).await), Code::Forbidden);
        assert_eq!(code(listed(&own, Some(UserId::random())).await), Code::Forbidden);
        assert_eq!(code(listed(&stranger(&project_id), None).await), Code::CannotGetOwnUserWithoutUser);
        assert_eq!(code(count(deps, &stranger(&project_id), &of(None)).await), Code::CannotGetOwnUserWithoutUser);

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
async fn teams_are_paged_either_way_and_found_by_part_of_their_name_or_by_id() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let (deps, server) = (&bench.deps, server(&project_id));
        let member = user(&bench, &project_id).await;
        let mut ids = Vec::new();
        for (number, name) in ["Ärzte 100%", "ODYSSEUS", "odd", "x"].into_iter().enumerate() {
            let creator_user_id = (number < 2).then_some(member);
            ids.push(create(deps, &server, CreateTeam { creator_user_id, ..named(name) }).await.unwrap().id);
            // The last two at one instant.
            if number < 2 {
                bench.clock.advance_seconds(1);
            }
        }
        ids[2..].sort();
        create(deps, &crate::testing::server(&other), named("odd")).await.unwrap();
        for descending in [false, true] {
            let mut ids = ids.clone();
            if descending {
                ids.reverse();
            }
            for limit in 1..=5 {
                let (mut found, mut start) = (Vec::new(), TeamStart::Beginning);
                loop {
                    let input = ListTeams { descending, start, limit: Some(limit), ..ListTeams::default() };
                    let page = list(deps, &server, &input).await.unwrap();
                    assert!(page.teams.len() as u64 <= limit);
                    found.extend(page.teams.iter().map(|team| team.id));
                    let Some(next) = page.next else { break };
                    start = TeamStart::At(next);
                }
                assert_eq!(found, ids, "{limit} {descending}");
            }
        }
        for (query, user_id, expected) in [
            ("ärz", None, vec![ids[0]]),
            ("0%", None, vec![]),
            ("00%", None, vec![ids[0]]),
            ("Yss", None, vec![ids[1]]),
            ("od", Some(member), vec![ids[1]]),
            ("od%", None, vec![]),
            (&ids[1].to_string(), None, vec![ids[1]]),
            ("", Some(member), ids[..2].to_vec()),
        ] {
            let input = ListTeams { query: Some(query.to_owned()), user_id, ..ListTeams::default() };
            let found: Vec<_> = list(deps, &server, &input).await.unwrap().teams.iter().map(|team| team.id).collect();
            assert_eq!(found, expected, "{query}");
            assert_eq!(count(deps, &server, &input).await.unwrap(), expected.len() as u64);
        }
        let renamed = UpdateTeam { display_name: Some("Ithaka".to_owned()), ..UpdateTeam::default() };
        update(deps, &server, ids[1], renamed).await.unwrap();
        for (query, many) in [("yss", 0), ("THAK", 1)] {
            let input = ListTeams { query: Some(query.to_owned()), ..ListTeams::default() };
            assert_eq!(count(deps, &server, &input).await.unwrap(), many);
        }
        let gone = ListTeams { start: TeamStart::At(TeamId::random()), ..ListTeams::default() };
        assert_eq!(code(list(deps, &server, &gone).await), Code::BadRequest);
        for bad in [
            ListTeams { limit: Some(0), ..ListTeams::default() },
            ListTeams { query: Some("x".repeat(257)), ..ListTeams::default() },
        ] {
            assert_eq!(code(list(deps, &server, &bad).await), Code::SchemaError);
        }
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
        let change = UpdateTeam { profile_image_url: Patch::Keep, ..change };
        assert_eq!(code(update(&bench.deps, &outsider, made.id, change).await), Code::TeamMembershipNotFound);
        assert_eq!(get(&bench.deps, &server(&project_id), made.id).await.unwrap(), changed);
    })
    .await;
}

async fn grant(bench: &TestBench, project_id: &ProjectId, team_id: TeamId, user_id: UserId, id: &str) {
    permissions::grant_in_team(&bench.deps, &server(project_id), team_id, user_id, id).await.unwrap();
}

/// A team with two members, neither of whom was granted anything.
async fn team_of_two(bench: &TestBench, project_id: &ProjectId) -> (TeamId, UserId, UserId) {
    let (one, two) = (user(bench, project_id).await, user(bench, project_id).await);
    let team = create(&bench.deps, &server(project_id), named("Team")).await.unwrap().id;
    for member in [one, two] {
        let membership = add_member(&bench.deps, &server(project_id), team, member).await.unwrap();
        assert_eq!(membership, Membership { team_id: team, user_id: member });
        bench.clock.advance_seconds(1);
    }
    (team, one, two)
}

#[tokio::test]
async fn what_members_may_do_is_what_they_were_granted() {
    on_each_database(|bench| async move {
        let (deps, project_id) = (&bench.deps, bench.insert_project().await);
        let (team, one, two) = team_of_two(&bench, &project_id).await;
        let (own, before) = (client(&project_id, one), get(deps, &server(&project_id), team).await.unwrap());
        let change = UpdateTeam { display_name: Some("New".to_owned()), ..UpdateTeam::default() };
        let of_servers = UpdateTeam { server_metadata: Some(json!(1)), ..UpdateTeam::default() };
        for outcome in [
            update(deps, &own, team, change.clone()).await.map(drop),
            delete(deps, &own, team).await,
            remove_member(deps, &own, team, two).await,
            profiles(deps, &own, Some(team), None).await.map(drop),
            profile(deps, &own, team, two).await.map(drop),
        ] {
            assert_eq!(code(outcome), Code::TeamPermissionRequired);
        }
        assert_eq!(code(update(deps, &own, team, of_servers).await), Code::SchemaError);
        assert_eq!(get(deps, &server(&project_id), team).await.unwrap(), before);
        for outcome in [
            update(deps, &stranger(&project_id), team, change.clone()).await.map(drop),
            delete(deps, &stranger(&project_id), team).await,
            remove_member(deps, &stranger(&project_id), team, two).await,
        ] {
            assert_eq!(code(outcome), Code::UserAuthenticationRequired);
        }

        grant(&bench, &project_id, team, one, "$read_members").await;
        let seen = profiles(deps, &own, Some(team), None).await.unwrap();
        assert_eq!(seen.iter().map(|profile| profile.user_id).collect::<Vec<_>>(), [one, two]);
        grant(&bench, &project_id, team, one, "$update_team").await;
        assert_eq!(update(deps, &own, team, change).await.unwrap().display_name, "New");
        grant(&bench, &project_id, team, one, "$remove_members").await;
        remove_member(deps, &own, team, two).await.unwrap();
        assert_eq!(code(remove_member(deps, &own, team, two).await), Code::TeamMembershipNotFound);
        assert_eq!(code(remove_member(deps, &own, team, UserId::random()).await), Code::UserNotFound);
        grant(&bench, &project_id, team, one, "$delete_team").await;
        let skipped = bench.events(&project_id).await.len();
        delete(deps, &own, team).await.unwrap();
        let told = bench.events(&project_id).await.split_off(skipped);
        assert_eq!(told, [("team.deleted".to_owned(), json!({ "id": team }))]);
        assert_eq!(code(delete(deps, &own, team).await), Code::TeamMembershipNotFound);
        assert_eq!(code(delete(deps, &server(&project_id), team).await), Code::TeamNotFound);
    })
    .await;
}

#[tokio::test]
async fn members_join_once_and_may_always_leave() {
    on_each_database(|bench| async move {
        let (deps, project_id, other) = (&bench.deps, bench.insert_project().await, bench.insert_project().await);
        let (team, one, two) = team_of_two(&bench, &project_id).await;
        let actor = server(&project_id);
        for (outcome, expected) in [
            (add_member(deps, &actor, team, one).await.map(drop), Code::TeamMembershipAlreadyExists),
            (add_member(deps, &actor, TeamId::random(), one).await.map(drop), Code::TeamNotFound),
            (add_member(deps, &actor, team, UserId::random()).await.map(drop), Code::UserNotFound),
            (add_member(deps, &server(&other), team, one).await.map(drop), Code::UserNotFound),
            (add_member(deps, &client(&project_id, one), team, one).await.map(drop), Code::Forbidden),
            (remove_member(deps, &server(&other), team, one).await, Code::UserNotFound),
        ] {
            assert_eq!(code(outcome), expected);
        }
        remove_member(deps, &client(&project_id, two), team, two).await.unwrap();
        assert!(!is_member(deps, &project_id, team, two).await.unwrap());
        let told = bench.events(&project_id).await.pop().unwrap();
        assert_eq!(told, ("team_membership.deleted".to_owned(), json!({ "team_id": team, "user_id": two })));
        assert_eq!(code(remove_member(deps, &client(&project_id, two), team, two).await), Code::TeamMembershipNotFound);
        // Not even the last one is kept.
        remove_member(deps, &actor, team, one).await.unwrap();
        // Of many who add the same member one succeeds.
        let tries = futures::future::join_all((0..20).map(|_| add_member(deps, &actor, team, one))).await;
        assert_eq!(tries.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_profile_is_the_users_until_the_member_says_otherwise() {
    on_each_database(|bench| async move {
        let (deps, project_id, other) = (&bench.deps, bench.insert_project().await, bench.insert_project().await);
        let (team, one, two) = team_of_two(&bench, &project_id).await;
        let (own, actor) = (client(&project_id, one), server(&project_id));
        let name = |name: &str| users::UpdateUser {
            display_name: Patch::Set(name.to_owned()),
            ..users::UpdateUser::default()
        };
        users::update(deps, &actor, one, name("Ada")).await.unwrap();
        assert_eq!(profile(deps, &own, team, one).await.unwrap().display_name.as_deref(), Some("Ada"));
        users::update(deps, &actor, one, name("Ada L.")).await.unwrap();
        assert_eq!(profile(deps, &own, team, one).await.unwrap().display_name.as_deref(), Some("Ada L."));
        let events = bench.events(&project_id).await.len();
        let change = UpdateMemberProfile {
            display_name: Some(String::new()),
            profile_image_url: Patch::Set("https://example.com/a.png".to_owned()),
        };
        let changed = update_profile(deps, &own, team, one, change.clone()).await.unwrap();
        assert_eq!(
            (changed.display_name.as_deref(), changed.profile_image_url.as_deref()),
            (Some(""), Some("https://example.com/a.png"))
        );
        let back = UpdateMemberProfile { profile_image_url: Patch::Clear, ..UpdateMemberProfile::default() };
        let changed = update_profile(deps, &own, team, one, back).await.unwrap();
        assert_eq!((changed.display_name.as_deref(), changed.profile_image_url), (Some(""), None));
        assert_eq!(profile(deps, &actor, team, one).await.unwrap().display_name.as_deref(), Some(""));
        assert_eq!(bench.events(&project_id).await.len(), events, "nobody is told");

        let teams_of = |user_id| profiles(deps, &actor, None, Some(user_id));
        assert_eq!(teams_of(two).await.unwrap().len(), 1);
        assert_eq!(profiles(deps, &actor, None, None).await.unwrap().len(), 2);
        assert_eq!(profiles(deps, &server(&other), None, None).await.unwrap(), []);
        for (outcome, expected) in [
            (update_profile(deps, &own, team, two, change.clone()).await.map(drop), Code::Forbidden),
            (
                update_profile(deps, &stranger(&project_id), team, two, change.clone()).await.map(drop),
                Code::CannotGetOwnUserWithoutUser,
            ),
            (
                update_profile(deps, &actor, TeamId::random(), two, change.clone()).await.map(drop),
                Code::TeamMembershipNotFound,
            ),
            (update_profile(deps, &server(&other), team, two, change).await.map(drop), Code::TeamMembershipNotFound),
            (profile(deps, &actor, team, UserId::random()).await.map(drop), Code::TeamMembershipNotFound),
            (profiles(deps, &own, None, None).await.map(drop), Code::BadRequest),
            (profiles(deps, &own, Some(TeamId::random()), Some(one)).await.map(drop), Code::TeamMembershipNotFound),
            (profiles(deps, &actor, Some(TeamId::random()), None).await.map(drop), Code::TeamNotFound),
            (profiles(deps, &actor, None, Some(UserId::random())).await.map(drop), Code::UserNotFound),
        ] {
            assert_eq!(code(outcome), expected);
        }
    })
    .await;
}
