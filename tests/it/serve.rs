//! The command itself: its first start, its second, its end, and starts that are refused.

use std::path::Path;

use sea_orm::{ConnectOptions, ConnectionTrait, Database};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

use crate::support::{
    database_url, past_pooler,
    process::{PATIENCE, Process, Started, postern, run},
    socket::Socket,
};

/// Starts it and waits until it runs; then ends it by `signal`. Answers all that it said.
async fn start_and_end(data: &Path, database: &str, signal: &str) -> String {
    start_and_end_of(postern(data, database, &[]), signal).await
}

async fn start_and_end_of(command: Command, signal: &str) -> String {
    let mut started = Started::new(command);
    started.until_it_says("`postern keys` makes a new set.").await;
    started.signal(signal).await;
    let said = started.ended().await.out;
    assert!(said.ends_with("Stopped.\n"), "{said}");
    said
}

#[tokio::test]
async fn keys_are_shown_at_the_first_start_only_and_both_signals_end_it_clean() {
    let data = tempfile::TempDir::new().unwrap();
    let database = database_url(data.path()).await;
    let first = start_and_end(data.path(), &database, "-INT").await;
    for part in ["Project internal", "Demo project", "pck_", "ssk_", "sak_", "curl -s ", "/graphql", "/mailbox"] {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    let second = start_and_end(data.path(), &database, "-TERM").await;
    for secret in ["pck_", "ssk_", "sak_"] {
        assert!(!second.contains(secret), "{second}");
    }
    let keys = run(postern(data.path(), &database, &["keys"])).await;
    for part in ["internal", "pck_", "ssk_", "sak_"] {
        assert!(keys.out.contains(part), "{part} is not in {keys:?}");
    }
    let unknown = run(postern(data.path(), &database, &["keys", "no-such-project"])).await;
    assert_eq!(unknown.code, Some(2));
    let doctor = run(postern(data.path(), &database, &["doctor"])).await;
    assert!(doctor.code == Some(0) && doctor.out.contains("migrations: all applied"), "{doctor:?}");
}

#[tokio::test]
async fn a_refused_start_names_the_settings_and_ends_with_2() {
    let data = tempfile::TempDir::new().unwrap();
    let database = database_url(data.path()).await;
    let mut command = postern(data.path(), &database, &["serve"]);
    command.env("POSTERN_PUBLIC_URL", "https://auth.example.com").env("POSTERN_ACCESS_TOKEN_SECONDS", "soon");
    let refused = run(command).await;
    assert_eq!(refused.code, Some(2));
    let said = refused.errors;
    for name in ["POSTERN_SERVER_SECRET is missing", "POSTERN_SMTP_URL is missing", "POSTERN_ACCESS_TOKEN_SECONDS"] {
        assert!(said.contains(name), "{name} is not in {said}");
    }
    let command = postern(data.path(), "mysql://secret-user:secret-password@host/db", &["serve"]);
    let refused = run(command).await;
    assert_eq!(refused.code, Some(2));
    let said = refused.errors;
    assert!(said.contains("POSTERN_DATABASE_URL") && !said.contains("secret-password"), "{said}");
}

#[tokio::test]
async fn a_server_secret_is_replaced_step_by_step() {
    let data = tempfile::TempDir::new().unwrap();
    let database = database_url(data.path()).await;
    let (old, new) = ("o".repeat(32), "n".repeat(32));
    let with = |arguments: &[&str], secret: &str| {
        let mut command = postern(data.path(), &database, arguments);
        command.env("POSTERN_SERVER_SECRET", secret);
        command
    };
    start_and_end_of(with(&[], &old), "-TERM").await;
    let alone = run(with(&["rotate"], &new)).await;
    let said = alone.errors;
    assert_eq!(alone.code, Some(1));
    assert!(said.contains("secrets of the installation") && said.contains("POSTERN_SERVER_SECRET"), "{said}");
    let both = format!("{new},{old}");
    for expected in ["secrets of the installation", "There was nothing to seal again."] {
        let rotated = run(with(&["rotate"], &both)).await;
        let said = rotated.out;
        assert!(rotated.code == Some(0) && said.contains(expected), "{said}");
        assert!(said.contains("may be taken out of POSTERN_SERVER_SECRET"), "{said}");
        assert!(!said.contains(&new) && !said.contains(&old));
    }
    start_and_end_of(with(&[], &new), "-TERM").await;
    let last = run(with(&["rotate"], &new)).await;
    assert!(last.code == Some(0) && last.out.contains("the one server secret"));
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let data = tempfile::TempDir::new().unwrap();
    let database = database_url(data.path()).await;
    start_and_end(data.path(), &database, "-TERM").await;
    let connection = sea_orm::Database::connect(past_pooler(&database)).await.unwrap();
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_from_the_future', 0)";
    sea_orm::ConnectionTrait::execute_unprepared(&connection, newer).await.unwrap();
    let refused = run(postern(data.path(), &database, &["serve"])).await;
    assert_eq!(refused.code, Some(2));
    assert!(refused.errors.contains("m9999_from_the_future"));
}

#[tokio::test]
async fn a_request_under_way_is_answered_while_new_ones_are_sent_elsewhere() {
    let process = Process::start(&[]).await;
    let address = process.url.trim_start_matches("http://");
    let (project, key) = (&process.demo.project_id, &process.demo.client);

    let body = r#"{"email": "ada@example.com", "password": "correct horse"}"#;
    let (begun, rest) = body.split_at(10);
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/auth/password/sign-up HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         x-stack-access-type: client\r\nx-stack-project-id: {project}\r\nx-stack-publishable-client-key: {key}\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    // It asks for the body: the request is under way now.
    let mut answer = String::new();
    while !answer.contains("100 Continue") {
        read_some(&mut connection, &mut answer).await;
    }
    connection.write_all(begun.as_bytes()).await.unwrap();

    process.terminate().await;
    while reqwest::get(format!("{}/readyz", process.admin_url)).await.unwrap().text().await.unwrap() != "stopping\n" {
        tokio::task::yield_now().await;
    }
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    connection.write_all(rest.as_bytes()).await.unwrap();
    while !answer.contains("access_token") {
        read_some(&mut connection, &mut answer).await;
    }
    assert!(answer.contains("HTTP/1.1 200 OK"), "{answer}");
    process.ended().await;
}

#[tokio::test]
async fn sockets_hear_that_the_process_goes_away_after_what_they_asked_for_is_answered() {
    let process = Process::start(&[]).await;
    let (project, key) = (&process.demo.project_id, &process.demo.server);
    let server =
        json!({"x-stack-access-type": "server", "x-stack-project-id": project, "x-stack-secret-server-key": key});
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut socket = Socket::connect_at(&process.url, server.clone()).await;
        socket.subscribe("1", "subscription { events { type } }", json!({})).await;
        idle.push(socket);
    }
    let mut busy = Socket::connect_at(&process.url, server).await;
    // Nobody can write a user meanwhile.
    let mut alone = ConnectOptions::new(past_pooler(&process.database));
    alone.max_connections(1);
    let alone = Database::connect(alone).await.unwrap();
    let lock = if process.database.starts_with("sqlite") {
        r#"BEGIN IMMEDIATE"#
    } else {
        r#"BEGIN; LOCK TABLE "user" IN EXCLUSIVE MODE"#
    };
    alone.execute_unprepared(lock).await.unwrap();
    busy.subscribe("1", "mutation { createUser(input: {displayName: \"Ada\"}) { user { displayName } } }", json!({}))
        .await;
    busy.say(json!({"type": "ping"})).await;
    assert_eq!(busy.hear().await["type"], "pong", "the mutation before it was taken");
    // Opened last: whoever does not say who it is within ten seconds is sent away for that.
    let mut greeting = Socket::open(&process.url).await;
    greeting.say(json!({"type": "ping"})).await;
    assert_eq!(greeting.hear().await["type"], "pong", "it is taken, and has not said who it is");
    idle.push(greeting);

    process.terminate().await;
    // At once: the drain waits for the one that is busy.
    for socket in idle {
        assert_eq!(socket.closed().await, 1001);
    }
    alone.execute_unprepared("ROLLBACK").await.unwrap();
    assert_eq!(busy.hear_data().await["createUser"]["user"]["displayName"], "Ada");
    assert_eq!(busy.hear().await["type"], "complete");
    assert_eq!(busy.closed().await, 1001);
    process.ended().await;
}

async fn read_some(connection: &mut TcpStream, into: &mut String) {
    let mut bytes = [0; 4096];
    let read = timeout(PATIENCE, connection.read(&mut bytes)).await.unwrap().unwrap();
    assert!(read > 0, "the connection was closed: {into}");
    into.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
}
