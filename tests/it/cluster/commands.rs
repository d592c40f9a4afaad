//! `postern gateway`, `postern worker` and `postern migrate` as processes: what they refuse, what they wait for, how they end.

use std::{process::Stdio, time::Duration};

use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, BufReader},
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::support::{
    INTERNAL_KEY_SETTINGS, database_url, free_address, on_postgres, past_pooler, pooler_setting, redis::PrivateRedis,
    redis_url,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Commands of one installation.
struct Installation {
    data: TempDir,
    settings: Vec<(String, String)>,
}

impl Installation {
    async fn new() -> Self {
        let data = TempDir::new().unwrap();
        let mut settings = vec![
            ("POSTERN_DATABASE_URL".to_owned(), database_url(data.path()).await),
            ("POSTERN_DATABASE_POOLER".to_owned(), pooler_setting().to_owned()),
            ("POSTERN_REDIS_URL".to_owned(), redis_url()),
            ("POSTERN_SERVER_SECRET".to_owned(), format!("known to one installation only {}", uuid::Uuid::new_v4())),
        ];
        for (name, key) in INTERNAL_KEY_SETTINGS.iter().zip(["pck", "ssk", "sak"]) {
            settings.push(((*name).to_owned(), format!("{key}_{}", uuid::Uuid::new_v4().simple())));
        }
        Self { data, settings }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    fn setting(&self, name: &str) -> &str {
        &self.settings.iter().find(|(known, _)| known == name).unwrap().1
    }

    /// A process with its health on this port.
    fn command(&self, command: &str, port: u16) -> Command {
        let mut process = Command::new(env!("CARGO_BIN_EXE_postern"));
        process
            .arg(command)
            .current_dir(self.data.path())
            .env_clear()
            .env("POSTERN_LISTEN", "127.0.0.1:0")
            .env("POSTERN_ADMIN_LISTEN", format!("127.0.0.1:{port}"))
            .envs(self.settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        process
    }

    /// Runs a command to its end: exit code and everything it said.
    async fn run(&self, command: &str) -> (Option<i32>, String) {
        let output = timeout(PATIENCE, self.command(command, 0).output()).await.unwrap().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }
}

/// Waits until `/readyz` answers this status with this text in it.
async fn until_ready_says(child: &mut Child, port: u16, status: u16, text: &str) {
    postern::wiring::install_crypto_provider();
    let url = format!("http://127.0.0.1:{port}/readyz");
    let look = async {
        loop {
            if let Ok(answer) = reqwest::get(&url).await
                && answer.status() == status
                && answer.text().await.unwrap().contains(text)
            {
                return;
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended early");
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, look).await.unwrap();
}

async fn end(mut child: Child) -> String {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let mut said = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    timeout(PATIENCE, out.read_to_string(&mut said)).await.unwrap().unwrap();
    let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}: {said}");
    said
}

#[tokio::test]
async fn roles_name_what_they_need() {
    let nothing = Installation { data: TempDir::new().unwrap(), settings: Vec::new() };
    for role in ["gateway", "worker"] {
        let (code, said) = nothing.run(role).await;
        assert_eq!(code, Some(2), "{said}");
        let names = ["POSTERN_REDIS_URL is missing", "POSTERN_SERVER_SECRET is missing", "POSTERN_DATABASE_URL must"];
        for name in names.into_iter().chain(INTERNAL_KEY_SETTINGS) {
            assert!(said.contains(name), "{name} is not in {said}");
        }
    }
    let wrong = Installation { data: TempDir::new().unwrap(), settings: Vec::new() }
        .with("POSTERN_REDIS_URL", "http://localhost")
        .with("POSTERN_DATABASE_POOLER", "session");
    let (code, said) = wrong.run("serve").await;
    assert_eq!(code, Some(2));
    assert!(said.contains("POSTERN_REDIS_URL must be") && said.contains("POSTERN_DATABASE_POOLER must be"), "{said}");
}

#[tokio::test]
async fn roles_wait_unready_for_the_migration_and_end_clean() {
    if !on_postgres() {
        return;
    }
    let installation = Installation::new().await;
    let mut waiting = Vec::new();
    for role in ["gateway", "worker"] {
        let port = free_address().port();
        let mut child = installation.command(role, port).spawn().unwrap();
        until_ready_says(&mut child, port, 503, "run `postern migrate`").await;
        waiting.push((child, port));
    }
    // Told to end while it waits.
    let port = free_address().port();
    let mut impatient = installation.command("gateway", port).spawn().unwrap();
    until_ready_says(&mut impatient, port, 503, "waiting").await;
    assert_eq!(end(impatient).await, "Stopped.\n");

    let (code, said) = installation.run("migrate").await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Demo project") && !said.contains("Project internal"), "fixed keys are not shown: {said}");
    for (mut child, port) in waiting {
        until_ready_says(&mut child, port, 200, "ok").await;
        let said = end(child).await;
        assert!(said.ends_with("Stopped.\n"), "{said}");
    }
    let (code, said) = installation.run("doctor").await;
    assert_eq!(code, Some(0), "{said}");
    for part in ["redis: answers", "clock: ", "migrations: all applied", "templates: a process"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[tokio::test]
async fn two_migrations_at_once_make_one_installation() {
    if !on_postgres() {
        return;
    }
    let installation = Installation::new().await;
    let (one, other) = tokio::join!(installation.run("migrate"), installation.run("migrate"));
    assert_eq!((one.0, other.0), (Some(0), Some(0)), "{one:?} {other:?}");
    assert_eq!([&one.1, &other.1].iter().filter(|said| said.contains("Demo project")).count(), 1, "{one:?} {other:?}");
}

#[tokio::test]
async fn a_newer_database_is_left_alone_by_every_role() {
    if !on_postgres() {
        return;
    }
    let installation = Installation::new().await;
    assert_eq!(installation.run("migrate").await.0, Some(0));
    let connection = Database::connect(past_pooler(installation.setting("POSTERN_DATABASE_URL"))).await.unwrap();
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_from_the_future', 0)";
    connection.execute_unprepared(newer).await.unwrap();
    for command in ["gateway", "worker", "migrate", "doctor"] {
        let (code, said) = installation.run(command).await;
        assert_eq!(code, Some(if command == "doctor" { 1 } else { 2 }), "{command}: {said}");
        assert!(said.contains("m9999_from_the_future"), "{command}: {said}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_shown() {
    if !on_postgres() {
        return;
    }
    let redis = PrivateRedis::start("the-right-one").await;
    let right = redis.url();
    for wrong in [right.replace("the-right-one", "the-wrong-one"), right.replace(":the-right-one@", "")] {
        let mut installation = Installation::new().await;
        installation.settings.retain(|(name, _)| name != "POSTERN_REDIS_URL");
        let installation = installation.with("POSTERN_REDIS_URL", &wrong);
        let (code, said) = installation.run("gateway").await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("POSTERN_REDIS_URL") && !said.contains("the-wrong-one"), "{said}");
        let (_, said) = installation.run("doctor").await;
        assert!(said.contains("WRONG redis"), "{said}");
    }
    let mut nobody = Installation::new().await;
    // A pooler does not say that there is no such database; it lets one wait for it.
    let url = format!("{}_missing", past_pooler(nobody.setting("POSTERN_DATABASE_URL")));
    nobody.settings.retain(|(name, _)| name != "POSTERN_DATABASE_URL");
    let (code, said) = nobody.with("POSTERN_DATABASE_URL", &url).run("worker").await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("does not exist"), "{said}");
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for() {
    if !on_postgres() {
        return;
    }
    let mut installation = Installation::new().await;
    installation.settings.retain(|(name, _)| name != "POSTERN_DATABASE_URL");
    let away = format!("postgres://postern:secret@127.0.0.1:{}/postern", free_address().port());
    let installation = installation.with("POSTERN_DATABASE_URL", &away);
    let port = free_address().port();
    let mut child = installation.command("worker", port).spawn().unwrap();
    until_ready_says(&mut child, port, 503, "the database is away").await;
    assert_eq!(reqwest::get(format!("http://127.0.0.1:{port}/healthz")).await.unwrap().status(), 200);
    assert_eq!(end(child).await, "Stopped.\n");
}
