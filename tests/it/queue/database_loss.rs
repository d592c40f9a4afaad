//! A database that goes away and comes back: the worker waits for it.

use std::sync::Arc;

use postern_domain::{db::Backend, testing::TestDatabase};
use postern_worker::Worker;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use super::{
    child::registry,
    support::{Deed, Scene, deps_at, until, worker_settings},
};

/// A way to the server at `address` that can be cut.
struct Wire {
    port: u16,
    whole: Arc<watch::Sender<bool>>,
}

impl Wire {
    async fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let whole = Arc::new(watch::Sender::new(true));
        let watched = Arc::clone(&whole);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let (address, mut whole) = (address.clone(), watched.subscribe());
                tokio::spawn(async move {
                    if !*whole.borrow() {
                        return;
                    }
                    let mut far = TcpStream::connect(address).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = whole.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { port, whole }
    }
}

#[tokio::test]
async fn a_lost_database_is_waited_for() {
    for database in TestDatabase::each().await {
        let mut url: url::Url = database.url().parse().unwrap();
        let scene = Scene::on(database).await;
        if scene.deps.db.backend() == Backend::Sqlite {
            // A file does not go away.
            scene.end().await;
            continue;
        }
        let wire = Wire::to(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())).await;
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(wire.port)).unwrap();
        let shutdown = CancellationToken::new();
        let worker = Worker::with_registry(deps_at(url.as_str()).await, worker_settings(), registry(None));
        let worker = tokio::spawn(worker.run(shutdown.clone()));
        for _ in 0..2 {
            // Cut while jobs run: some are claimed, some ended but not written down.
            let before = scene.traces("done").await.len();
            scene.put(Deed::Work, 500).await;
            scene.wait_for_traces("done", before + 50).await;
            wire.whole.send_replace(false);
            assert!(scene.open_jobs().await > 0, "cut in the midst");
            assert!(!worker.is_finished());
            wire.whole.send_replace(true);
            until("no open job", async || scene.open_jobs().await == 0).await;
            assert_eq!(scene.traces("done").await.len(), before + 500);
        }
        shutdown.cancel();
        worker.await.unwrap().unwrap();
        scene.end().await;
    }
}
