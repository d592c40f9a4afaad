use serde_json::json;

use super::{code, make, named, with_email};
use crate::{
    Code, ProjectId, TeamId, UserId,
    db::Backend,
    patch::Patch,
    projects,
    teams::{self, CreateTeam},
    testing::{TestBench, client, on_each_database, server, stranger},
    users::{
        self, CreateUser, ListUsers, MAX_QUERY_CHARS, PageStart, UpdateUser, UserOrder,
        channels::{self, CreateChannel, UpdateChannel},
        count, list,
        list::{Way, Ways, page, way_of_team},
        search::Search,
        store::Loaded,
    },
};

async fn ids(bench: &TestBench, project_id: &ProjectId, input: ListUsers) -> Vec<UserId> {
    list(&bench.deps, &server(project_id), &input).await.unwrap().users.iter().map(|user| user.id).collect()
}

/// Users that signed up one second after the other, but for the last two, who did at the same instant.
async fn five(bench: &TestBench, project_id: &ProjectId) -> Vec<UserId> {
    let mut ids = Vec::new();
    for i in 0..5 {
        ids.push(make(bench, project_id, named(&format!("User {i}"))).await.id);
        if i < 3 {
            bench.clock.advance_seconds(1);
        }
    }
    ids[3..].sort();
    ids
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition_in_both_directions() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let server = server(&project_id);
        let mut expected = five(&bench, &project_id).await;
        for descending in [false, true] {
            for order_by in [UserOrder::SignedUpAt, UserOrder::LastActiveAt] {
                for limit in 1..=6 {
                    let page = ListUsers { order_by, descending, limit: Some(limit), ..ListUsers::default() };
                    // By the first user of the next page, as REST does.
                    let (mut found, mut start) = (Vec::new(), PageStart::Beginning);
                    loop {
                        let page = list(&bench.deps, &server, &ListUsers { start, ..page.clone() }).await.unwrap();
                        assert!(page.users.len() <= usize::try_from(limit).unwrap());
                        found.extend(page.users.iter().map(|user| user.id));
                        let Some(next) = page.next else { break };
                        start = PageStart::At(next);
                    }
                    assert_eq!(found, expected, "{page:?}");
                    // By the position of the last one seen, as GraphQL does.
                    let (mut found, mut start) = (Vec::new(), PageStart::Beginning);
                    loop {
                        let page = list(&bench.deps, &server, &ListUsers { start, ..page.clone() }).await.unwrap();
                        found.extend(page.users.iter().map(|user| user.id));
                        let (Some(last), Some(_)) = (page.users.last(), page.next) else { break };
                        start = PageStart::After(order_by.position(last));
                    }
                    assert_eq!(found, expected, "{page:?}");
                }
            }
            expected.reverse();
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_limit_everything_from_the_cursor_on_comes() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let expected = five(&bench, &project_id).await;
        let all = list(&bench.deps, &server(&project_id), &ListUsers::default()).await.unwrap();
        assert_eq!((all.users.len(), all.next), (5, None));
        let rest = ListUsers { start: PageStart::At(expected[2]), ..ListUsers::default() };
        assert_eq!(ids(&bench, &project_id, rest).await, expected[2..]);
        let huge = ListUsers { limit: Some(u64::MAX), ..ListUsers::default() };
        assert_eq!(ids(&bench, &project_id, huge).await, expected);
        assert_eq!(count(&bench.deps, &server(&project_id), &ListUsers::default()).await.unwrap(), 5);
    })
    .await;
}

#[tokio::test]
async fn a_cursor_that_is_no_user_of_the_project_is_an_error_not_an_end() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let foreign = make(&bench, &other, CreateUser::default()).await.id;
        make(&bench, &project_id, CreateUser::default()).await;
        for id in [foreign, UserId::random()] {
            let input = ListUsers { start: PageStart::At(id), ..ListUsers::default() };
            assert_eq!(code(list(&bench.deps, &server(&project_id), &input).await), Code::BadRequest);
        }
    })
    .await;
}

