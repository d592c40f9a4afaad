//! Throw-away databases, migrated to the newest state.

use std::{
    path::PathBuf,
    sync::{LazyLock, mpsc},
};

use postern_migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database, DbErr};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use uuid::Uuid;

const POSTGRES_URL: &str = "POSTERN_TEST_POSTGRES_URL";
const SHAPE: &str = "POSTERN_TEST_SHAPE";

/// The bytes of a migrated SQLite file: copying it is much faster than migrating, which syncs after each statement.
static SQLITE_TEMPLATE: OnceCell<Vec<u8>> = OnceCell::const_new();
/// The name of a migrated database on the PostgreSQL server, of which the others are copies: that takes a tenth of the time.
static POSTGRES_TEMPLATE: OnceCell<String> = OnceCell::const_new();
/// Takes the databases that nobody needs any more: its thread removes them one after another. There can be hundreds in a run,
/// of 16 MB each.
static DROPPED: LazyLock<mpsc::Sender<OnServer>> = LazyLock::new(|| {
    let (dropped, taken) = mpsc::channel::<OnServer>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        for OnServer { server_url, name } in taken {
            // One whose server is gone is gone as well; the others are still to be removed.
            drop(runtime.block_on(on_server(&server_url, &format!("DROP DATABASE {name} WITH (FORCE)"))));
        }
    });
    dropped
});

/// A database of its own for one test. Dropping it removes the database, whoever is still connected.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Dropping it removes the directory.
    Sqlite {
        _directory: TempDir,
    },
    Postgres(OnServer),
}

#[derive(Clone, Debug)]
struct OnServer {
    server_url: String,
    name: String,
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Place::Postgres(database) = &self.place {
            // Nobody takes it where the process ends: then the server is about to go as well.
            drop(DROPPED.send(database.clone()));
        }
    }
}

impl TestDatabase {
    /// One of each kind that can be had and that `POSTERN_TEST_SHAPE` does not rule out.
    pub async fn each() -> Vec<Self> {
        let shape = std::env::var(SHAPE).ok();
        let mut databases = Vec::new();
        if matches!(shape.as_deref(), None | Some("sqlite")) {
            databases.push(Self::sqlite().await);
        }
        if shape.as_deref() != Some("sqlite") {
            match std::env::var(POSTGRES_URL) {
                Ok(url) => databases.push(Self::postgres(&url).await),
                Err(_) if shape.is_some() => panic!("{SHAPE}=postgres needs {POSTGRES_URL}"),
                Err(_) => {}
            }
        }
        databases
    }

    /// A migrated SQLite file in a directory of its own.
    pub async fn sqlite() -> Self {
        let template = SQLITE_TEMPLATE.get_or_init(sqlite_template).await;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("test.db");
        std::fs::write(&file, template).expect("the temporary directory can be written to");
        Self { url: sqlite_url(&file), place: Place::Sqlite { _directory: directory } }
    }

    /// A migrated database on the server at `server_url`, whose role must be allowed to create databases.
    pub async fn postgres(server_url: &str) -> Self {
        let template = POSTGRES_TEMPLATE.get_or_init(|| postgres_template(server_url)).await;
        let name = new_name();
        create(server_url, &name, &format!("TEMPLATE {template}")).await;
        let url = url_of(server_url, &name);
        Self { url, place: Place::Postgres(OnServer { server_url: server_url.to_owned(), name }) }
    }

    /// The URL to connect to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn new_name() -> String {
    format!("postern_test_{}", Uuid::new_v4().simple())
}

fn url_of(server_url: &str, name: &str) -> String {
    let mut url = url::Url::parse(server_url).expect("a URL");
    url.set_path(name);
    url.into()
}

async fn postgres_template(server_url: &str) -> String {
    let name = new_name();
    create(server_url, &name, "").await;
    migrate(&url_of(server_url, &name)).await;
    name
}

fn sqlite_url(file: &std::path::Path) -> String {
    format!("sqlite://{}?mode=rwc", file.display())
}

async fn sqlite_template() -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file: PathBuf = directory.path().join("template.db");
    migrate(&sqlite_url(&file)).await;
    std::fs::read(&file).expect("the migrated file can be read")
}

async fn migrate(url: &str) {
    let connection = Database::connect(single(url)).await.expect("the database is there");
    Migrator::up(&connection, None).await.expect("the migrations apply");
    connection.close().await.expect("the connection closes");
}

async fn on_server(server_url: &str, statement: &str) -> Result<(), DbErr> {
    let connection = Database::connect(single(server_url)).await?;
    connection.execute_unprepared(statement).await?;
    connection.close().await
}

async fn create(server_url: &str, name: &str, like: &str) {
    let statement = format!("CREATE DATABASE {name} {like}");
    on_server(server_url, &statement).await.expect("the server answers, and the role may create databases");
}

fn single(url: &str) -> sea_orm::ConnectOptions {
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    options
}
