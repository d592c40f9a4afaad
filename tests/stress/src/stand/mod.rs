//! A whole installation on this machine for one run: private PostgreSQL and Redis where the shape needs them, the processes
//! of Postern, and a project with its keys. Everything is stopped and removed when the [`Stand`] is dropped, unless
//! [`Stand::keep`] was called.

mod client;
mod mail;
mod ports;
mod process;
mod receiver;
mod services;
mod setup;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use tempfile::TempDir;

pub use self::{
    client::{Answer, Client, Keys, Lost},
    mail::{Course, Delivered, MailListener, Step},
    ports::free_port,
    process::{Postern, Role, binary},
    receiver::{Hook, Manner, Receiver},
    services::{Service, Services},
};

/// How Postern is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Shape {
    /// One process on SQLite.
    Embedded,
    /// Gateways and workers on PostgreSQL and Redis.
    Clustered,
    /// The same, but PostgreSQL is reached through PgBouncer, which gives each transaction one of few connections.
    Pooled,
}

impl Shape {
    /// All.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::Clustered, Self::Pooled];

    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Clustered => "clustered",
            Self::Pooled => "pooled",
        }
    }
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How Postern is run.
    pub shape: Shape,
    /// How many gateways; one process in the embedded shape.
    pub gateways: usize,
    /// How many workers; none in the embedded shape.
    pub workers: usize,
    /// Settings of every process, by name. They win over those that a stand sets itself.
    pub settings: Vec<(String, String)>,
    /// Whether PostgreSQL's commits are durable, as shipped.
    pub durable: bool,
    /// The most connections that PostgreSQL takes.
    pub postgres_connections: u32,
}

impl Plan {
    /// One process, or two gateways and two workers.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        Self { shape, gateways: 2, workers: 2, settings: Vec::new(), durable: false, postgres_connections: 400 }
    }

    /// With durable commits of PostgreSQL.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// With one more setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.settings.push((name.to_owned(), value.into()));
        self
    }
}

/// A running installation.
#[derive(Debug)]
pub struct Stand {
    /// How it is run.
    pub shape: Shape,
    /// The gateways; the one process in the embedded shape.
    pub gateways: Vec<Postern>,
    /// The workers; none in the embedded shape, where the one process works too.
    pub workers: Vec<Postern>,
    /// PostgreSQL and Redis; none in the embedded shape.
    pub services: Option<Services>,
    /// The URL of the installation's database, past a pooler.
    pub database_url: String,
    /// Keys of the project `internal`.
    pub internal: Keys,
    /// Keys of a project that was made for the run.
    pub project: Keys,
    /// Those of every process.
    settings: Vec<(String, String)>,
    dir: TempDir,
}

impl Stand {
    /// Starts everything, waits until all processes are ready, and makes a project.
    ///
    /// # Errors
    /// When something does not start in time; the error names the log.
    pub async fn start(plan: &Plan) -> Result<Self> {
        let mut stand = Self::prepare(plan).await?;
        if let Err(error) = stand.open().await {
            let kept = stand.keep();
            return Err(error.context(format!("the stand did not start; its logs are in {}", kept.display())));
        }
        Ok(stand)
    }

    /// Starts what Postern needs, and nothing of Postern: the database is empty, and there is no project.
    ///
    /// # Errors
    /// When PostgreSQL or Redis do not start.
    pub async fn prepare(plan: &Plan) -> Result<Self> {
        install_crypto_provider();
        let (shape, dir) = (plan.shape, TempDir::with_prefix("postern-stand.").context("a directory for the run")?);
        let services = match shape {
            Shape::Embedded => None,
            Shape::Clustered | Shape::Pooled => Some(Services::start(plan.durable, plan.postgres_connections).await?),
        };
        let database_url = make_database(services.as_ref(), dir.path(), "postern").await?;
        let reached_by = way(shape, services.as_ref(), &database_url)?;
        let redis_url = services.as_ref().map(|services| services.redis_url.as_str());
        let (port, internal) = (free_port()?, setup::internal_keys());
        let settings = setup::settings(plan, port, &reached_by, redis_url, &internal);
        let process = |role: Role, name: String| Postern::new(role, name, dir.path(), settings.clone());
        let (mut gateways, mut workers) = (Vec::new(), Vec::new());
        match shape {
            Shape::Embedded => gateways.push(process(Role::Serve, "postern".to_owned()).listening_on(port)?),
            Shape::Clustered | Shape::Pooled => {
                for number in 0..plan.gateways.max(1) {
                    let port = if number == 0 { port } else { free_port()? };
                    gateways.push(process(Role::Gateway, format!("gateway-{}", number + 1)).listening_on(port)?);
                }
                for number in 0..plan.workers {
                    workers.push(process(Role::Worker, format!("worker-{}", number + 1)).administered()?);
                }
            }
        }
        let project = Keys::default();
        Ok(Self { shape, gateways, workers, services, database_url, internal, project, settings, dir })
    }

