//! An installation whose processes a test starts one by one: a gateway and a worker on PostgreSQL and Redis, or the one that
//! is both on SQLite. Its database can be made to refuse, and somebody else can hold it.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use postern::{
    settings::{Role, Settings},
    wiring,
};
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    sync::watch,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::support::{
    INTERNAL_KEY_SETTINGS,
    client::{Client, Keys},
    database_url, free_address, on_postgres, past_pooler, pooler_setting,
    process::postern,
    redis_url,
};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What the database says when it refuses.
pub(super) const REFUSAL: &str = "refused by the test";

/// The roles of an installation: who answers requests first, who runs jobs last.
pub(super) fn roles() -> &'static [&'static str] {
    if on_postgres() { &["gateway", "worker"] } else { &["serve"] }
}

/// An installation that is migrated, and the settings of its processes.
pub(super) struct Installation {
    pub(super) url: String,
    pub(super) demo: Keys,
    database: String,
    settings: BTreeMap<String, String>,
    data: TempDir,
}

impl Installation {
    /// With these settings besides those it needs.
    pub(super) async fn new(settings: &[(&str, &str)]) -> Self {
        wiring::install_crypto_provider();
        let data = TempDir::new().unwrap();
        let database = database_url(data.path()).await;
        let address = free_address();
        let url = format!("http://localhost:{}", address.port());
        let needed = [
            ("POSTERN_LISTEN", address.to_string()),
            ("POSTERN_PUBLIC_URL", url.clone()),
            ("POSTERN_DATABASE_URL", database.clone()),
            ("POSTERN_DATABASE_POOLER", pooler_setting().to_owned()),
            ("POSTERN_SERVER_SECRET", format!("known to one installation only {}", Uuid::new_v4())),
        ];
        let mut all = BTreeMap::from(needed.map(|(name, value)| (name.to_owned(), value)));
        for (name, key) in INTERNAL_KEY_SETTINGS.iter().zip(["pck", "ssk", "sak"]) {
            all.insert((*name).to_owned(), format!("{key}_{}", Uuid::new_v4().simple()));
        }
        if on_postgres() {
            all.insert("POSTERN_REDIS_URL".to_owned(), redis_url());
        }
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        // Not by `postern migrate`, which would have to be read for the keys.
        let operator = Settings::from_values(all.clone(), Role::Operator).unwrap();
        let deps = wiring::connect(&operator, None).await.unwrap();
        let demo = wiring::migrate_and_seed(&deps, &operator).await.unwrap().demo.unwrap();
        deps.db.close().await.unwrap();
        Self { url, demo: Keys::of(&demo.project_id, &demo.keys), database, settings: all, data }
    }

    /// Calls the demo project.
    pub(super) fn rest(&self) -> Client {
        Client::new(&self.url, &self.demo)
    }

    /// Starts one of its processes, and waits until it can do its work. Its traces are those of `postern-` and its role.
    pub(super) async fn start(&self, role: &str) -> Member {
        let admin_address = free_address();
        let mut command = postern(self.data.path(), &self.database, &[role]);
        command
            .envs(&self.settings)
            .env("POSTERN_ADMIN_LISTEN", admin_address.to_string())
            .env("OTEL_SERVICE_NAME", format!("postern-{role}"));
        let mut child = command.spawn().unwrap();
        let (said, log) = watch::channel(String::new());
        tokio::spawn(note(child.stderr.take().unwrap(), said));
        let mut member = Member { admin_url: format!("http://{admin_address}"), child, log };
        timeout(PATIENCE, member.until_ready()).await.unwrap();
        member
    }

    /// Starts all of its processes, in the order of [`roles`].
    pub(super) async fn start_all(&self) -> Vec<Member> {
        let mut members = Vec::new();
        for role in roles() {
            members.push(self.start(role).await);
        }
        members
    }

    async fn connect(&self) -> DatabaseConnection {
        Database::connect(past_pooler(&self.database)).await.unwrap()
    }

