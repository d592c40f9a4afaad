//! Puts the real parts together: database, clock and clients into [`Deps`], [`Deps`] into gateway and worker.

use std::{
    fs::{File, TryLockError},
    future::Future,
    io::Write,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use postern_domain::{
    Deps, Error, Result,
    db::{Backend, Db},
    passwords::Passwords,
    projects::{self, Projects, Seed, Seeded},
    random::random_bytes,
    secrets::Keyring,
    sessions::{self, ACTIVITY_FLUSH_INTERVAL, Sessions},
    signal::Signals,
    time::{Clock, SystemClock},
};
use postern_gateway::Gateway;
use postern_migration::{Migrator, MigratorTrait};
use postern_outside::{address::Addresses, http::OutgoingHttp, mail::SmtpMailer};
use postern_worker::Worker;
use secrecy::{ExposeSecret, SecretString};
use tokio::{net::TcpListener, task::JoinHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::settings::{InternalKeys, Settings};

/// How long requests and jobs under way may go on after a stop was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// The key of PostgreSQL's advisory lock under which one process migrates and seeds.
const MIGRATION_LOCK: i64 = 0x0070_6f73_7465_726e;

/// Makes ring the provider of TLS for the whole process. Called first, because libraries panic when two are compiled in
/// and none is chosen; a second call changes nothing.
pub fn install_crypto_provider() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// What operations need, connected. `clock` is the system's unless a test hands in its own.
///
/// # Errors
/// When the database cannot be reached or the secret cannot be read.
pub async fn connect(settings: &Settings, clock: Option<Arc<dyn Clock>>) -> Result<Deps> {
    let signals = Signals::default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let addresses = Addresses::new(&settings.domain.allowed_subnets);
    let host_name = settings.domain.public_url.host_str().unwrap_or("localhost");
    Ok(Deps {
        projects: Projects::new(&signals),
        sessions: Sessions::new(&signals),
        db: Db::connect(settings.database_url.expose_secret(), settings.database_connections, signals).await?,
        clock: clock.unwrap_or_else(|| Arc::new(SystemClock)),
        keyring: Keyring::new(server_secrets(settings)?)?,
        passwords: Passwords::new(cores)?,
        mailer: Arc::new(SmtpMailer::new(addresses.clone(), host_name).map_err(Error::internal)?),
        http: Arc::new(OutgoingHttp::new(addresses).map_err(Error::internal)?),
        settings: Arc::new(settings.domain.clone()),
    })
}

/// Brings the database to the shape of this version and seeds it; one process at a time.
///
/// # Errors
/// Those of the database; a database of a newer version.
pub async fn migrate_and_seed(deps: &Deps, settings: &Settings) -> Result<Seeded> {
    exclusively(&deps.db, async {
        refuse_newer(&deps.db).await?;
        Migrator::up(deps.db.migration_connection(), None).await?;
        projects::seed(deps, &Seed { internal_keys: settings.internal_keys.as_ref().map(InternalKeys::expose) }).await
    })
    .await
}

/// Runs `work` while no other process can: under a transaction-scoped advisory lock on PostgreSQL (a session's would not
/// survive a transaction pooler). On SQLite the file lock of [`lock_data`] already keeps others out.
async fn exclusively<T>(db: &Db, work: impl Future<Output = Result<T>>) -> Result<T> {
    use sea_orm::{ConnectionTrait, TransactionTrait};
    if db.backend() == Backend::Sqlite {
        return work.await;
    }
    let lock = db.read().begin().await?;
    lock.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await?;
    let done = work.await;
    lock.commit().await?;
    done
}

/// A database that knows changes which this version does not was made by a newer one; using it could destroy data.
async fn refuse_newer(db: &Db) -> Result<()> {
    let known: Vec<_> = Migrator::migrations().iter().map(|change| change.name().to_owned()).collect();
    Migrator::install(db.migration_connection()).await?;
    let applied = Migrator::get_migration_models(db.migration_connection()).await?;
    match applied.into_iter().find(|change| !known.contains(&change.version)) {
        Some(change) => Err(Error::internal(format!(
            "the database was made by a newer version of Postern (it knows the change {}); start that version instead",
            change.version
        ))),
        None => Ok(()),
    }
}

/// Keeps a second process off an SQLite database for as long as the answer lives.
///
/// # Errors
/// When another process holds it, or the directory cannot be written.
pub fn lock_data(settings: &Settings) -> Result<Option<File>> {
    if !settings.database_url.expose_secret().starts_with("sqlite:") {
        return Ok(None);
    }
    std::fs::create_dir_all(&settings.data_dir).map_err(Error::internal)?;
    let path = settings.data_dir.join("postern.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::internal)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::internal(format!(
            "another postern runs on this SQLite database ({} is locked); stop it, or use PostgreSQL for several processes",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Error::internal(error)),
    }
}

/// The server secrets of the settings; in local mode one is made at the first start and kept beside the data.
fn server_secrets(settings: &Settings) -> Result<Vec<SecretString>> {
    if !settings.server_secrets.is_empty() {
        return Ok(settings.server_secrets.clone());
    }
    let path = settings.data_dir.join("server-secret");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(vec![text.trim().to_owned().into()]),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = postern_domain::random::base32(&random_bytes::<40>()?);
            write_private(&path, &secret).map_err(Error::internal)?;
            Ok(vec![secret.into()])
        }
        Err(error) => Err(Error::internal(format!("{}: {error}", path.display()))),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let draft = path.with_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

/// Gateway and worker, running.
#[derive(Debug)]
pub struct Running {
    /// Where the doors listen.
    pub address: SocketAddr,
    /// Where health listens.
    pub admin_address: SocketAddr,
    /// What operations are handed.
    pub deps: Deps,
    /// What the seeding made anew.
    pub seeded: Seeded,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// Released only after everything has ended.
    _data_lock: Option<File>,
}

impl Running {
    /// Resolves when a part ended by itself and the rest should be stopped.
    pub async fn failed(&self) {
        self.stop.cancelled().await;
    }

    /// Stops taking requests and jobs, lets those under way end (at most 30 s), and returns.
    pub async fn stop(self) {
        self.stop.cancel();
        let all = futures::future::join_all(self.tasks);
        match tokio::time::timeout(DRAIN_TIMEOUT, all).await {
            Ok(ended) => {
                for error in ended.into_iter().filter_map(std::result::Result::err) {
                    tracing::error!(%error, "a task ended badly");
                }
            }
            Err(_) => tracing::warn!("requests or jobs were still under way when the time to drain ran out"),
        }
        write_activity(&self.deps).await;
    }
}

/// Starts gateway and worker in this process.
///
/// # Errors
/// When the database cannot be reached or brought to this version, or an address cannot be listened on.
pub async fn start(settings: &Settings, clock: Option<Arc<dyn Clock>>) -> Result<Running> {
    let data_lock = lock_data(settings)?;
    // Bound first: a second start by mistake fails before it touches anything.
    let listener = listen(settings.listen).await?;
    let admin_listener = listen(settings.admin_listen).await?;
    let deps = connect(settings, clock).await?;
    let seeded = migrate_and_seed(&deps, settings).await?;
    let stop = CancellationToken::new();
    let address = listener.local_addr().map_err(Error::internal)?;
    let admin_address = admin_listener.local_addr().map_err(Error::internal)?;
    let gateway = Gateway::new(deps.clone(), settings.trusted_proxies.clone(), stop.clone());
    let tasks = vec![
        serve(listener, postern_gateway::router(gateway), stop.clone()),
        serve(admin_listener, crate::admin::router(deps.clone()), stop.clone()),
        work(Worker::new(deps.clone(), postern_worker::Settings::default())?, stop.clone()),
        keep_writing_activity(deps.clone(), stop.clone()),
    ];
    Ok(Running { address, admin_address, deps, seeded, stop, tasks, _data_lock: data_lock })
}

/// Runs the worker; one that ends by itself takes the process along, for whoever supervises it to start it anew.
fn work(worker: Worker, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = worker.run(stop.clone()).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the worker ended");
            stop.cancel();
        }
    })
}

/// Writes the last uses of sessions, which are noted in memory, again and again.
fn keep_writing_activity(deps: Deps, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(ACTIVITY_FLUSH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            write_activity(&deps).await;
        }
    })
}

/// What cannot be written now stays noted for the next time.
async fn write_activity(deps: &Deps) {
    if let Err(error) = sessions::flush_activity(deps).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the last uses of sessions could not be written");
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| Error::internal(format!("cannot listen on {address}: {error}")))
}

fn serve(listener: TcpListener, router: axum::Router, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await {
            tracing::error!(%error, "the server ended");
        }
    })
}
