//! Which SQL statements the requests that are made most take, once what every request asks for is kept: the project, its
//! config, its key. One more would be noticed. Without a worker, whose statements would count too.

use std::{
    cell::Cell,
    net::SocketAddr,
    time::{Duration, Instant},
};

use postern_domain::{
    Actor, Level,
    db::{Backend, Watch},
    projects::{NewKeySet, create_key_set},
    signal::{Signal, Signals},
    testing::{TestBench, on_each_database},
};
use postern_gateway::{Gateway, Proxies};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::client::{Answer, Client, Keys};

/// For how long at most what every request asks for is kept (design §6).
const KEPT_FOR: Duration = Duration::from_secs(5);
/// How often a machine may be too slow for that.
const MAX_ROUNDS: usize = 10;

/// A gateway alone, over a database that is watched, and the server of a new project.
struct Scene {
    server: Client,
    backend: Backend,
    watch: Watch,
    signals: Signals,
}

impl Scene {
    async fn new(mut bench: TestBench) -> Self {
        postern::wiring::install_crypto_provider();
        let watch = bench.deps.db.watch();
        let (backend, signals) = (bench.deps.db.backend(), bench.deps.db.signals().clone());
        let project_id = bench.insert_project().await;
        let operator = Actor::new(project_id.clone(), Level::Admin, None);
        let made = create_key_set(&bench.deps, &operator, NewKeySet::lasting(&bench.deps, "test")).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gateway = Gateway::new(bench.deps, Proxies::default(), CancellationToken::new());
        let service = postern_gateway::router(gateway).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let server = Client::new(&url, &Keys::of(&project_id, &made.keys)).server();
        Self { server, backend, watch, signals }
    }

    /// A user with this address, signed in: a client that asks as this user, and the refresh token.
    async fn signed_in(&self, address: &str) -> (Client, String) {
        let user = json!({"primary_email": address, "display_name": "User"});
        let user = self.server.post("/users", user).await.json(201);
        let session = self.server.post("/auth/sessions", json!({"user_id": user["id"]})).await.json(200);
        let token = |name: &str| session[name].as_str().unwrap().to_owned();
        (self.server.client().user(&token("access_token")), token("refresh_token"))
    }

    /// What a round of requests comes to that begins with nothing kept, as when signals were lost. On a machine that stands
    /// still for a while, what a round keeps may be too old before it ends, and is read once more: such a round says nothing,
    /// and another one is made. `round` takes notes of statements only, for they are judged when the round counts.
    async fn measured<T>(&self, round: impl AsyncFn() -> T) -> T {
        for _ in 0..MAX_ROUNDS {
            let began = Instant::now();
            self.signals.send(Signal::Missed);
            let outcome = round().await;
            if began.elapsed() < KEPT_FOR {
                return outcome;
            }
        }
        panic!("no round ended before what it keeps was too old");
    }

    /// The statements that an answer takes, and the answer, which must be a good one.
    async fn ask(&self, request: impl Future<Output = Answer>) -> (Vec<String>, Value) {
        drop(self.watch.take_statements());
        let answer = request.await;
        let statements = self.watch.take_statements();
        let status = answer.status.as_u16();
        assert!(answer.status.is_success(), "{}", answer.text);
        (statements, answer.json(status))
    }
}

/// The table that each statement is about: the first name in it.
fn tables(statements: &[String]) -> Vec<&str> {
    statements.iter().map(|sql| sql.split('"').nth(1).unwrap_or(sql)).collect()
}

