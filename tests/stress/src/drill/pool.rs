//! More clients than connections: first they wait for each other; then somebody holds the database so that every
//! connection is stuck; and on PostgreSQL, no connection is to be had at all. Whoever is not served is told so, as
//! unavailable for now, nothing is half-written, and everything goes on afterwards.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use futures::future::join_all;
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
    sqlx::{Connection, PgConnection, raw_sql},
};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Scale,
    check::Permitted,
    history::{Deed, Fault, History, Record, judge},
    scene::{Report, Scene},
};
use crate::stand::{Client, Plan, Shape};

/// Many more than the connections of a process.
const CLIENTS: usize = 64;
const CONNECTIONS: &str = "2";
/// Longer than anybody waits for a connection or a lock.
const HELD: Duration = Duration::from_secs(13);
/// What PostgreSQL takes, so that it can be filled up.
const POSTGRES_CONNECTIONS: u32 = 24;
/// How long it is full.
const FILLED: Duration = Duration::from_secs(4);
/// Who fills it.
const TAKER: &str = "taker";
const CUT_OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE backend_type = 'client backend' AND application_name <> 'taker'";

pub(super) async fn run(scale: Scale, shape: Shape) -> Result<Report> {
    let mut plan = Plan::new(shape).set("POSTERN_DATABASE_CONNECTIONS", CONNECTIONS);
    plan.postgres_connections = POSTGRES_CONNECTIONS;
    let scene = Scene::start(plan).await?;
    let rounds = scale.pick(2, 8);
    clients(&scene, rounds).await;
    for _ in 0..scale.pick(1, 2) {
        let begun = Instant::now();
        let held = hold(&scene).await?;
        let release = async {
            sleep(HELD).await;
            held.release().await
        };
        tokio::join!(clients(&scene, 1), release).1?;
        scene.history.disturbed_since(begun);
        clients(&scene, rounds).await;
        if shape != Shape::Embedded {
            fill_up(&scene).await?;
            clients(&scene, rounds).await;
        }
    }
    let unclear = unclear(&scene.history);
    let faults = scene.history.faults().len();
    let mut report = scene.end(Permitted { repeats: true, ..Permitted::default() }).await?;
    report.findings.wrong.extend(unclear);
    if faults == 0 {
        report.findings.wrong.push("nobody was turned away while the database was held".to_owned());
    }
    report.notes.push(format!("{faults} requests were told that the server is unavailable or that it took too long"));
    Ok(report)
}

/// All clients at once, each with so many requests, one after the other.
async fn clients(scene: &Scene, rounds: usize) {
    let client = scene.stand.client();
    join_all((0..CLIENTS).map(|number| one(&client, &scene.history, number, rounds))).await;
}

async fn one(client: &Client, history: &Arc<History>, number: usize, rounds: usize) {
    const CREATE: &str = "mutation($input: CreateUserInput!) { createUser(input: $input) { user { id } } }";
    for _ in 0..rounds {
        let marker = history.marker("created");
        let sent = Instant::now();
        let reply = if number.is_multiple_of(2) {
            client.server().post("/users", &json!({"display_name": marker})).await
        } else {
            client.server().graphql(CREATE, json!({"input": {"displayName": marker}})).await
        };
        history.note_fault(&reply);
        let outcome = judge(reply).0;
        let ended = Instant::now();
        history.add(Record { deed: Deed::CreateUser, marker, user_id: None, outcome, sent, ended });
    }
}

/// Faults that do not say that the server is unavailable for now and when to come again, or that it took too long.
fn unclear(history: &History) -> Vec<String> {
    let is_clear = |fault: &Fault| fault.status == 504 || fault.status == 503 && fault.retry_after.is_some();
    let unclear = history.faults().into_iter().filter(|fault| !is_clear(fault));
    unclear
        .map(|fault| {
            format!("an unclear answer: {}, retry-after {:?}: {}", fault.status, fault.retry_after, fault.text)
        })
        .collect()
}

/// Somebody who keeps the database to himself.
struct Held {
    connection: DatabaseConnection,
    transaction: DatabaseTransaction,
}

impl Held {
    async fn release(self) -> Result<()> {
        self.transaction.rollback().await?;
        Ok(self.connection.close().await?)
    }
}

async fn hold(scene: &Scene) -> Result<Held> {
    let connection = Database::connect(&scene.stand.database_url).await?;
    let transaction = match scene.shape() {
        Shape::Embedded => {
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            connection.begin_with_options(options).await?
        }
        Shape::Clustered | Shape::Pooled => {
            let transaction = connection.begin().await?;
            // What every request here writes.
            transaction.execute_unprepared(r#"LOCK TABLE "user", event IN ACCESS EXCLUSIVE MODE"#).await?;
            transaction
        }
    };
    Ok(Held { connection, transaction })
}

/// For some seconds somebody else has every connection of PostgreSQL: those of Postern are cut, and what that frees is taken.
async fn fill_up(scene: &Scene) -> Result<()> {
    let services = scene.stand.services.as_ref().context("a cluster without PostgreSQL")?;
    let url = format!("{}?application_name={TAKER}", services.postgres_url);
    let begun = Instant::now();
    let mut first = PgConnection::connect(&url).await?;
    let mut taken = Vec::new();
    let take = async {
        while begun.elapsed() < FILLED {
            raw_sql(CUT_OTHERS).execute(&mut first).await?;
            while let Ok(Ok(connection)) = timeout(Duration::from_secs(1), PgConnection::connect(&url)).await {
                taken.push(connection);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::join!(clients(scene, 1), take).1?;
    for connection in taken.into_iter().chain([first]) {
        connection.close().await?;
    }
    scene.history.disturbed_since(begun);
    Ok(())
}
