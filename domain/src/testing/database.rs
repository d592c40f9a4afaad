//! Throw-away databases, migrated to the newest state.

use std::path::PathBuf;

use postern_migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use uuid::Uuid;

const POSTGRES_URL: &str = "POSTERN_TEST_POSTGRES_URL";
const SHAPE: &str = "POSTERN_TEST_SHAPE";

/// The bytes of a migrated SQLite file: copying it is much faster than migrating, which syncs after each statement.
static SQLITE_TEMPLATE: OnceCell<Vec<u8>> = OnceCell::const_new();

/// A database of its own for one test.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Dropping it removes the directory.
    Sqlite(TempDir),
    Postgres {
        server_url: String,
        name: String,
    },
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
        Self { url: sqlite_url(&file), place: Place::Sqlite(directory) }
    }

    /// A migrated database on the server at `server_url`, whose role must be allowed to create databases.
    pub async fn postgres(server_url: &str) -> Self {
        let name = format!("postern_test_{}", Uuid::new_v4().simple());
        on_server(server_url, &format!("CREATE DATABASE {name}")).await;
        let mut url = url::Url::parse(server_url).expect("a URL");
        url.set_path(&name);
        migrate(url.as_str()).await;
        Self { url: url.into(), place: Place::Postgres { server_url: server_url.to_owned(), name } }
    }

    /// The URL to connect to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Removes the database, whoever is still connected.
    pub async fn discard(self) {
        match self.place {
            Place::Sqlite(directory) => drop(directory),
            Place::Postgres { server_url, name } => {
                on_server(&server_url, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
            }
        }
    }
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

async fn on_server(server_url: &str, statement: &str) {
    let connection = Database::connect(single(server_url)).await.expect("the PostgreSQL server answers");
    connection.execute_unprepared(statement).await.expect("the role may create and drop databases");
    connection.close().await.expect("the connection closes");
}

fn single(url: &str) -> sea_orm::ConnectOptions {
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    options
}
