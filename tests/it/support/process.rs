//! The command itself as a process of its own: what it counts and logs is its alone.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

use super::{
    client::{Client, Keys},
    database_url, free_address, pooler_setting,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// `postern` with these arguments, its data in `data`, on ports that are free.
pub(crate) fn postern(data: &Path, database: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command
        .args(arguments)
        .current_dir(data)
        .env_clear()
        .env("POSTERN_LISTEN", "127.0.0.1:0")
        .env("POSTERN_ADMIN_LISTEN", "127.0.0.1:0")
        .env("POSTERN_DATABASE_URL", database)
        .env("POSTERN_DATABASE_POOLER", pooler_setting())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A running `postern serve` on a fresh database.
pub(crate) struct Process {
    pub(crate) url: String,
    pub(crate) admin_url: String,
    pub(crate) demo: Keys,
    child: Child,
    /// What it logs, read all the time so that it never waits for us.
    log: JoinHandle<String>,
    _data: TempDir,
}

impl Process {
    /// Starts it with these settings besides those it needs.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        postern::wiring::install_crypto_provider();
        let data = TempDir::new().unwrap();
        let database = database_url(data.path()).await;
        let (address, admin_address) = (free_address(), free_address());
        let url = format!("http://localhost:{}", address.port());
        let mut command = postern(data.path(), &database, &[]);
        command
            .env("POSTERN_LISTEN", address.to_string())
            .env("POSTERN_ADMIN_LISTEN", admin_address.to_string())
            .env("POSTERN_PUBLIC_URL", &url)
            .envs(settings.iter().copied());
        let mut child = command.spawn().unwrap();
        let mut errors = child.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut text = String::new();
            errors.read_to_string(&mut text).await.unwrap();
            text
        });
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains("Try it:") {
            let read = timeout(PATIENCE, out.read_line(&mut said)).await.unwrap().unwrap();
            if read == 0 {
                panic!("it ended early: {said}{}", log.await.unwrap());
            }
        }
        let demo = demo_keys(&said);
        Self { url, admin_url: admin_url(admin_address), demo, child, log, _data: data }
    }

    /// Calls the demo project.
    pub(crate) fn rest(&self) -> Client {
        Client::new(&self.url, &self.demo)
    }

    /// Ends it, and answers what it logged.
    pub(crate) async fn stop(mut self) -> String {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        assert!(timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().success());
        timeout(PATIENCE, self.log).await.unwrap().unwrap()
    }
}

fn admin_url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// The demo project as the first start shows it.
fn demo_keys(said: &str) -> Keys {
    let (_, shown) = said.split_once("Demo project").unwrap_or_else(|| panic!("no demo project in {said}"));
    let value = |name: &str| {
        let line = shown.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {shown}")).trim().to_owned()
    };
    Keys {
        project_id: value("project id"),
        client: value("publishable key"),
        server: value("secret key"),
        admin: value("admin key"),
    }
}
