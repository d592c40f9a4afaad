//! Workers that die in the middle of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use postern_domain::{
    Deps,
    db::{Address, Db},
    time::SystemClock,
};
use postern_worker::Worker;
use tokio_util::sync::CancellationToken;

use super::on_each_database;
use crate::support::receiver::{Hook, Receiver};

/// A worker on a runtime of its own, so that it can be cut off between any two steps, like a killed process.
struct MortalWorker(Option<tokio::runtime::Runtime>);

impl MortalWorker {
    async fn start(deps: &Deps, url: &str) -> Self {
        let (deps, url) = (deps.clone(), url.to_owned());
        let start = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.spawn(async move {
                // Connections belong to the runtime they were made on.
                let db = Db::connect(Address::direct(&url, 10), Default::default()).await.unwrap();
                let addresses = postern_outside::address::Addresses::new(&deps.settings.allowed_subnets);
                let http = std::sync::Arc::new(postern_outside::http::OutgoingHttp::new(addresses).unwrap());
                let deps = Deps { db, http, clock: std::sync::Arc::new(SystemClock), ..deps };
                let defaults = postern_worker::Settings::default();
                let settings = postern_worker::Settings {
                    webhooks: postern_worker::LaneSettings { lease: Duration::from_secs(1), ..defaults.webhooks },
                    poll: Duration::from_millis(20),
                    ..defaults
                };
                Worker::new(deps, settings).unwrap().run(CancellationToken::new()).await
            });
            runtime
        };
        Self(Some(tokio::task::spawn_blocking(start).await.unwrap()))
    }
}

impl Drop for MortalWorker {
    fn drop(&mut self) {
        // Nothing is awaited: what was under way ends where it is.
        self.0.take().unwrap().shutdown_background();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_workers_lose_nothing_and_repeat_only_under_the_same_id() {
    const EVENTS: usize = 300;
    on_each_database(|installation| async move {
        let receiver = Receiver::start().await;
        let endpoint = installation.endpoint(&receiver).await;
        let secret = installation.secret(&endpoint).await;
        let user_id = installation.create_user().await;
        for number in 1..EVENTS {
            installation.rename_user(user_id, &number.to_string()).await;
        }
        let distinct = |received: &[Hook]| received.iter().map(|hook| hook.id().to_owned()).collect::<BTreeSet<_>>();
        let url = installation.url.as_str();
        let mut kills = 0;
        loop {
            let worker = MortalWorker::start(&installation.deps, url).await;
            let seen = distinct(&receiver.received()).len();
            let enough = (seen + EVENTS / 5).min(EVENTS);
            receiver.wait_until("more messages", |received| distinct(received).len() >= enough).await;
            if enough == EVENTS {
                break;
            }
            drop(worker);
            kills += 1;
        }
        assert!(kills >= 4);
        let received = receiver.received();
        let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
        for hook in &received {
            hook.verify(&secret, "svix").unwrap();
            let first = bodies.entry(hook.id()).or_insert(&hook.body);
            assert_eq!(*first, hook.body, "a repeated message is the same");
        }
        assert_eq!(bodies.len(), EVENTS);
        let names: BTreeSet<_> = bodies.values().collect();
        assert_eq!(names.len(), EVENTS, "each event is one message");
    })
    .await;
}
