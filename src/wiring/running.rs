//! Starting a process of the installation and ending it in the right order.

use std::{fs::File, net::SocketAddr, sync::Arc, time::Duration};

use postern_domain::{
    Deps, Error, Result,
    projects::Seeded,
    sessions::{self, ACTIVITY_FLUSH_INTERVAL},
    time::Clock,
};
use postern_gateway::{Gateway, graphql};
use postern_outside::redis::{Redis, RedisFault};
use postern_worker::Worker;
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::{
    Readiness, connect_with,
    database::{migrate_and_seed, refuse_wrong_clock, wait_until_connected, wait_until_migrated},
    lock_data, naming_database, redis,
};
use crate::{
    settings::{Role, Settings},
    telemetry,
};

/// How long requests and jobs under way may go on after a stop was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests at the admin address may go on after everything else has ended.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(5);
/// How many connections may wait to be taken.
const BACKLOG: u32 = 1024;

/// A process of the installation, running.
#[derive(Debug)]
pub struct Running {
    /// Where the doors listen; none in a worker.
    pub address: Option<SocketAddr>,
    /// Where health listens.
    pub admin_address: SocketAddr,
    /// What operations are handed.
    pub deps: Deps,
    /// What the seeding made anew.
    pub seeded: Seeded,
    readiness: Readiness,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// Ended last: it tells that the process is stopping, and carries the signals of what is still under way.
    background: CancellationToken,
    background_tasks: Vec<JoinHandle<()>>,
    /// Released only after everything has ended.
    _data_lock: Option<File>,
}

impl Running {
    /// Resolves when a part ended by itself and the rest should be stopped.
    #[postern_domain::boxed]
    pub async fn failed(&self) {
        self.stop.cancelled().await;
    }

    /// Stops taking requests and jobs, lets those under way end (at most 30 s), and returns.
    #[postern_domain::boxed]
    pub async fn stop(self) {
        self.readiness.stopping();
        self.stop.cancel();
        match tokio::time::timeout(DRAIN_TIMEOUT, ended(self.tasks)).await {
            Ok(()) => {}
            Err(_) => tracing::warn!("requests or jobs were still under way when the time to drain ran out"),
        }
        write_activity(&self.deps).await;
        self.background.cancel();
        // Somebody may be half-way through a request of health for ever.
        if tokio::time::timeout(BACKGROUND_TIMEOUT, ended(self.background_tasks)).await.is_err() {
            tracing::warn!("a request at the admin address was still under way");
        }
    }
}

async fn ended(tasks: Vec<JoinHandle<()>>) {
    for error in futures::future::join_all(tasks).await.into_iter().filter_map(std::result::Result::err) {
        tracing::error!(%error, "a task ended badly");
    }
}

/// Starts what `role` is for. [`Role::All`] migrates; the roles of the clustered shape wait until somebody has, and until
/// the database is there.
///
/// # Errors
/// When an address cannot be listened on, Redis or the database refuse what the settings say, the database is of another
/// version, or its clock is far from ours.
#[postern_domain::boxed]
pub async fn start(settings: &Settings, role: Role, clock: Option<Arc<dyn Clock>>) -> Result<Running> {
    let metrics = telemetry::metrics::install()?;
    let data_lock = lock_data(settings)?;
    // Bound first: a second start by mistake fails before it touches anything. Nobody is let in before there is an answer.
    let socket = if role == Role::Worker { None } else { Some(bind(settings.listen)?) };
    let admin_listener = listen(bind(settings.admin_listen)?, settings.admin_listen)?;
    let admin_address = admin_listener.local_addr().map_err(Error::internal)?;
    let redis = redis(settings)?;
    let readiness = Readiness::new(redis.clone());
    let background = CancellationToken::new();
    let mut background_tasks = vec![
        serve(admin_listener, crate::admin::router(readiness.clone(), metrics), background.clone()),
        tokio::spawn(telemetry::metrics::keep_up(metrics, background.clone())),
    ];
    if let Some(redis) = &redis {
        refuse_wrong_redis(redis).await?;
    }

    let connect = || connect_with(settings, clock.clone(), redis.as_ref());
    let (deps, seeded) = if role.is_clustered() {
        let deps = wait_until_connected(&readiness, connect).await?;
        wait_until_migrated(&deps, &readiness).await?;
        refuse_wrong_clock(&deps).await?;
        (deps, Seeded::default())
    } else {
        let deps = connect().await.map_err(|error| naming_database(settings, error))?;
        let seeded = migrate_and_seed(&deps, settings).await?;
        (deps, seeded)
    };

    let stop = CancellationToken::new();
    if let Some(redis) = redis {
        let (signals, background) = (deps.db.signals().clone(), background.clone());
        background_tasks.push(tokio::spawn(async move { redis.carry(&signals, &background).await }));
    }
    let mut tasks = vec![keep_writing_activity(deps.clone(), stop.clone())];
    if role != Role::Gateway {
        tasks.push(work(Worker::new(deps.clone(), postern_worker::Settings::default())?, stop.clone()));
    }
    let mut address = None;
    if let Some(socket) = socket {
        let listener = listen(socket, settings.listen)?;
        address = Some(listener.local_addr().map_err(Error::internal)?);
        let graphql = graphql::Options { introspection: settings.introspection, allowed: settings.documents.clone() };
        let gateway = Gateway::new(deps.clone(), settings.proxies.clone(), stop.clone()).with_graphql(graphql);
        let sockets = gateway.sockets().clone();
        let served = serve(listener, postern_gateway::router(gateway), stop.clone());
        tasks.push(tokio::spawn(async move {
            ended(vec![served]).await;
            sockets.close();
            sockets.wait().await;
        }));
    }
    readiness.working(&deps);
    Ok(Running {
        address,
        admin_address,
        deps,
        seeded,
        readiness,
        stop,
        tasks,
        background,
        background_tasks,
        _data_lock: data_lock,
    })
}

/// A Redis that is away may come; one that does not let us in will not.
async fn refuse_wrong_redis(redis: &Redis) -> Result<()> {
    match redis.check().await {
        Err(RedisFault::Refused(why)) => Err(Error::internal(format!("POSTERN_REDIS_URL: Redis refuses: {why}"))),
        // The bus says so, and goes on trying.
        Err(RedisFault::Away(_)) | Ok(()) => Ok(()),
    }
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

/// Takes the address, without letting anybody in yet.
fn bind(address: SocketAddr) -> Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let bound = socket.and_then(|socket| {
        // A restart must not wait for the connections of the process before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    });
    bound.map_err(|error| cannot_listen(address, &error))
}

fn listen(socket: TcpSocket, address: SocketAddr) -> Result<TcpListener> {
    socket.listen(BACKLOG).map_err(|error| cannot_listen(address, &error))
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Error {
    Error::internal(format!("cannot listen on {address}: {error}"))
}

fn serve(listener: TcpListener, router: axum::Router, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await {
            tracing::error!(%error, "the server ended");
        }
    })
}