#[tokio::test]
async fn restricted_and_anonymous_users_are_shown_when_asked_for() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let verified = CreateUser { primary_email_verified: Some(true), ..with_email("v@example.com") };
        let mut made = Vec::new();
        for input in [
            verified,
            with_email("u@example.com"),
            CreateUser { restricted_by_admin: Some(true), ..CreateUser::default() },
            CreateUser { is_anonymous: Some(true), ..CreateUser::default() },
        ] {
            made.push(make(&bench, &project_id, input).await.id);
            bench.clock.advance_seconds(1);
        }
        let flags = |restricted, anonymous, only| ListUsers {
            include_restricted: restricted,
            include_anonymous: anonymous,
            only_anonymous: only,
            ..ListUsers::default()
        };
        assert_eq!(ids(&bench, &project_id, flags(false, false, false)).await, made[..2]);
        assert_eq!(ids(&bench, &project_id, flags(true, false, false)).await, made[..3]);
        assert_eq!(ids(&bench, &project_id, flags(false, true, false)).await, made);
        assert_eq!(ids(&bench, &project_id, flags(false, true, true)).await, made[3..]);
        let only = flags(false, false, true);
        assert_eq!(code(list(&bench.deps, &server(&project_id), &only).await), Code::BadRequest);
        bench.set_config(&project_id, json!({ "onboarding.requireEmailVerification": true })).await;
        assert_eq!(ids(&bench, &project_id, flags(false, false, false)).await, made[..1]);
        assert_eq!(ids(&bench, &project_id, flags(true, false, false)).await, made[..3]);
        assert_eq!(count(&bench.deps, &server(&project_id), &flags(false, false, false)).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_team_narrows_the_list_to_its_members() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let member = make(&bench, &project_id, CreateUser::default()).await.id;
        make(&bench, &project_id, CreateUser::default()).await;
        let input = CreateTeam { creator_user_id: Some(member), ..CreateTeam::default() };
        let team_id = teams::create(&bench.deps, &server(&project_id), input).await.unwrap().id;
        let of_team = |team_id| ListUsers { team_id: Some(team_id), ..ListUsers::default() };
        assert_eq!(ids(&bench, &project_id, of_team(team_id)).await, [member]);
        // The same whether members are looked up or all users are walked.
        let (reader, config) = (bench.deps.db.read(), projects::config(&bench.deps, &project_id).await.unwrap());
        let of_many = if bench.deps.db.backend() == Backend::Sqlite { Way::Walk } else { Way::LookUp };
        for (many, way) in [(1, of_many), (2, Way::LookUp)] {
            assert_eq!(way_of_team(reader, &project_id, &of_team(team_id), many).await.unwrap(), way);
        }
        for team in [Way::LookUp, Way::Walk] {
            let page = page(reader, &project_id, &config, &of_team(team_id), Ways { team, ..Ways::default() });
            let found = page.into_model::<Loaded>().all(reader).await.unwrap();
            assert_eq!(found.iter().map(|user| user.row.id).collect::<Vec<_>>(), [member]);
        }
        assert_eq!(ids(&bench, &project_id, of_team(TeamId::random())).await, []);
    })
    .await;
}

#[tokio::test]
async fn search_finds_names_any_address_and_ids_whatever_the_case() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let oe = make(&bench, &project_id, named("Özlem ÅNGSTRÖM")).await.id;
        let percent = make(&bench, &project_id, named(r"100%_sure\maybe")).await.id;
        let greek = make(&bench, &project_id, named("ΟΔΥΣΣΕΥΣ")).await.id;
        let mail = make(&bench, &project_id, with_email("First.Last@Example.com")).await.id;
        let second = crate::users::UpdateUser {
            primary_email: crate::patch::Patch::Set("other@elsewhere.org".to_owned()),
            ..Default::default()
        };
        crate::users::update(&bench.deps, &server(&project_id), mail, second).await.unwrap();
        make(&bench, &other, with_email("first.last@example.com")).await;
        let cases = [
            ("özlem", vec![oe]),
            ("ÅNGST", vec![oe]),
            ("ångström", vec![oe]),
            ("ström", vec![oe]),
            ("οδυσσευς", vec![greek]),
            ("ΔΥΣΣ", vec![greek]),
            ("100%", vec![percent]),
            ("%_s", vec![percent]),
            (r"e\m", vec![percent]),
            ("___", vec![]),
            ("%%%", vec![]),
            // The old address is still one of the user's.
            ("LAST@example", vec![mail]),
            ("elsewhere", vec![mail]),
            // Under three characters only the beginning counts.
            ("öz", vec![oe]),
            ("fi", vec![mail]),
            ("10", vec![percent]),
            ("la", vec![]),
            ("%", vec![]),
            ("nobody at all", vec![]),
            ("'; DROP TABLE \"user\"; --", vec![]),
        ];
        for (query, expected) in cases {
            let input = ListUsers { query: Some(query.to_owned()), ..ListUsers::default() };
            assert_eq!(ids(&bench, &project_id, input.clone()).await, expected, "{query}");
            // The same whether the index is asked or each user.
            let (reader, config) = (bench.deps.db.read(), projects::config(&bench.deps, &project_id).await.unwrap());
            for (many, is_many) in [(1, !expected.is_empty()), (2, false)] {
                let search = Search::new(reader, &project_id, query).walking_from(many);
                assert_eq!(search.finds_many(reader).await.unwrap(), is_many, "{query}");
            }
            for search in [Way::LookUp, Way::Walk] {
                let page = page(reader, &project_id, &config, &input, Ways { search, ..Ways::default() });
                let found: Vec<UserId> =
                    page.into_model::<Loaded>().all(reader).await.unwrap().iter().map(|user| user.row.id).collect();
                assert_eq!(found, expected, "{query}");
            }
        }
        for (query, expected) in [
            (oe.to_string(), vec![oe]),
            (format!("\"{oe}\""), vec![oe]),
            (oe.to_string().to_uppercase(), vec![]),
            (String::new(), ids(&bench, &project_id, ListUsers::default()).await),
        ] {
            let input = ListUsers { query: Some(query), ..ListUsers::default() };
            assert_eq!(ids(&bench, &project_id, input.clone()).await, expected);
            assert_eq!(ids(&bench, &other, ListUsers { query: Some(oe.to_string()), ..input }).await, []);
        }
    })
    .await;
}

