//! Private PostgreSQL, with PgBouncer before it, and Redis, started and mistreated through `scripts/services`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;
use tokio::process::Command;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The database.
    Postgres,
    /// Wake-ups, publish and subscribe, shared limits.
    Redis,
}

impl Service {
    fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }
}

/// A running pair, stopped and removed when dropped.
#[derive(Debug)]
pub struct Services {
    /// As superuser, to the database `postgres`.
    pub postgres_url: String,
    /// The same through PgBouncer.
    pub pooler_url: String,
    /// Without a password.
    pub redis_url: String,
    state: TempDir,
}

impl Services {
    /// Starts a pair of its own.
    ///
    /// # Errors
    /// When one of the two does not start.
    pub async fn start(durable: bool, postgres_connections: u32) -> Result<Self> {
        let state = TempDir::with_prefix("postern-stress.").context("a directory for the services")?;
        let mut command = script(state.path());
        command
            .arg("start")
            .env("POSTERN_SERVICES_DURABLE", if durable { "1" } else { "0" })
            .env("POSTERN_SERVICES_CONNECTIONS", postgres_connections.to_string());
        let mut services =
            Self { postgres_url: String::new(), pooler_url: String::new(), redis_url: String::new(), state };
        let said = said(command).await?;
        let value = |name: &str| {
            let line =
                said.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
            line.map(str::to_owned).with_context(|| format!("scripts/services did not tell {name}"))
        };
        services.postgres_url = value("POSTERN_TEST_POSTGRES_URL")?;
        services.pooler_url = value("POSTERN_TEST_POOLER_URL")?;
        services.redis_url = value("POSTERN_TEST_REDIS_URL")?;
        Ok(services)
    }

    /// Makes an empty database; answers its URL.
    ///
    /// # Errors
    /// Those of PostgreSQL.
    pub async fn make_database(&self) -> Result<String> {
        let name = format!("postern_{}", uuid::Uuid::new_v4().simple());
        self.sql(&format!("CREATE DATABASE {name}")).await?;
        of_server(&self.postgres_url, &name)
    }

    /// The way through PgBouncer to the database at this URL.
    ///
    /// # Errors
    /// When the URL names no database.
    pub fn through_pooler(&self, database_url: &str) -> Result<String> {
        let name = database_url.rsplit_once('/').context("a URL without a database")?.1;
        of_server(&self.pooler_url, name)
    }

    /// Sends a signal (`KILL`, `STOP`, `CONT`) to every process of a service.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn signal(&self, service: Service, signal: &str) -> Result<()> {
        let mut command = script(self.state.path());
        command.args(["signal", service.as_str(), signal]);
        said(command).await.map(drop)
    }

    /// Starts a killed service again, on the same port.
    ///
    /// # Errors
    /// When it runs, or does not start.
    pub async fn revive(&self, service: Service) -> Result<()> {
        let mut command = script(self.state.path());
        command.args(["revive", service.as_str()]);
        said(command).await.map(drop)
    }

    /// Cuts every connection to PostgreSQL but the one that asks for it.
    ///
    /// # Errors
    /// Those of PostgreSQL.
    pub async fn cut_connections(&self) -> Result<()> {
        self.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        )
        .await
    }

    /// Empties Redis.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn flush_redis(&self) -> Result<()> {
        let mut command = Command::new("redis-cli");
        command.args(["-u", &self.redis_url, "flushall"]);
        let said = said(command).await?;
        if said.trim() == "OK" { Ok(()) } else { bail!("redis-cli flushall: {said}") }
    }

    /// Runs one statement as superuser, on a connection of its own.
    async fn sql(&self, statement: &str) -> Result<()> {
        let connection = Database::connect(&self.postgres_url).await?;
        let done = connection.execute_unprepared(statement).await;
        connection.close().await?;
        done.map(drop).with_context(|| statement.to_owned())
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        let stopped = std::process::Command::new(script_file())
            .arg("stop")
            .env("POSTERN_SERVICES_DIR", self.state.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            // Nobody is left to be told; whoever looks for what runs finds its name.
            self.state.disable_cleanup(true);
        }
    }
}

/// The URL of this database of the server that another URL leads to.
fn of_server(url: &str, database: &str) -> Result<String> {
    let server = url.rsplit_once('/').context("a URL without a database")?.0;
    Ok(format!("{server}/{database}"))
}

fn script_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/services")
}

fn script(state: &Path) -> Command {
    let mut command = Command::new(script_file());
    command.env("POSTERN_SERVICES_DIR", state).stdin(Stdio::null());
    command
}

/// What a command says, if it succeeds. Into a file: daemons that it leaves behind would hold a pipe open.
async fn said(mut command: Command) -> Result<String> {
    let said = tempfile::NamedTempFile::new()?;
    let errors = tempfile::NamedTempFile::new()?;
    command.stdout(said.reopen()?).stderr(errors.reopen()?);
    let status = command.status().await.with_context(|| format!("{:?}", command.as_std()))?;
    if !status.success() {
        let errors = std::fs::read_to_string(errors.path())?;
        bail!("{:?} ended with {status}: {errors}", command.as_std());
    }
    Ok(std::fs::read_to_string(said.path())?)
}
