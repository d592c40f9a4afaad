//! What the loads work with: a running Postern with people in it, their tokens, and the floor on the same database.

use std::{net::SocketAddr, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::load::Make;
use crate::stand::{Keys, Plan, Postern, Shape, Stand, free_port};

/// How long a server may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tokens of the people outlive the run: an expired one would be refused in the middle of a load.
const TOKEN_SECONDS: &str = "86400";
/// What Postern is configured with by default (docs/settings.md); the floor gets as many.
const DATABASE_CONNECTIONS: u32 = 10;

/// Who reads and refreshes: enough that connections do not all ask for the same row.
pub(crate) const PEOPLE: usize = 64;

/// One installation under measurement, started as it is shipped: default settings, durable commits.
pub(crate) struct Scene {
    /// The installation: one process, or one gateway and one worker.
    pub(crate) stand: Stand,
    /// Its people.
    pub(crate) people: Vec<Person>,
    /// The floor on its database.
    pub(crate) floor: FloorProcess,
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl Scene {
    /// Starts everything.
    pub(crate) async fn start(shape: Shape) -> Result<Self> {
        let plan = Plan::new(shape)
            .durable()
            .set("POSTERN_ACCESS_TOKEN_SECONDS", TOKEN_SECONDS)
            .set("POSTERN_STRIPE_WEBHOOK_SECRET", super::payments::SECRET);
        let stand = Stand::start(&Plan { gateways: 1, workers: 1, ..plan }).await?;
        let people = people(&stand).await?;
        let floor = FloorProcess::start(&stand).await?;
        Ok(Self { stand, people, floor })
    }

    /// The gateway; in the embedded shape the one process.
    pub(crate) fn gateway(&self) -> Result<&Postern> {
        self.stand.gateways.first().context("no gateway")
    }

    /// Who runs jobs: the worker, or the one process.
    pub(crate) fn worker_mut(&mut self) -> Result<&mut Postern> {
        let worker = self.stand.workers.first_mut();
        worker.or(self.stand.gateways.first_mut()).context("no worker")
    }

    /// Likewise.
    pub(crate) fn worker(&self) -> Result<&Postern> {
        self.stand.workers.first().or(self.stand.gateways.first()).context("no worker")
    }

    /// Where the gateway listens.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        Ok(self.gateway()?.url().trim_start_matches("http://").parse()?)
    }

    /// The number of the gateway's process.
    pub(crate) fn pid(&self) -> Result<u32> {
        pid(self.gateway()?)
    }

    /// The headers of a client of the run's project.
    pub(crate) fn client_headers(&self) -> Result<HeaderMap> {
        let keys = &self.stand.project;
        self.headers(keys, "client", "x-stack-publishable-client-key", &keys.client)
    }

    /// The headers of a server of a project.
    pub(crate) fn server_headers(&self, keys: &Keys) -> Result<HeaderMap> {
        self.headers(keys, "server", "x-stack-secret-server-key", &keys.server)
    }

    fn headers(&self, keys: &Keys, level: &str, key_name: &'static str, key: &str) -> Result<HeaderMap> {
        let pairs = [
            (header::HOST, self.address()?.to_string()),
            (header::CONTENT_TYPE, "application/json".to_owned()),
            (HeaderName::from_static("x-stack-access-type"), level.to_owned()),
            (HeaderName::from_static("x-stack-project-id"), keys.project_id.clone()),
            (HeaderName::from_static(key_name), key.to_owned()),
        ];
        pairs.into_iter().map(|(name, value)| Ok((name, HeaderValue::try_from(value)?))).collect()
    }

    /// One request of each person, with its token.
    pub(crate) fn by_each(&self, make: impl Fn(&HeaderMap) -> Result<Request<Bytes>>) -> Result<Vec<Request<Bytes>>> {
        let headers = self.client_headers()?;
        let with_token = |person: &Person| {
            let mut headers = headers.clone();
            headers.insert("x-stack-access-token", person.access_token.parse()?);
            make(&headers)
        };
        self.people.iter().map(with_token).collect()
    }

    /// The database itself, for what no door offers: filling it, and counting jobs.
    pub(crate) async fn database(&self) -> Result<Sql> {
        Ok(Sql(Database::connect(&self.stand.database_url).await?))
    }
}

/// The number of a process.
pub(crate) fn pid(process: &Postern) -> Result<u32> {
    let pid = process.pid().with_context(|| format!("{} does not run", process.name))?;
    Ok(u32::try_from(pid.as_raw_nonzero().get())?)
}

/// A connection to the database of Postern.
pub(crate) struct Sql(DatabaseConnection);

impl Sql {
    /// Whether it is SQLite.
    pub(crate) fn is_sqlite(&self) -> bool {
        self.0.get_database_backend() == sea_orm::DbBackend::Sqlite
    }

    /// Runs a statement.
    pub(crate) async fn run(&self, sql: &str) -> Result<()> {
        self.0.execute_unprepared(sql).await.map(drop).with_context(|| sql.to_owned())
    }

    /// The one number that a query answers.
    pub(crate) async fn number(&self, sql: &str) -> Result<i64> {
        let query = Statement::from_string(self.0.get_database_backend(), sql);
        let row = self.0.query_one_raw(query).await.with_context(|| sql.to_owned())?;
        Ok(row.context("the query found nothing")?.try_get_by_index::<Option<i64>>(0)?.unwrap_or_default())
    }
}

/// New users of the run's project, each signed in.
async fn people(stand: &Stand) -> Result<Vec<Person>> {
    let server = stand.client().server();
    let mut people = Vec::with_capacity(PEOPLE);
    for number in 0..PEOPLE {
        let body = json!({ "display_name": format!("Person {number}"), "primary_email": format!("person-{number}@example.com"),
            "primary_email_verified": true });
        let id = text(&server.post("/users", &body).await?.json()?, "id")?;
        let session = server.post("/auth/sessions", &json!({ "user_id": id })).await?.json()?;
        let (access_token, refresh_token) = (text(&session, "access_token")?, text(&session, "refresh_token")?);
        people.push(Person { id, access_token, refresh_token });
    }
    Ok(people)
}

/// A member of an answer that must be a text.
pub(crate) fn text(answer: &Value, name: &str) -> Result<String> {
    let found = answer.get(name).and_then(Value::as_str).map(str::to_owned);
    found.with_context(|| format!("the answer has no text {name}: {answer}"))
}

/// Requests that are ready and only copied, one after another.
pub(crate) fn in_turn(requests: Vec<Request<Bytes>>) -> Make {
    Arc::new(move |number| {
        let turn = usize::try_from(number)? % requests.len().max(1);
        Ok(requests.get(turn).context("no request to send")?.clone().map(Full::new))
    })
}

/// A request with these headers.
pub(crate) fn request(
    method: Method,
    path: &str,
    headers: &HeaderMap,
    body: impl Into<Bytes>,
) -> Result<Request<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).body(body.into())?;
    *request.headers_mut() = headers.clone();
    Ok(request)
}

