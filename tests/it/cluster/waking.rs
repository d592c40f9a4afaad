//! What a gateway leaves to be done wakes a worker in another process, through Redis.

use std::time::Duration;

use postern::{settings::Role, wiring};
use postern_domain::{
    Deps,
    emails::SendEmail,
    queue::{self, Ending, Lease},
};
use postern_outside::redis::Link;
use postern_worker::{LaneSettings, Registry, Settings, Worker};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{App, eventually, on_postgres};

/// How often the worker looks by itself, and how long its leases last, at whose end it looks too: longer than any test.
const BY_ITSELF: Duration = Duration::from_secs(60 * 60);
/// How long a job may wait at most. Hardly any of that, but on a machine with too much to do.
const PATIENCE: Duration = Duration::from_secs(20);

fn sleepy() -> Settings {
    let usual = Settings::default();
    Settings { mail: LaneSettings { lease: BY_ITSELF, ..usual.mail }, poll: BY_ITSELF, ..usual }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_gateway_are_begun_by_a_worker_that_looks_once_an_hour() {
    if !on_postgres() {
        return;
    }
    let app = App::builder().without_worker().start().await;
    let settings = app.settings(Role::Worker);
    let deps = wiring::connect(&settings, None).await.unwrap();
    let redis = wiring::redis(&settings).unwrap().unwrap();
    let shutdown = CancellationToken::new();
    let carried = tokio::spawn({
        let (redis, signals, shutdown) = (redis.clone(), deps.db.signals().clone(), shutdown.clone());
        async move { redis.carry(&signals, &shutdown).await }
    });
    // It looks whenever it is connected anew, so that must be over.
    eventually("Redis", async || (redis.link() == Link::Up).then_some(())).await;
    let (began, mut begun) = mpsc::unbounded_channel();
    // Nothing else: what the worker writes itself would wake it.
    let registry = Registry::new().job(move |_: Deps, _: Lease, job: SendEmail| {
        let began = began.clone();
        async move {
            began.send(job.email_id).unwrap();
            Ok(Ending::done())
        }
    });
    let worker = Worker::with_registry(deps.clone(), sleepy(), registry);
    let worker = tokio::spawn(worker.run(shutdown.clone()));

    // Several: the first may be there when the worker looks for the first time.
    for round in 0..5 {
        let email = format!("ada{round}@example.com");
        let callback = format!("{}/verify", app.url);
        let body = json!({"email": email, "password": "correct horse", "verification_callback_url": callback});
        app.rest().client().post("/auth/password/sign-up", body).await.json(200);
        let heard = timeout(PATIENCE, begun.recv()).await;
        assert!(heard.is_ok_and(|job| job.is_some()), "the worker was not woken in round {round}");
    }
    eventually("no job", async || queue::depths(&deps).await.unwrap().is_empty().then_some(())).await;
    shutdown.cancel();
    worker.await.unwrap().unwrap();
    carried.await.unwrap();
    app.stop().await;
}
