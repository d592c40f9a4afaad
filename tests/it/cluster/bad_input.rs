//! Surroundings that are not as they should be, met by the commands themselves: a database of the version before, one that is
//! away or wants another password, a clock that is wrong.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use postern_migration::{Migrator, MigratorTrait};
use reqwest::Method;
use sea_orm::{ConnectionTrait, Database, Statement};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::support::{
    INTERNAL_KEY_SETTINGS,
    client::{Client, Keys},
    database_url, eventually, free_address, on_postgres, past_pooler,
    process::postern,
    redis_url,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// What a process says that waits for somebody to migrate an older database.
const OLDER: &str = "of the database are to be applied: run `postern migrate`";
const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse";

/// What the commands of one installation are told alike.
struct Installation {
    data: TempDir,
    database: String,
    server_secret: String,
    /// Of the project `internal`.
    keys: Keys,
}

impl Installation {
    /// With an empty database of its own.
    async fn new() -> Self {
        let data = TempDir::new().unwrap();
        let database = database_url(data.path()).await;
        Self::on(data, database)
    }

    fn on(data: TempDir, database: String) -> Self {
        postern::wiring::install_crypto_provider();
        let random = || uuid::Uuid::new_v4().simple();
        let key = |prefix: &str| format!("{prefix}_{}", random());
        Self {
            data,
            database,
            server_secret: format!("known to one installation only {}", random()),
            keys: Keys { project_id: "internal".to_owned(), client: key("pck"), server: key("ssk"), admin: key("sak") },
        }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = postern(self.data.path(), &self.database, &[name]);
        command.env("POSTERN_SERVER_SECRET", &self.server_secret);
        command.envs(INTERNAL_KEY_SETTINGS.iter().zip([&self.keys.client, &self.keys.server, &self.keys.admin]));
        if on_postgres() {
            command.env("POSTERN_REDIS_URL", redis_url());
        }
        command
    }

    /// Runs a command to its end: exit code and everything it said.
    async fn run(&self, name: &str) -> (Option<i32>, String) {
        run(self.command(name)).await
    }

    async fn migrate(&self) -> String {
        let (code, said) = self.run("migrate").await;
        assert_eq!(code, Some(0), "{said}");
        said
    }

    fn start(&self, name: &str) -> Running {
        let (address, admin_address) = (free_address(), free_address());
        let mut command = self.command(name);
        command.env("POSTERN_LISTEN", address.to_string()).env("POSTERN_ADMIN_LISTEN", admin_address.to_string());
        let rest = Client::new(&format!("http://localhost:{}", address.port()), &self.keys);
        Running { child: command.spawn().unwrap(), address, admin_address, rest }
    }
}

async fn run(mut command: Command) -> (Option<i32>, String) {
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// A command that goes on until it is ended.
struct Running {
    child: Child,
    address: SocketAddr,
    admin_address: SocketAddr,
    rest: Client,
}

impl Running {
    /// Waits until `/readyz` answers this status with this text in it.
    async fn until_ready_says(&mut self, status: u16, text: &str) {
        let url = format!("http://{}/readyz", self.admin_address);
        let look = async {
            loop {
                if let Ok(answer) = reqwest::get(&url).await
                    && answer.status() == status
                    && answer.text().await.unwrap().contains(text)
                {
                    return;
                }
                assert!(self.child.try_wait().unwrap().is_none(), "it ended early");
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, look).await.unwrap();
    }

    /// Ada signs up, and is to be sent a mail. Answers her id.
    async fn sign_up(&self) -> Value {
        let callback = "http://localhost:8102/verify";
        let body = json!({"email": EMAIL, "password": PASSWORD, "verification_callback_url": callback});
        self.rest.client().post("/auth/password/sign-up", body).await.json(200)["user_id"].clone()
    }

    /// Ada signs in and looks at herself. Answers her id.
    async fn sign_in(&self) -> Value {
        let body = json!({"email": EMAIL, "password": PASSWORD});
        let tokens = self.rest.client().post("/auth/password/sign-in", body).await.json(200);
        let ada = self.rest.client().user(tokens["access_token"].as_str().unwrap());
        let me = ada.get("/users/me").await.json(200);
        assert_eq!(me["primary_email"], EMAIL);
        me["id"].clone()
    }

    /// The mails to Ada that were sent.
    async fn mails(&self) -> Vec<Value> {
        let path = format!("/mailbox/api/messages?to={EMAIL}");
        let listed = self.rest.raw(Method::GET, &path, None).await.json(200);
        listed["items"].as_array().unwrap().clone()
    }

    async fn until_mail_is_there(&self) {
        eventually("the mail", async || self.mails().await.pop()).await;
    }

    /// Ends it as whoever supervises it does; answers what it said and logged.
    async fn end(self) -> String {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        let output = timeout(PATIENCE, self.child.wait_with_output()).await.unwrap().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{}: {said}", output.status);
        said
    }
}

/// Takes the newest change of the tables back, as if the version before this one had been the last to start.
async fn make_older(database: &str) {
    let connection = Database::connect(past_pooler(database)).await.unwrap();
    Migrator::down(&connection, Some(1)).await.unwrap();
    assert_eq!(Migrator::get_pending_migrations(&connection).await.unwrap().len(), 1);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn roles_wait_unready_for_the_migration_of_an_older_database_and_go_on_with_what_is_in_it() {
    if !on_postgres() {
        return;
    }
    let installation = Installation::new().await;
    installation.migrate().await;
    let mut gateway = installation.start("gateway");
    gateway.until_ready_says(200, "ok").await;
    // Nobody is there to send the mail, so it waits.
    let ada = gateway.sign_up().await;
    gateway.end().await;
    make_older(&installation.database).await;

    let (mut gateway, mut worker) = (installation.start("gateway"), installation.start("worker"));
    gateway.until_ready_says(503, OLDER).await;
    worker.until_ready_says(503, OLDER).await;
    assert!(TcpStream::connect(gateway.address).await.is_err(), "somebody is let in before there is an answer");

    let said = installation.migrate().await;
    assert!(!said.contains("Demo project"), "it was seeded anew: {said}");
    gateway.until_ready_says(200, "ok").await;
    worker.until_ready_says(200, "ok").await;
    assert_eq!(gateway.sign_in().await, ada);
    gateway.until_mail_is_there().await;
    for role in [gateway, worker] {
        let said = role.end().await;
        assert!(said.contains(OLDER), "{said}");
    }
}

#[tokio::test]
async fn serve_brings_an_older_database_up_and_goes_on_with_what_is_in_it() {
    let installation = Installation::new().await;
    let mut before = installation.start("serve");
    before.until_ready_says(200, "ok").await;
    let ada = before.sign_up().await;
    before.until_mail_is_there().await;
    before.end().await;
    make_older(&installation.database).await;

    let mut after = installation.start("serve");
    after.until_ready_says(200, "ok").await;
    assert_eq!(after.sign_in().await, ada);
    assert_eq!(after.mails().await.len(), 1);
    after.end().await;
}

/// Where Debian's package `faketime` puts the library for programs with threads.
fn libfaketime() -> PathBuf {
    let architecture = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    [architecture.as_str(), "/usr/lib", "/usr/local/lib"]
        .into_iter()
        .map(|place| Path::new(place).join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .expect("libfaketime is there; `scripts/test` installs it")
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_ends_every_role_with_2_and_is_named() {
    if !on_postgres() {
        return;
    }
    let installation = Installation::new().await;
    installation.migrate().await;
    for (offset, words) in [("+3600s", "s ahead of the database's"), ("-3600s", "s behind the database's")] {
        for role in ["gateway", "worker", "serve"] {
            let mut command = installation.command(role);
            // Monotonic time goes on as it is, so that whatever waits, waits as long as it means to.
            command.env("LD_PRELOAD", libfaketime()).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            let (code, said) = run(command).await;
            assert_eq!(code, Some(2), "{role} {offset}: {said}");
            let is_named = said.contains("the clock of this machine is") && said.contains(words);
            assert!(is_named, "{role} {offset}: {said}");
        }
    }
}

#[tokio::test]
async fn serve_and_migrate_end_with_2_when_the_database_is_away() {
    if !on_postgres() {
        return;
    }
    let away = format!("postgres://postern:secret-password@{}/postern", free_address());
    let installation = Installation::on(TempDir::new().unwrap(), away);
    let (serve, migrate) = tokio::join!(installation.run("serve"), installation.run("migrate"));
    for (code, said) in [serve, migrate] {
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("(POSTERN_DATABASE_URL) does not answer") && !said.contains("secret-password"), "{said}");
    }
}

/// Lets whoever comes to `near` through to `far` from now on.
async fn open_way(near: SocketAddr, far: String) {
    let listener = TcpListener::bind(near).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let far = far.clone();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(far).await.unwrap();
                // Either end may go first.
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            });
        }
    });
}

