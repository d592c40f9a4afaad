//! Commands of operators that read and write files, run as they are.

mod config;
mod users;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::process::{Ended, postern, run};

/// An installation by its data and its database.
struct Place {
    data: TempDir,
    database: String,
}

impl Place {
    /// A migrated one.
    async fn migrated(data: TempDir, database: String) -> Self {
        let place = Self { data, database };
        let ended = place.run(&["migrate"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        postern(self.data.path(), &self.database, arguments)
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        run(self.command(arguments)).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

/// An SQLite database in a directory, whatever the shape of this run.
fn sqlite_in(data: &Path) -> String {
    format!("sqlite://{}/postern.db", data.display())
}