    /// Has the database refuse from now on what is done to the rows of a table: `INSERT` or `UPDATE`.
    pub(super) async fn refuse(&self, deed: &str, table: &str) {
        let sql = if on_postgres() {
            format!(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql \
                 AS $$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$; \
                 CREATE TRIGGER refuse BEFORE {deed} ON \"{table}\" FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        } else {
            format!("CREATE TRIGGER refuse BEFORE {deed} ON \"{table}\" BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")
        };
        self.execute(&sql).await;
    }

    /// Changes the database behind the back of its processes.
    pub(super) async fn execute(&self, sql: &str) {
        let connection = self.connect().await;
        connection.execute_unprepared(sql).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Keeps everybody from the table; on SQLite, which has no such locks, from writing anything.
    pub(super) async fn hold(&self, table: &str) -> Held {
        let connection = self.connect().await;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let transaction = connection.begin_with_options(options).await.unwrap();
        if on_postgres() {
            transaction.execute_unprepared(&format!("LOCK TABLE \"{table}\"")).await.unwrap();
        }
        Held { connection, transaction }
    }

    /// Does `work`, which is to write a user, while the database cannot: SQLite's file is held for longer than anybody waits
    /// for it; PostgreSQL is told to end whoever gets as far as the table.
    pub(super) async fn without_database<T>(&self, work: impl Future<Output = T>) -> T {
        let held = self.hold("user").await;
        let outcome = if on_postgres() {
            tokio::select! {
                outcome = work => outcome,
                never = end_whoever_waits(&held.connection) => match never {},
            }
        } else {
            work.await
        };
        held.release().await;
        outcome
    }
}

/// Ends the connections of this database that wait for a lock, again and again.
async fn end_whoever_waits(connection: &DatabaseConnection) -> Infallible {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
               AND backend_type = 'client backend' AND wait_event_type = 'Lock'";
    loop {
        connection.execute_unprepared(sql).await.unwrap();
        sleep(LOOK_AGAIN).await;
    }
}

/// Somebody who keeps others from the database.
pub(super) struct Held {
    connection: DatabaseConnection,
    transaction: DatabaseTransaction,
}

impl Held {
    pub(super) async fn release(self) {
        self.transaction.rollback().await.unwrap();
        self.connection.close().await.unwrap();
    }
}

/// A process of the installation.
pub(super) struct Member {
    pub(super) admin_url: String,
    child: Child,
    /// What it has logged so far.
    log: watch::Receiver<String>,
}

/// Notes what a process logs, all the time so that it never waits for us.
async fn note(errors: ChildStderr, said: watch::Sender<String>) {
    let mut lines = BufReader::new(errors).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        said.send_modify(|log| {
            log.push_str(&line);
            log.push('\n');
        });
    }
}

impl Member {
    async fn until_ready(&mut self) {
        let url = format!("{}/readyz", self.admin_url);
        loop {
            if let Ok(answer) = reqwest::get(&url).await
                && answer.text().await.is_ok_and(|text| text == "ok\n")
            {
                return;
            }
            if self.child.try_wait().unwrap().is_some() {
                panic!("it ended early: {}", self.whole_log().await);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until what it has logged is as `wanted` says.
    pub(super) async fn until_logged(&self, what: &str, wanted: impl FnMut(&String) -> bool) {
        let mut log = self.log.clone();
        let is_logged = matches!(timeout(PATIENCE, log.wait_for(wanted)).await, Ok(Ok(_)));
        assert!(is_logged, "no {what} in {}", *self.log.borrow());
    }

    /// What it has logged when it has nothing more to say.
    async fn whole_log(&mut self) -> String {
        while self.log.changed().await.is_ok() {}
        self.log.borrow().clone()
    }

    /// Ends it, and answers what it logged.
    pub(super) async fn stop(mut self) -> String {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        assert!(timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().success());
        timeout(PATIENCE, self.whole_log()).await.unwrap()
    }
}

/// Ends these processes, and answers what all of them logged.
pub(super) async fn stop_all(members: Vec<Member>) -> String {
    let mut log = String::new();
    for member in members {
        log.push_str(&member.stop().await);
    }
    log
}
