//! Commands of operators that read and write files, run as they are.

mod config;
mod users;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use crate::support::process::postern;

const PATIENCE: Duration = Duration::from_secs(120);

/// An installation by its data and its database.
struct Place {
    data: TempDir,
    database: String,
}

/// What a command ended with.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    errors: String,
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
        end(self.command(arguments)).await
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

async fn end(mut command: Command) -> Ended {
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), errors: text(output.stderr) }
}

/// An SQLite database in a directory, whatever the shape of this run.
fn sqlite_in(data: &Path) -> String {
    format!("sqlite://{}/postern.db", data.display())
}
