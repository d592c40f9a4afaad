//! What somebody hears who does not wait for a database.

use std::{collections::BTreeMap, net::TcpListener, time::Duration};

use sea_orm::{ConnectOptions, ConnectionTrait, Database};

use super::*;
use crate::settings::Role;

fn settings(database_url: &str) -> Settings {
    let values = BTreeMap::from([("POSTERN_DATABASE_URL".to_owned(), database_url.to_owned())]);
    Settings::from_values(values, Role::All).unwrap()
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named_without_its_password() {
    // The system lets callers in, and nobody says anything to them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let url = format!("postgres://postern:secret-password@{address}/postern");
    let mut options = ConnectOptions::new(&url);
    options.acquire_timeout(Duration::from_millis(200)).sqlx_logging(false);
    let error = Error::from(Database::connect(options).await.unwrap_err());
    assert!(may_come_back(&error), "{error}");
    let said = naming_database(&settings(&url), error).to_string();
    let named = format!("the database at {address} (POSTERN_DATABASE_URL) does not answer: ");
    assert!(said.starts_with(&named) && !said.contains("secret-password"), "{said}");
    // What waiting does not mend says by itself what it is.
    let refused = Error::internal("no such role");
    assert_eq!(naming_database(&settings(&url), refused).to_string(), "no such role");
}

#[tokio::test]
async fn a_file_that_is_busy_is_not_taken_for_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("postern.db").display());
    let connect = async || {
        let mut options = ConnectOptions::new(&url);
        options.max_connections(1).sqlx_logging(false);
        options.map_sqlx_sqlite_opts(|sqlite| sqlite.busy_timeout(Duration::ZERO));
        Database::connect(options).await.unwrap()
    };
    let (first, second) = (connect().await, connect().await);
    let begin = "BEGIN IMMEDIATE";
    first.execute_unprepared(begin).await.unwrap();
    let error = Error::from(second.execute_unprepared(begin).await.unwrap_err());
    assert!(may_come_back(&error), "{error}");
    // As a URL, this is a server called `data`.
    let said = error.to_string();
    assert_eq!(naming_database(&settings("sqlite://data/postern.db"), error).to_string(), said);
}
