//! The command itself as a process of its own: what it counts and logs is its alone.

use std::{path::Path, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

use super::{
    client::{Client, Keys},
    database_url, free_address, pooler_setting,
};

/// Enough for commands that read or write thousands of users.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

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

/// What a command ended with.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) errors: String,
}

/// Runs a command to its end.
pub(crate) async fn run(mut command: Command) -> Ended {
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), errors: text(output.stderr) }
}

/// A command that goes on until it is told to end.
pub(crate) struct Started {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What was read of that.
    said: String,
    /// What it logs, read all the time so that it never waits for us.
    log: JoinHandle<String>,
}

impl Started {
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut errors = child.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut text = String::new();
            errors.read_to_string(&mut text).await.unwrap();
            text
        });
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, said: String::new(), log }
    }

    /// Waits until it has said this.
    pub(crate) async fn until_it_says(&mut self, text: &str) {
        while !self.said.contains(text) {
            let read = timeout(PATIENCE, self.out.read_line(&mut self.said)).await.unwrap().unwrap();
            if read == 0 {
                panic!("it ended early: {}{}", self.said, (&mut self.log).await.unwrap());
            }
        }
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
    }

    /// Waits until it has ended as it should.
    pub(crate) async fn ended(mut self) -> Ended {
        timeout(PATIENCE, self.out.read_to_string(&mut self.said)).await.unwrap().unwrap();
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        let errors = timeout(PATIENCE, self.log).await.unwrap().unwrap();
        let ended = Ended { code: status.code(), out: self.said, errors };
        assert!(status.success(), "{status}: {ended:?}");
        ended
    }
}

/// A running `postern serve` on a fresh database.
pub(crate) struct Process {
    pub(crate) url: String,
    pub(crate) admin_url: String,
    pub(crate) demo: Keys,
    pub(crate) database: String,
    started: Started,
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
        let mut started = Started::new(command);
        started.until_it_says("Try it:").await;
        let demo = demo_keys(&started.said);
        Self { url, admin_url: format!("http://{admin_address}"), demo, database, started, _data: data }
    }

    /// Calls the demo project.
    pub(crate) fn rest(&self) -> Client {
        Client::new(&self.url, &self.demo)
    }

    /// Tells it to end.
    pub(crate) async fn terminate(&self) {
        self.started.signal("-TERM").await;
    }

    /// Waits until it has ended, and answers what it logged.
    pub(crate) async fn ended(self) -> String {
        self.started.ended().await.errors
    }

    /// Ends it, and answers what it logged.
    pub(crate) async fn stop(self) -> String {
        self.terminate().await;
        self.ended().await
    }
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