/// The tables that rows are added to, in this order.
fn added_to(statements: &[String]) -> Vec<&str> {
    let added = statements.iter().flat_map(|sql| sql.split("INSERT INTO \"").skip(1));
    added.filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_user_over_rest_is_all_that_is_read_for_it() {
    on_each_database(|bench| async move {
        let scene = Scene::new(bench).await;
        let (ada, _) = scene.signed_in("ada@example.com").await;
        let (bob, _) = scene.signed_in("bob@example.com").await;
        let round = async || {
            let mut of_ada = Vec::new();
            for _ in 0..3 {
                of_ada.push(scene.ask(ada.get("/users/me")).await);
            }
            (of_ada, scene.ask(bob.get("/users/me")).await)
        };
        let (of_ada, (other, me)) = scene.measured(round).await;
        let (first, _) = &of_ada[0];
        // That there is such a user is asked apart from what it is, and kept too.
        assert_eq!(tables(first), ["project", "config_override", "key_set", "user", "user"], "{first:#?}");
        for (next, me) in &of_ada[1..] {
            assert_eq!(tables(next), ["user"], "{next:#?}");
            assert_eq!(me["primary_email"], "ada@example.com");
        }
        // Another one of the project brings nothing new but itself.
        assert_eq!(tables(&other), ["user", "user"], "{other:#?}");
        assert_eq!(me["primary_email"], "bob@example.com");
    })
    .await;
}

/// Which also asks whether the session lives.
#[tokio::test(flavor = "multi_thread")]
async fn the_own_user_over_graphql_and_its_session_are_all_that_is_read_for_it() {
    on_each_database(|bench| async move {
        let scene = Scene::new(bench).await;
        let (ada, _) = scene.signed_in("ada@example.com").await;
        let me = || ada.graphql("{ me { id displayName primaryEmail } }", Value::Null);
        // One schema is made for the first operation and one for documents that are known to fit, which takes a while.
        for _ in 0..2 {
            scene.ask(me()).await;
        }
        let round = async || [scene.ask(me()).await, scene.ask(me()).await, scene.ask(me()).await];
        let [(first, _), next @ ..] = scene.measured(round).await;
        let expected = ["project", "config_override", "key_set", "user", "session", "user"];
        assert_eq!(tables(&first), expected, "{first:#?}");
        for (next, answer) in next {
            assert_eq!(tables(&next), ["session", "user"], "{next:#?}");
            assert_eq!(answer["data"]["me"]["primaryEmail"], "ada@example.com", "{answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_is_minted_from_its_session_and_user_and_nothing_is_written() {
    on_each_database(|bench| async move {
        let scene = Scene::new(bench).await;
        let (_, refresh_token) = scene.signed_in("ada@example.com").await;
        let client = scene.server.client().with("x-stack-refresh-token", &refresh_token);
        let refresh = || client.post("/auth/sessions/current/refresh", json!({}));
        let round = async || {
            let (first, _) = scene.ask(refresh()).await;
            let commits = scene.watch.commits();
            let next = [scene.ask(refresh()).await, scene.ask(refresh()).await];
            (first, next, scene.watch.commits() - commits)
        };
        let (first, next, commits) = scene.measured(round).await;
        assert_eq!(tables(&first), ["project", "config_override", "key_set", "session", "user"], "{first:#?}");
        for (next, answer) in next {
            assert_eq!(tables(&next), ["session", "user"], "{next:#?}");
            assert!(answer["access_token"].is_string(), "{answer}");
        }
        assert_eq!(commits, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_made_without_reading_anything_and_by_one_commit() {
    on_each_database(|bench| async move {
        let scene = Scene::new(bench).await;
        let number = Cell::new(0);
        let make = async || {
            number.set(number.get() + 1);
            let address = format!("user{}@example.com", number.get());
            let user = json!({"primary_email": address, "primary_email_auth_enabled": true, "display_name": "User"});
            let commits = scene.watch.commits();
            let (statements, user) = scene.ask(scene.server.post("/users", user)).await;
            assert_eq!(user["primary_email"], address);
            (statements, scene.watch.commits() - commits)
        };
        let [(first, _), next @ ..] = scene.measured(async || [make().await, make().await, make().await]).await;
        assert_eq!(tables(&first)[..3], ["project", "config_override", "key_set"], "{first:#?}");
        for (next, commits) in next {
            assert_eq!(added_to(&next), ["user", "contact_channel", "event"], "{next:#?}");
            // PostgreSQL takes them as one statement, SQLite as one for each table.
            assert_eq!(next.len(), if scene.backend == Backend::Postgres { 1 } else { 3 }, "{next:#?}");
            assert_eq!(commits, 1);
        }
    })
    .await;
}