#[tokio::test]
async fn a_gateway_that_was_there_before_its_database_works_as_soon_as_that_comes() {
    if !on_postgres() {
        return;
    }
    let mut installation = Installation::new().await;
    installation.migrate().await;
    let mut url: url::Url = installation.database.parse().unwrap();
    let (near, far) = (free_address(), format!("{}:{}", url.host_str().unwrap(), url.port().unwrap()));
    url.set_port(Some(near.port())).unwrap();
    installation.database = url.into();
    let mut gateway = installation.start("gateway");
    gateway.until_ready_says(503, "the database is away").await;
    open_way(near, far).await;
    gateway.until_ready_says(200, "ok").await;
    gateway.sign_up().await;
    gateway.end().await;
}

/// Gives the database to a role that the server, which trusts all others, asks for its password. Answers the URL with that
/// password. The rule about the role stays: the servers of tests are thrown away.
async fn ask_for_password(database: &str) -> url::Url {
    let mut url: url::Url = past_pooler(database).parse().unwrap();
    let connection = Database::connect(url.as_str()).await.unwrap();
    let sql = "SELECT current_setting('hba_file')";
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await.unwrap();
    let rules: String = row.unwrap().try_get_by_index(0).unwrap();
    let (role, name) = (format!("asked_{}", uuid::Uuid::new_v4().simple()), url.path().trim_start_matches('/'));
    // By the server itself, whose files are not everybody's; before the other rules, since the first that fits counts.
    let edit = format!(r#"sed -i "1i host all {role} 127.0.0.1/32 scram-sha-256" {rules}"#);
    for sql in [
        format!("CREATE ROLE {role} LOGIN PASSWORD 'the-right-one'"),
        format!("ALTER DATABASE {name} OWNER TO {role}"),
        "CREATE TABLE said_by_sed (line text)".to_owned(),
        format!("COPY said_by_sed FROM PROGRAM '{edit}'"),
        "DROP TABLE said_by_sed".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        connection.execute_unprepared(&sql).await.unwrap();
    }
    connection.close().await.unwrap();
    url.set_username(&role).unwrap();
    // The server reads its rules anew in its own time.
    url.set_password(Some("the-wrong-one")).unwrap();
    eventually("the server to ask", async || Database::connect(url.as_str()).await.err()).await;
    url.set_password(Some("the-right-one")).unwrap();
    url
}

#[tokio::test]
async fn a_wrong_password_of_the_database_ends_every_command_with_2_and_is_not_shown() {
    if !on_postgres() {
        return;
    }
    let mut installation = Installation::new().await;
    let mut url = ask_for_password(&installation.database).await;
    installation.database = url.to_string();
    // Whoever owns a database may do with it all that a migration does.
    installation.migrate().await;
    url.set_password(Some("the-wrong-one")).unwrap();
    installation.database = url.to_string();
    for command in ["gateway", "worker", "serve", "migrate"] {
        let (code, said) = installation.run(command).await;
        assert_eq!(code, Some(2), "{command}: {said}");
        assert!(said.contains("password authentication failed"), "{command}: {said}");
        assert!(!said.contains("the-wrong-one"), "{command}: {said}");
    }
}
