//! How many SQL statements an answer takes: not more for more rows. Without a worker, whose statements would count too.

use std::net::SocketAddr;

use futures::StreamExt;
use postern_domain::{
    Actor, Deps, Level, ProjectId,
    db::Watch,
    projects::{NewKeySet, create_key_set},
    testing::{TestBench, on_each_database},
};
use postern_gateway::{Gateway, Proxies};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{ask, data};
use crate::support::client::{Client, Keys};

/// The most that a page of users with everything that belongs to them may take (design §6).
const MOST: usize = 6;

/// A gateway alone, over a database that is watched, and the server of a new project.
async fn watched(mut bench: TestBench) -> (Client, Watch) {
    postern::wiring::install_crypto_provider();
    let watch = bench.deps.db.watch();
    let project_id = bench.insert_project().await;
    let keys = keys(&bench.deps, &project_id).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = Gateway::new(bench.deps, Proxies::default(), CancellationToken::new());
    let service = postern_gateway::router(gateway).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    (Client::new(&url, &keys).server(), watch)
}

async fn keys(deps: &Deps, project_id: &ProjectId) -> Keys {
    let operator = Actor::new(project_id.clone(), Level::Admin, None);
    let made = create_key_set(deps, &operator, NewKeySet::lasting(deps, "test")).await.unwrap();
    Keys::of(project_id, &made.keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_users_have_takes_as_many_statements_for_a_page_as_for_one() {
    on_each_database(|bench| async move {
        const USERS: usize = 20;
        let (server, watch) = watched(bench).await;
        let config = json!({ "payments.items": { "credits": {}, "calls": {}, "seats": { "customerType": "team" } } });
        let path = "/internal/config/override/environment";
        server.admin().put(path, json!({"config_string": config.to_string()})).await.json(200);
        let change = "mutation($input: ChangeItemQuantityInput!) { changeItemQuantity(input: $input) { item { id } } }";
        for _ in 0..USERS {
            let user = server.post("/users", json!({})).await.json(201);
            let team =
                server.post("/teams", json!({"display_name": "", "creator_user_id": user["id"]})).await.json(201);
            for (kind, id, item) in [("USER", &user["id"], "credits"), ("TEAM", &team["id"], "seats")] {
                let input = json!({"customer": {"type": kind, "id": id}, "itemId": item, "delta": 3});
                data(ask(&server, change, json!({ "input": input })).await);
            }
        }
        let query = "query($first: Int!) { users(first: $first) { nodes { items(first: 5) { nodes { key quantity } }
            teams(first: 2) { nodes { items(first: 5) { nodes { key quantity } } } } } } }";
        data(ask(&server, query, json!({"first": 1})).await);
        let mut taken = Vec::new();
        for first in [1, USERS] {
            drop(watch.take_statements());
            let answer = data(ask(&server, query, json!({ "first": first })).await);
            taken.push(watch.take_statements());
            let nodes = answer["users"]["nodes"].as_array().unwrap();
            assert_eq!(nodes.len(), first);
            for node in nodes {
                let items = json!([{"key": "calls", "quantity": 0}, {"key": "credits", "quantity": 3}]);
                assert_eq!(node["items"]["nodes"], items);
                assert_eq!(node["teams"]["nodes"][0]["items"]["nodes"], json!([{"key": "seats", "quantity": 3}]));
            }
        }
        assert_eq!(taken[0].len(), taken[1].len(), "{taken:#?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_users_takes_as_many_statements_as_one_user() {
    on_each_database(|bench| async move {
        const USERS: usize = 50;
        let (server, watch) = watched(bench).await;
        let config = json!({
            "rbac.permissions": { "enter": { "scope": "project" }, "run": { "scope": "team", "containedPermissionIds": {
                "$read_members": true, "$update_team": true, "$delete_team": true, "$invite_members": true,
                "$remove_members": true, "$manage_api_keys": true } } },
            "rbac.defaultPermissions": { "teamCreator": { "run": true }, "signUp": { "enter": true } },
        });
        let path = "/internal/config/override/environment";
        server.admin().put(path, json!({"config_string": config.to_string()})).await.json(200);
        for number in 0..USERS {
            let user = json!({"primary_email": format!("user{number}@example.com"), "display_name": "User"});
            let user = server.post("/users", user).await.json(201);
            for name in ["One", "Two"] {
                let team = json!({"display_name": name, "creator_user_id": user["id"]});
                server.post("/teams", team).await.json(201);
            }
        }
        let query = "query($first: Int!) { users(first: $first) { totalCount edges { cursor node {
            id displayName primaryEmail primaryEmailVerified clientMetadata signedUpAt lastActiveAt
            oauthProviders { key } selectedTeam { id } riskScores { bot }
            contactChannels { nodes { id value isVerified } } teams { nodes { id displayName createdAt } }
            teamPermissions(recursive: true) { nodes { key teamId } } projectPermissions { nodes { key } } } } } }";
        // What is cached from now on (keys, config) is not the page's.
        data(ask(&server, query, json!({"first": 1})).await);
        let mut taken = Vec::new();
        for first in [1, 10, USERS] {
            drop(watch.take_statements());
            let answer = data(ask(&server, query, json!({ "first": first })).await);
            taken.push(watch.take_statements());
            let nodes: Vec<&Value> =
                answer["users"]["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]).collect();
            assert_eq!(nodes.len(), first);
            for node in nodes {
                assert_eq!(node["teams"]["nodes"].as_array().unwrap().len(), 2, "{node}");
                assert_eq!(node["contactChannels"]["nodes"].as_array().unwrap().len(), 1, "{node}");
                assert_eq!(node["teamPermissions"]["nodes"].as_array().unwrap().len(), 14, "{node}");
                assert_eq!(node["projectPermissions"]["nodes"].as_array().unwrap().len(), 1, "{node}");
            }
        }
        let [one, ten, all] = taken.try_into().unwrap();
        assert!(!one.is_empty() && one.len() <= MOST, "{} statements: {one:#?}", one.len());
        assert_eq!(ten.len(), one.len(), "{ten:#?}");
        assert_eq!(all.len(), one.len(), "{all:#?}");
    })
    .await;
}

