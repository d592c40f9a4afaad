//! Starts the real thing for a test, on a database of its own, behind real sockets: in the embedded shape gateway and worker
//! in one on SQLite; in the clustered shape gateways and a worker that share nothing but PostgreSQL and Redis.

pub(crate) mod client;
pub(crate) mod process;
pub(crate) mod python;
pub(crate) mod receiver;
pub(crate) mod redis;
pub(crate) mod smtp;
pub(crate) mod socket;
#[cfg(feature = "svix")]
pub(crate) mod svix;
pub(crate) mod wire;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use postern::{
    settings::{Role, Settings},
    wiring::{self, Running},
};
use postern_domain::{Deps, ProjectId, testing::TestDatabase, time::Clock};
use sea_orm::{ConnectionTrait, Database};

use client::{Client, Keys};

/// How long what another task brings about may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running Postern. Call [`App::stop`] at the end of a test, or let it go with the process.
pub(crate) struct App {
    pub(crate) url: String,
    /// The gateway at `url`; in the embedded shape the worker too.
    pub(crate) running: Running,
    /// Other gateways and the worker, in the clustered shape.
    others: Vec<Running>,
    pub(crate) demo: Keys,
    pub(crate) internal: Keys,
    settings: BTreeMap<String, String>,
    /// Removed with the app; none when it was started on one that was there.
    database: Option<TestDatabase>,
}

/// The settings, of the program that is tested and not of the one that tests.
fn read(values: BTreeMap<String, String>, role: Role) -> Settings {
    Settings { program: env!("CARGO_BIN_EXE_postern").into(), ..Settings::from_values(values, role).unwrap() }
}

/// How to start it.
#[derive(Default)]
pub(crate) struct Builder {
    settings: BTreeMap<String, String>,
    clock: Option<Arc<dyn Clock>>,
    more_gateways: usize,
    without_worker: bool,
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

    /// The newest mail to `address` in the local mailbox, once there is one.
    pub(crate) async fn mail_to(&self, address: &str) -> serde_json::Value {
        let path = format!("/mailbox/api/messages?to={address}");
        eventually("the mail", async || {
            let listed = self.rest().raw(reqwest::Method::GET, &path, None).await.json(200);
            listed["items"].as_array().unwrap().first().cloned()
        })
        .await
    }

    /// Calls the REST API of the project `internal`.
    pub(crate) fn internal_rest(&self) -> Client {
        Client::new(&self.url, &self.internal)
    }

    /// Where another gateway listens (the first is 0).
    pub(crate) fn url_at(&self, other: usize) -> String {
        format!("http://{}", self.others[other].address.unwrap())
    }

    /// Calls the demo project's REST API at another gateway.
    pub(crate) fn rest_at(&self, other: usize) -> Client {
        Client::new(&self.url_at(other), &self.demo)
    }

    /// The settings of one more process, with ports of its own.
    pub(crate) fn settings(&self, role: Role) -> Settings {
        let mut values = self.settings.clone();
        values.insert("POSTERN_LISTEN".to_owned(), "127.0.0.1:0".to_owned());
        read(values, role)
    }

