//! Outgoing webhooks: from a change through a running worker to a real receiver.

use std::sync::Arc;

use postern_domain::{
    Actor, Deps, Level, ProjectId, UserId,
    patch::Patch,
    settings::Settings,
    testing::{TestBench, TestDatabase, settings},
    time::SystemClock,
    users::{self, CreateUser, UpdateUser},
    webhooks::{self, Endpoint, NewEndpoint},
};
use postern_outside::{address::Addresses, http::OutgoingHttp};
use postern_worker::Worker;
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::receiver::Receiver;

mod crash;
mod delivery;
#[cfg(feature = "svix")]
mod svix;
mod tls;

/// Real clients and the real clock on a throw-away database, and a project in it.
struct Installation {
    deps: Deps,
    project_id: ProjectId,
    /// Of the database.
    url: String,
}

impl Installation {
    async fn on(database: &TestDatabase) -> Self {
        let allowed_subnets = vec!["127.0.0.0/8".parse().unwrap()];
        let http = OutgoingHttp::new(Addresses::new(&allowed_subnets)).unwrap();
        let mut bench = TestBench::with_settings(database, Settings { allowed_subnets, ..settings() }).await;
        bench.deps.clock = Arc::new(SystemClock);
        bench.deps.http = Arc::new(http);
        let project_id = bench.insert_project().await;
        Self { deps: bench.deps, project_id, url: database.url().to_owned() }
    }

    fn actor(&self, level: Level) -> Actor {
        Actor::new(self.project_id.clone(), level, None)
    }

    async fn endpoint(&self, receiver: &Receiver) -> Endpoint {
        let new = NewEndpoint { url: receiver.url(), ..NewEndpoint::default() };
        webhooks::create(&self.deps, &self.actor(Level::Admin), new).await.unwrap()
    }

    async fn secret(&self, endpoint: &Endpoint) -> String {
        let secret = webhooks::secret(&self.deps, &self.actor(Level::Admin), endpoint.id).await.unwrap();
        secret.expose_secret().to_owned()
    }

    async fn create_user(&self) -> UserId {
        let new = CreateUser { display_name: Some("Ada".to_owned()), ..CreateUser::default() };
        users::create(&self.deps, &self.actor(Level::Server), new).await.unwrap().id
    }

    async fn rename_user(&self, id: UserId, name: &str) {
        let change = UpdateUser { display_name: Patch::Set(name.to_owned()), ..UpdateUser::default() };
        users::update(&self.deps, &self.actor(Level::Server), id, change).await.unwrap();
    }

    fn start_worker(&self) -> RunningWorker {
        let shutdown = CancellationToken::new();
        let worker = Worker::new(self.deps.clone(), postern_worker::Settings::default()).unwrap();
        let running = tokio::spawn(worker.run(shutdown.clone()));
        RunningWorker { shutdown, running }
    }
}

/// A worker in this process.
struct RunningWorker {
    shutdown: CancellationToken,
    running: JoinHandle<postern_domain::Result<()>>,
}

impl RunningWorker {
    async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }

    fn kill(self) {
        self.running.abort();
    }
}

async fn on_each_database<F, Fut>(test: F)
where
    F: Fn(Installation) -> Fut,
    Fut: Future<Output = ()>,
{
    for database in TestDatabase::each().await {
        test(Installation::on(&database).await).await;
    }
}