/// Also when each team has its own answer to whether the caller may see its members.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_teams_with_their_members_takes_as_many_statements_as_one_team() {
    on_each_database(|bench| async move {
        const TEAMS: usize = 30;
        let (server, watch) = watched(bench).await;
        let config = json!({
            "rbac.permissions": { "run": { "scope": "team", "containedPermissionIds": { "$read_members": true } } },
            "rbac.defaultPermissions": { "teamCreator": { "run": true } },
        });
        let path = "/internal/config/override/environment";
        server.admin().put(path, json!({"config_string": config.to_string()})).await.json(200);
        let user = json!({"primary_email": "user@example.com", "display_name": "User"});
        let user = server.post("/users", user).await.json(201);
        for number in 0..TEAMS {
            let team = json!({"display_name": format!("Team {number}"), "creator_user_id": user["id"]});
            server.post("/teams", team).await.json(201);
        }
        let session = server.post("/auth/sessions", json!({"user_id": user["id"]})).await.json(200);
        let member = server.client().user(session["access_token"].as_str().unwrap());
        let query = "query($first: Int!) { teams(first: $first) { nodes {
            displayName members { nodes { userId displayName } } } } }";
        for caller in [&server, &member] {
            data(ask(caller, query, json!({"first": 1})).await);
            let mut taken = Vec::new();
            for first in [1, TEAMS] {
                drop(watch.take_statements());
                let answer = data(ask(caller, query, json!({ "first": first })).await);
                taken.push(watch.take_statements());
                let teams = answer["teams"]["nodes"].as_array().unwrap();
                assert_eq!(teams.len(), first);
                assert!(teams.iter().all(|team| team["members"]["nodes"][0]["displayName"] == "User"), "{answer}");
            }
            let [one, all] = taken.try_into().unwrap();
            assert!(!one.is_empty() && one.len() <= MOST, "{} statements: {one:#?}", one.len());
            assert_eq!(all.len(), one.len(), "{all:#?}");
        }
    })
    .await;
}

/// What a router of a supergraph asks for, by a server and by a user, who sees itself and its teams of them.
#[tokio::test(flavor = "multi_thread")]
async fn many_entities_take_as_many_statements_as_two() {
    on_each_database(|bench| async move {
        const USERS: usize = 30;
        let (server, watch) = watched(bench).await;
        let (mut users, mut teams) = (Vec::new(), Vec::new());
        for _ in 0..USERS {
            let user = server.post("/users", json!({})).await.json(201)["id"].clone();
            let team = json!({"display_name": "", "creator_user_id": user});
            teams.push(json!({"__typename": "Team", "id": server.post("/teams", team).await.json(201)["id"]}));
            users.push(json!({"__typename": "User", "id": user}));
        }
        let session = server.post("/auth/sessions", json!({"user_id": users[0]["id"]})).await.json(200);
        let member = server.client().user(session["access_token"].as_str().unwrap());
        let query =
            "query($all: [_Any!]!) { _entities(representations: $all) { ... on User { id } ... on Team { id } } }";
        for (caller, seen) in [(&server, USERS), (&member, 1)] {
            data(ask(caller, query, json!({"all": [users[0], teams[0]]})).await);
            let mut taken = Vec::new();
            for count in [1, USERS] {
                drop(watch.take_statements());
                let all: Vec<_> = users.iter().take(count).chain(teams.iter().take(count)).collect();
                let answer = data(ask(caller, query, json!({ "all": all })).await);
                taken.push(watch.take_statements().len());
                let found: Vec<_> = answer["_entities"].as_array().unwrap().iter().map(|it| it.is_object()).collect();
                let expected: Vec<_> = (0..2 * count).map(|place| place % count < seen).collect();
                assert_eq!(found, expected);
            }
            assert_eq!(taken[0], taken[1]);
        }
    })
    .await;
}