    /// All processes.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Running> {
        std::iter::once(&self.running).chain(&self.others)
    }

    /// Drains and ends. What it leaves behind is there as long as the database that is answered.
    pub(crate) async fn stop(self) -> Option<TestDatabase> {
        self.running.stop().await;
        for other in self.others {
            other.stop().await;
        }
        self.database
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

    /// Starts as many gateways more. Clustered shape only.
    pub(crate) fn more_gateways(mut self, count: usize) -> Self {
        assert!(on_postgres(), "the embedded shape has one gateway");
        self.more_gateways = count;
        self
    }

    /// Starts no worker: the test runs the jobs. Clustered shape only.
    pub(crate) fn without_worker(mut self) -> Self {
        assert!(on_postgres(), "in the embedded shape the worker is in the one process");
        self.without_worker = true;
        self
    }

    /// Starts on a database of its own, in the shape that `POSTERN_TEST_SHAPE` names.
    pub(crate) async fn start(mut self) -> App {
        wiring::install_crypto_provider();
        let address = free_address();
        let url = format!("http://localhost:{}", address.port());
        let defaults = [
            ("POSTERN_LISTEN", address.to_string()),
            ("POSTERN_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("POSTERN_PUBLIC_URL", url.clone()),
            ("POSTERN_DATABASE_POOLER", pooler_setting().to_owned()),
            // Another for each: it also names the installation in Redis.
            ("POSTERN_SERVER_SECRET", format!("a secret that only one test uses {}", uuid::Uuid::new_v4())),
        ];
        for (name, value) in defaults {
            self.settings.entry(name.to_owned()).or_insert(value);
        }
        let database = match self.settings.entry("POSTERN_DATABASE_URL".to_owned()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(unset) => {
                let database = migrated_database().await;
                unset.insert(through_pooler(database.url()));
                Some(database)
            }
        };
        if on_postgres() { self.start_cluster(url, database).await } else { self.start_one(url, database).await }
    }

    async fn start_one(self, url: String, database: Option<TestDatabase>) -> App {
        let settings = read(self.settings.clone(), Role::All);
        let running = wiring::start(&settings, Role::All, self.clock).await.unwrap();
        let demo = running.seeded.demo.as_ref().unwrap();
        let demo = Keys::of(&demo.project_id, &demo.keys);
        let internal = Keys::of(&ProjectId::internal(), running.seeded.internal_keys.as_ref().unwrap());
        App { url, running, others: Vec::new(), demo, internal, settings: self.settings, database }
    }

    async fn start_cluster(mut self, url: String, database: Option<TestDatabase>) -> App {
        self.settings.entry("POSTERN_REDIS_URL".to_owned()).or_insert_with(redis_url);
        let keys = internal_keys();
        for (name, key) in INTERNAL_KEY_SETTINGS.iter().zip([&keys.client, &keys.server, &keys.admin]) {
            self.settings.insert((*name).to_owned(), key.clone());
        }
        let operator = read(self.settings.clone(), Role::Operator);
        let deps = wiring::connect(&operator, self.clock.clone()).await.unwrap();
        let demo = wiring::migrate_and_seed(&deps, &operator).await.unwrap().demo.unwrap();
        let start = async |role, listen: Option<&str>| {
            let mut values = self.settings.clone();
            values.extend(listen.map(|listen| ("POSTERN_LISTEN".to_owned(), listen.to_owned())));
            let settings = read(values, role);
            wiring::start(&settings, role, self.clock.clone()).await.unwrap()
        };
        let running = start(Role::Gateway, None).await;
        let mut others = Vec::new();
        for _ in 0..self.more_gateways {
            others.push(start(Role::Gateway, Some("127.0.0.1:0")).await);
        }
        if !self.without_worker {
            others.push(start(Role::Worker, None).await);
        }
        for process in others.iter().chain([&running]) {
            until_connected(process).await;
        }
        let demo = Keys::of(&demo.project_id, &demo.keys);
        App { url, running, others, demo, internal: keys, settings: self.settings, database }
    }
}

/// Looks until `what`, which another task brings about, is there.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    match tokio::time::timeout(DEADLINE, looking).await {
        Ok(found) => found,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Waits until the process hears the others.
pub(crate) async fn until_connected(process: &Running) {
    let url = format!("http://{}/readyz", process.admin_address);
    while reqwest::get(&url).await.unwrap().text().await.unwrap() != "ok\n" {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// The settings that fix the keys of `internal`.
pub(crate) const INTERNAL_KEY_SETTINGS: [&str; 3] = [
    "POSTERN_INTERNAL_PUBLISHABLE_CLIENT_KEY",
    "POSTERN_INTERNAL_SECRET_SERVER_KEY",
    "POSTERN_INTERNAL_SUPER_SECRET_ADMIN_KEY",
];

/// Keys of `internal` that nobody else has.
fn internal_keys() -> Keys {
    let key = |prefix: &str| format!("{prefix}_{}", uuid::Uuid::new_v4().simple());
    Keys { project_id: "internal".to_owned(), client: key("pck"), server: key("ssk"), admin: key("sak") }
}

/// The Redis of this run.
pub(crate) fn redis_url() -> String {
    std::env::var("POSTERN_TEST_REDIS_URL").expect("POSTERN_TEST_REDIS_URL names the test server")
}

/// A loopback address nobody listens on, for a process that is to know its port before it listens. Each is given once, and
/// from below the range that the kernel hands out by itself (ip_local_port_range), so that nobody takes it meanwhile.
pub(crate) fn free_address() -> SocketAddr {
    const FIRST: u16 = 8_300;
    const COUNT: u16 = 3_600;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs beside this one begin elsewhere.
    let offset = u16::try_from(std::process::id().wrapping_mul(61) % u32::from(COUNT)).unwrap();
    for _ in 0..COUNT {
        let port = FIRST + (offset + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port from {FIRST} on is free")
}

/// Whether this run is one on PostgreSQL.
pub(crate) fn on_postgres() -> bool {
    std::env::var("POSTERN_TEST_SHAPE").is_ok_and(|shape| shape == "postgres" || shape == "pooled")
}

/// The pooler of this run, if it is the one through a pooler.
fn pooler() -> Option<url::Url> {
    std::env::var("POSTERN_TEST_SHAPE").is_ok_and(|shape| shape == "pooled").then(|| {
        let url = std::env::var("POSTERN_TEST_POOLER_URL").expect("POSTERN_TEST_POOLER_URL names the pooler");
        url.parse().unwrap()
    })
}

/// What the settings say of the pooler.
pub(crate) fn pooler_setting() -> &'static str {
    if pooler().is_some() { "transaction" } else { "none" }
}

/// The way to the database at `url` that leads past a pooler, for statements that need none.
pub(crate) fn past_pooler(url: &str) -> String {
    let Some(pooler) = pooler() else { return url.to_owned() };
    let server: url::Url = postgres_server().parse().unwrap();
    let port = |url: &url::Url| format!(":{}/", url.port().unwrap());
    url.replace(&port(&pooler), &port(&server))
}

/// The way through the pooler of this run, if it has one, to the database at `url`.
fn through_pooler(url: &str) -> String {
    let Some(mut pooler) = pooler() else { return url.to_owned() };
    pooler.set_path(url.parse::<url::Url>().unwrap().path());
    pooler.into()
}

fn postgres_server() -> String {
    std::env::var("POSTERN_TEST_POSTGRES_URL").expect("POSTERN_TEST_POSTGRES_URL names the test server")
}

/// A migrated database of the shape of this run.
async fn migrated_database() -> TestDatabase {
    if on_postgres() { TestDatabase::postgres(&postgres_server()).await } else { TestDatabase::sqlite().await }
}

/// An empty database of the shape of this run, for those who are to migrate it themselves.
pub(crate) async fn database_url(data: &Path) -> String {
    if !on_postgres() {
        return format!("sqlite://{}/postern.db", data.display());
    }
    let server = postgres_server();
    let name = format!("postern_{}", uuid::Uuid::new_v4().simple());
    let admin = Database::connect(&server).await.unwrap();
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let mut url: url::Url = server.parse().unwrap();
    url.set_path(&name);
    through_pooler(url.as_str())
}