/// The floor, running beside the subject; ended when dropped.
pub(crate) struct FloorProcess {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The process.
    pub(crate) pid: u32,
    _child: Child,
}

impl FloorProcess {
    /// Starts this very program as the floor, on the database of the stand.
    async fn start(stand: &Stand) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let gateway = stand.gateways.first().context("no gateway")?.url();
        let jwks = format!("{gateway}/api/v1/projects/{}/.well-known/jwks.json", stand.project.project_id);
        let child = Command::new(std::env::current_exe()?)
            .args(["floor", "--listen", &address, "--database-url", &stand.database_url])
            .args(["--connections", &DATABASE_CONNECTIONS.to_string(), "--jwks-url", &jwks])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().context("the floor has ended already")?;
        until_answers(&format!("http://{address}/ready")).await?;
        Ok(Self { address: address.parse()?, pid, _child: child })
    }
}

/// Waits until a GET of `url` succeeds.
pub(crate) async fn until_answers(url: &str) -> Result<()> {
    let (client, deadline) = (reqwest::Client::new(), Instant::now() + PATIENCE);
    loop {
        let failure = match client.get(url).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => answer.status().to_string(),
            Err(error) => error.to_string(),
        };
        if Instant::now() > deadline {
            bail!("{url} does not answer: {failure}");
        }
        sleep(Duration::from_millis(2)).await;
    }
}