    async fn open(&mut self) -> Result<()> {
        // The one process of the embedded shape migrates by itself.
        if self.shape != Shape::Embedded {
            self.migration("migrate", &self.database_url)?.run_to_end().await?;
        }
        self.bring_up().await
    }

    /// Starts all processes on a database that is migrated where they do not do so themselves, waits until they are ready, and
    /// makes a project.
    ///
    /// # Errors
    /// When something does not start in time; the error shows the end of its log.
    pub async fn bring_up(&mut self) -> Result<()> {
        for process in self.processes() {
            process.spawn()?;
        }
        for process in self.processes() {
            process.wait_ready().await?;
        }
        self.project = setup::make_project(&self.client_of(&self.internal)).await?;
        Ok(())
    }

    /// Makes an empty database beside the installation's. Answers its URL, past a pooler.
    ///
    /// # Errors
    /// Those of PostgreSQL.
    pub async fn make_database(&self, name: &str) -> Result<String> {
        make_database(self.services.as_ref(), self.dir(), name).await
    }

    /// `postern migrate` for the database at this URL, not started yet. The name is that of its log.
    ///
    /// # Errors
    /// When the URL names no database.
    pub fn migration(&self, name: &str, database_url: &str) -> Result<Postern> {
        let mut process = Postern::new(Role::Migrate, name.to_owned(), self.dir(), self.settings.clone());
        process.set("POSTERN_DATABASE_URL", way(self.shape, self.services.as_ref(), database_url)?);
        Ok(process)
    }

    /// Starts one more worker.
    ///
    /// # Errors
    /// When there are none, or it does not become ready.
    pub async fn add_worker(&mut self) -> Result<()> {
        let number = self.workers.len() + 1;
        let like = self.workers.first().context("a shape without workers")?;
        let mut worker = like.another(format!("worker-{number}"))?;
        worker.start().await?;
        self.workers.push(worker);
        Ok(())
    }

    /// Stops the worker that was added last, for good.
    ///
    /// # Errors
    /// When there is none, or it does not end well.
    pub async fn remove_worker(&mut self) -> Result<()> {
        self.workers.pop().context("no worker")?.stop().await
    }

    /// All processes of Postern.
    pub fn processes(&mut self) -> impl Iterator<Item = &mut Postern> {
        self.gateways.iter_mut().chain(self.workers.iter_mut())
    }

    /// The addresses of the gateways.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.gateways.iter().map(Postern::url).collect()
    }

    /// Calls the run's project, one gateway after the other.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_of(&self.project)
    }

    /// Calls a project, one gateway after the other.
    #[must_use]
    pub fn client_of(&self, keys: &Keys) -> Client {
        Client::new(self.urls(), keys)
    }

    /// Makes one more project.
    ///
    /// # Errors
    /// When a door refuses it.
    pub async fn make_project(&self) -> Result<Keys> {
        setup::make_project(&self.client_of(&self.internal)).await
    }

    /// Lets a project send its mails through a server of its own: the installation's shared one is metered.
    ///
    /// # Errors
    /// When a door refuses it.
    pub async fn use_mail_server(&self, project: &Keys, mails: &MailListener) -> Result<()> {
        setup::use_mail_server(&self.client_of(project), mails.address()).await
    }

    /// Where data and logs are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Keeps data and logs beyond the end; answers where.
    #[must_use]
    pub fn keep(mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }

    /// Stops everything as an operator would: SIGTERM, and waiting.
    ///
    /// # Errors
    /// When a process does not end in time, or ends badly.
    pub async fn stop(mut self) -> Result<()> {
        for process in self.processes() {
            process.stop().await?;
        }
        Ok(())
    }
}

/// An empty database: of the server, under a name of its own, or a file of this name, which is made by whoever opens it.
async fn make_database(services: Option<&Services>, dir: &Path, name: &str) -> Result<String> {
    match services {
        None => Ok(format!("sqlite://{}", dir.join(format!("{name}.db")).display())),
        Some(services) => services.make_database().await,
    }
}

/// By which URL Postern reaches the database at another one.
fn way(shape: Shape, services: Option<&Services>, database_url: &str) -> Result<String> {
    match services {
        Some(services) if shape == Shape::Pooled => services.through_pooler(database_url),
        _ => Ok(database_url.to_owned()),
    }
}

/// The HTTP client wants one provider of TLS, chosen; a second call changes nothing.
fn install_crypto_provider() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