/// As much as one operation can ask for: five pages of 200 users, each user with ten relations.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_users_with_ten_relations_take_no_more_statements_than_five() {
    on_each_database(|bench| async move {
        const PAGE: usize = 200;
        let (server, watch) = watched(bench).await;
        let config = json!({
            "payments.items": { "credits": {}, "seats": { "customerType": "team" } },
            "rbac.permissions": { "enter": { "scope": "project" }, "run": { "scope": "team" } },
            "rbac.defaultPermissions": { "signUp": { "enter": true }, "teamCreator": { "run": true } },
        });
        let path = "/internal/config/override/environment";
        server.admin().put(path, json!({"config_string": config.to_string()})).await.json(200);
        let make = |number: usize| {
            let server = server.clone();
            async move {
                let user = json!({"primary_email": format!("user{number}@example.com"), "display_name": "User"});
                let user = server.post("/users", user).await.json(201);
                let team = json!({"display_name": "Team", "creator_user_id": user["id"]});
                server.post("/teams", team).await.json(201);
            }
        };
        futures::stream::iter(0..5 * PAGE).map(make).buffer_unordered(16).collect::<Vec<()>>().await;
        let mut cursors = vec![Value::Null];
        for _ in 1..5 {
            let query = "query($after: String) { users(first: 200, after: $after) { pageInfo { endCursor } } }";
            let page = data(ask(&server, query, json!({"after": cursors.last()})).await);
            cursors.push(page["users"]["pageInfo"]["endCursor"].clone());
        }
        let query = "query($first: Int!, $a: String, $b: String, $c: String, $d: String, $e: String) {
            a: users(first: $first, after: $a) { ...P } b: users(first: $first, after: $b) { ...P }
            c: users(first: $first, after: $c) { ...P } d: users(first: $first, after: $d) { ...P }
            e: users(first: $first, after: $e) { ...P } }
            fragment P on UserConnection { nodes { contactChannels(first: 1) { nodes { value } }
                linkedAccounts(first: 1) { nodes { id } } projectPermissions(first: 1) { nodes { key } }
                allProject: projectPermissions(recursive: true, first: 1) { nodes { key } }
                teamPermissions(first: 1) { nodes { key } } allTeam: teamPermissions(recursive: true, first: 1) { nodes { key } }
                items(first: 1) { nodes { quantity } } teams(first: 1) { nodes { displayName
                    members(first: 1) { nodes { user { id } } } items(first: 1) { nodes { quantity } } } } } }";
        let ask_for = async |first: usize| {
            let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|page: usize| &cursors[page]);
            drop(watch.take_statements());
            let variables = json!({"first": first, "a": a, "b": b, "c": c, "d": d, "e": e});
            let answer = data(ask(&server, query, variables).await);
            (answer, watch.take_statements())
        };
        ask_for(1).await;
        let one_page = format!("query($first: Int!) {{ users(first: $first) {{ ...P }} }} {}", &query[query.find("fragment").unwrap()..]);
        drop(watch.take_statements());
        data(ask(&server, &one_page, json!({"first": 1})).await);
        let few = watch.take_statements();
        let (answer, many) = ask_for(PAGE).await;
        for page in ["a", "b", "c", "d", "e"] {
            let nodes = answer[page]["nodes"].as_array().unwrap();
            assert_eq!(nodes.len(), PAGE);
            for node in nodes {
                for relation in ["contactChannels", "projectPermissions", "allProject", "teamPermissions", "allTeam", "items"] {
                    assert_eq!(node[relation]["nodes"].as_array().unwrap().len(), 1, "{relation} of {node}");
                }
                let team = &node["teams"]["nodes"][0];
                assert_eq!(team["items"]["nodes"], json!([{"quantity": 0}]));
                assert!(team["members"]["nodes"][0]["user"]["id"].is_string(), "{node}");
            }
        }
        // The pages are read side by side, so what hangs on them is loaded together or not; but never row by row.
        assert!(many.len() <= 5 * few.len(), "{} statements, {} for one user", many.len(), few.len());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_accounts_of_many_users_take_as_many_statements_as_those_of_one() {
    on_each_database(|bench| async move {
        const USERS: usize = 20;
        let (server, watch) = watched(bench).await;
        let config = json!({ "auth.oauth.providers.github": { "type": "github" } }).to_string();
        let path = "/internal/config/override/environment";
        server.admin().put(path, json!({ "config_string": config })).await.json(200);
        for number in 0..USERS {
            let account = json!({"id": "github", "account_id": number.to_string()});
            server.post("/users", json!({"oauth_providers": [account]})).await.json(201);
        }
        let query = "query($first: Int!) { users(first: $first) { nodes { oauthProviders { accountId }
            linkedAccounts { nodes { accountId } } } } }";
        data(ask(&server, query, json!({"first": 1})).await);
        let mut taken = Vec::new();
        for first in [1, USERS] {
            drop(watch.take_statements());
            let answer = data(ask(&server, query, json!({ "first": first })).await);
            taken.push(watch.take_statements().len());
            for node in answer["users"]["nodes"].as_array().unwrap() {
                assert_eq!(node["oauthProviders"], node["linkedAccounts"]["nodes"]);
                assert_eq!(node["oauthProviders"].as_array().unwrap().len(), 1);
            }
        }
        assert_eq!(taken, [2, 2]);
    })
    .await;
}
