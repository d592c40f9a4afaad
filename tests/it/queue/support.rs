//! Children, and the table in which their jobs leave traces.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use postern_domain::{
    Deps, JobId,
    db::{Tx, statement},
    queue::{self, Enqueue, Job},
    testing::{TestBench, TestDatabase, settings},
    time::SystemClock,
};
use postern_worker::{LaneSettings, Settings};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// How long a condition may take to come true.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
/// The lease of all workers here.
pub(super) const LEASE: Duration = Duration::from_secs(2);

/// What a child is told by its environment.
pub(super) const DATABASE_URL: &str = "POSTERN_TEST_CHILD_DATABASE_URL";
pub(super) const GATE: &str = "POSTERN_TEST_CHILD_GATE";

/// What a probe does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Deed {
    /// Takes a few milliseconds and leaves the trace `done` in the transaction that ends it.
    Work,
    /// Leaves the trace `begun`, waits for the gate, then is done.
    Gated,
    /// Like `Gated`, but in a child it goes on after its lease is lost, tries to end the job itself, and leaves a trace of
    /// what came of it. In the test's own process it works.
    Stubborn,
    /// Kills its process.
    Kill,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Probe {
    pub(super) deed: Deed,
}

impl Job for Probe {
    const KIND: &'static str = "probe";
    const MAX_ATTEMPTS: u16 = 5;
}

pub(super) fn worker_settings() -> Settings {
    let lane = LaneSettings { slots: 8, timeout: Duration::from_secs(60), lease: LEASE };
    Settings {
        general: lane,
        mail: lane,
        webhooks: lane,
        payments: lane,
        poll: Duration::from_millis(50),
        drain: Duration::from_secs(30),
    }
}

/// What is needed on the database at `url`, the clock running.
pub(super) async fn deps_at(url: &str) -> Deps {
    let TestBench { mut deps, .. } = TestBench::at(url, settings()).await;
    deps.clock = Arc::new(SystemClock);
    deps
}

/// A database with a table of traces, and a gate for children.
pub(super) struct Scene {
    pub(super) deps: Deps,
    database: TestDatabase,
    directory: TempDir,
}

impl Scene {
    pub(super) async fn on(database: TestDatabase) -> Self {
        let deps = deps_at(database.url()).await;
        deps.db
            .write(async |tx| {
                Ok(tx.execute_unprepared("CREATE TABLE trace (job TEXT NOT NULL, what TEXT NOT NULL)").await?)
            })
            .await
            .unwrap();
        Self { deps, database, directory: tempfile::tempdir().unwrap() }
    }

    pub(super) async fn end(self) {
        self.deps.db.close().await.unwrap();
    }

    fn gate(&self) -> PathBuf {
        self.directory.path().join("gate")
    }

    pub(super) fn open_gate(&self) {
        std::fs::write(self.gate(), "").unwrap();
    }

    /// Starts a worker in a process of its own.
    pub(super) fn start_child(&self) -> Process {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "queue::child::worker", "--nocapture"])
            .env(DATABASE_URL, self.database.url())
            .env(GATE, self.gate())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Process(child)
    }

    pub(super) async fn put(&self, deed: Deed, count: usize) -> Vec<JobId> {
        let jobs: Vec<_> = (0..count).map(|_| Enqueue::new(&Probe { deed }).unwrap()).collect();
        let mut ids = Vec::new();
        for jobs in jobs.chunks(100) {
            let deps = &self.deps;
            ids.extend(deps.db.write(async |tx| queue::enqueue_all(deps, &tx, jobs.to_vec()).await).await.unwrap());
        }
        ids
    }

    /// The jobs that left the trace `what`, one entry per trace.
    pub(super) async fn traces(&self, what: &str) -> Vec<String> {
        let connection = self.deps.db.read();
        let sql = "SELECT job FROM trace WHERE what = $1";
        let rows = connection.query_all_raw(statement(connection, sql, [what.into()])).await.unwrap();
        rows.iter().map(|row| row.try_get("", "job").unwrap()).collect()
    }

    pub(super) async fn wait_for_traces(&self, what: &str, count: usize) {
        until(&format!("{count} × {what}"), async || self.traces(what).await.len() >= count).await;
    }

    /// Until when the leases on running jobs are valid, in milliseconds since 1970.
    pub(super) async fn lease_ends(&self) -> Vec<i64> {
        let connection = self.deps.db.read();
        let sql = "SELECT due_at FROM job WHERE state = 'running'";
        let rows = connection.query_all_raw(statement(connection, sql, [])).await.unwrap();
        rows.iter().map(|row| row.try_get("", "due_at").unwrap()).collect()
    }

    pub(super) async fn open_jobs(&self) -> u64 {
        queue::stats(&self.deps).await.unwrap().open
    }
}

pub(super) async fn leave_trace(tx: &Tx, job: JobId, what: &str) -> postern_domain::Result<()> {
    let sql = "INSERT INTO trace (job, what) VALUES ($1, $2)";
    tx.execute_raw(statement(&**tx, sql, [job.to_string().into(), what.into()])).await?;
    Ok(())
}

/// Polls until `condition` holds.
pub(super) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "did not come true: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(super) async fn until_exists(path: &Path) {
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A child process; killed when the test ends before it.
pub(super) struct Process(Child);

impl Process {
    /// Sends a signal by its name, such as `STOP`.
    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.0.id())]).status().unwrap();
        assert!(sent.success());
    }

    pub(super) async fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the child did not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended, and that is fine.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
