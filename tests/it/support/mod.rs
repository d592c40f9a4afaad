//! Starts the real thing for a test: gateway and worker in this process, on a database of its own, behind real sockets.

pub(crate) mod client;
pub(crate) mod receiver;
pub(crate) mod smtp;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use postern::{
    settings::Settings,
    wiring::{self, Running},
};
use postern_domain::{Deps, ProjectId, time::Clock};
use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;

use client::{Client, Keys};

/// A running Postern. Call [`App::stop`] at the end of a test, or let it go with the process.
pub(crate) struct App {
    pub(crate) url: String,
    pub(crate) running: Running,
    pub(crate) demo: Keys,
    pub(crate) internal: Keys,
    /// Removed with the app.
    _data: TempDir,
}

/// How to start it.
#[derive(Default)]
pub(crate) struct Builder {
    settings: BTreeMap<String, String>,
    clock: Option<Arc<dyn Clock>>,
}

impl App {
    /// With the settings of local mode.
    pub(crate) async fn start() -> Self {
        Self::builder().start().await
    }

    /// With other settings.
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// What operations are handed, for looking behind the doors.
    pub(crate) fn deps(&self) -> &Deps {
        &self.running.deps
    }

    /// Calls the demo project's REST API.
    pub(crate) fn rest(&self) -> Client {
        Client::new(&self.url, &self.demo)
    }

    /// Calls the REST API of the project `internal`.
    pub(crate) fn internal_rest(&self) -> Client {
        Client::new(&self.url, &self.internal)
    }

    /// Drains and ends.
    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }
}

impl Builder {
    /// Sets one setting by its name.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Hands in a clock.
    pub(crate) fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Starts on a database of its own, in the shape that `POSTERN_TEST_SHAPE` names.
    pub(crate) async fn start(mut self) -> App {
        wiring::install_crypto_provider();
        let data = TempDir::new().unwrap();
        let address = free_address();
        let url = format!("http://localhost:{}", address.port());
        let defaults = [
            ("POSTERN_LISTEN", address.to_string()),
            ("POSTERN_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("POSTERN_PUBLIC_URL", url.clone()),
            ("POSTERN_DATABASE_URL", database_url(data.path()).await),
            ("POSTERN_SERVER_SECRET", "a server secret that only tests use".to_owned()),
        ];
        for (name, value) in defaults {
            self.settings.entry(name.to_owned()).or_insert(value);
        }
        let settings = Settings::from_values(self.settings).unwrap();
        let running = wiring::start(&settings, self.clock).await.unwrap();
        let demo = running.seeded.demo.as_ref().unwrap();
        let demo = Keys::of(&demo.project_id, &demo.keys);
        let internal = Keys::of(&ProjectId::internal(), running.seeded.internal_keys.as_ref().unwrap());
        App { url, running, demo, internal, _data: data }
    }
}

/// A loopback address nobody listens on. Its port is part of URLs that are known before listening starts.
fn free_address() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Whether this run is the one on PostgreSQL.
pub(crate) fn on_postgres() -> bool {
    std::env::var("POSTERN_TEST_SHAPE").is_ok_and(|shape| shape == "postgres")
}

/// An empty database of the shape of this run.
pub(crate) async fn database_url(data: &Path) -> String {
    if !on_postgres() {
        return format!("sqlite://{}/postern.db", data.display());
    }
    let server = std::env::var("POSTERN_TEST_POSTGRES_URL").expect("POSTERN_TEST_POSTGRES_URL names the test server");
    let name = format!("postern_{}", uuid::Uuid::new_v4().simple());
    let admin = Database::connect(&server).await.unwrap();
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let mut url: url::Url = server.parse().unwrap();
    url.set_path(&name);
    url.to_string()
}