#[tokio::test]
async fn bad_input_and_callers_without_right_are_refused() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let user = make(&bench, &project_id, CreateUser::default()).await;
        let query = |text: &str| ListUsers { query: Some(text.to_owned()), ..ListUsers::default() };
        for input in [
            query(&"x".repeat(MAX_QUERY_CHARS + 1)),
            query("a\0b"),
            ListUsers { limit: Some(0), ..ListUsers::default() },
        ] {
            assert_eq!(code(list(&bench.deps, &server(&project_id), &input).await), Code::SchemaError);
        }
        for actor in [stranger(&project_id), client(&project_id, user.id)] {
            assert_eq!(code(list(&bench.deps, &actor, &ListUsers::default()).await), Code::Forbidden);
            assert_eq!(code(count(&bench.deps, &actor, &ListUsers::default()).await), Code::Forbidden);
        }
    })
    .await;
}

#[tokio::test]
async fn a_search_follows_what_is_changed_and_removed() {
    on_each_database(|bench| async move {
        let project_id = bench.insert_project().await;
        let (deps, server) = (&bench.deps, server(&project_id));
        let found = async |query: &str| {
            let input = ListUsers { query: Some(query.to_owned()), ..ListUsers::default() };
            assert_eq!(
                count(deps, &server, &input).await.unwrap(),
                list(deps, &server, &input).await.unwrap().users.len() as u64
            );
            ids(&bench, &project_id, input).await
        };
        let id = make(&bench, &project_id, named("Grace Hopper")).await.id;
        assert_eq!(found("hopp").await, [id]);
        let renamed = |name: Patch<String>| UpdateUser { display_name: name, ..UpdateUser::default() };
        users::update(deps, &server, id, renamed(Patch::Set("Ada Byron".to_owned()))).await.unwrap();
        assert_eq!((found("hopp").await, found("byro").await, found("ad").await), (vec![], vec![id], vec![id]));
        let input = CreateChannel {
            user_id: id,
            value: "first@example.com".to_owned(),
            used_for_auth: false,
            is_primary: None,
            is_verified: None,
        };
        let channel = channels::create(deps, &server, input).await.unwrap();
        assert_eq!((found("first@").await, found("fi").await), (vec![id], vec![id]));
        let change = UpdateChannel { value: Some("second@example.com".to_owned()), ..UpdateChannel::default() };
        channels::update(deps, &server, id, channel.id, change).await.unwrap();
        assert_eq!((found("first@").await, found("second@").await), (vec![], vec![id]));
        channels::delete(deps, &server, id, channel.id).await.unwrap();
        assert_eq!(found("second@").await, []);
        users::update(deps, &server, id, renamed(Patch::Clear)).await.unwrap();
        assert_eq!(found("byro").await, []);
        users::update(deps, &server, id, renamed(Patch::Set("Ada Byron".to_owned()))).await.unwrap();
        users::delete(deps, &server, id).await.unwrap();
        assert_eq!(found("byro").await, []);
    })
    .await;
}
