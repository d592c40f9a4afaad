//! A database that goes away and comes back: the worker waits for it.

use postern_domain::{db::Backend, testing::TestDatabase};
use postern_worker::Worker;
use tokio_util::sync::CancellationToken;

use super::{
    child::registry,
    support::{Deed, Scene, deps_at, until, worker_settings},
};
use crate::support::wire::Wire;

#[tokio::test]
async fn a_lost_database_is_waited_for() {
    for database in TestDatabase::each().await {
        let url = database.url().to_owned();
        let scene = Scene::on(database).await;
        if scene.deps.db.backend() == Backend::Sqlite {
            // A file does not go away.
            scene.end().await;
            continue;
        }
        let (wire, url) = Wire::to(&url).await;
        let shutdown = CancellationToken::new();
        let worker = Worker::with_registry(deps_at(&url).await, worker_settings(), registry(None));
        let worker = tokio::spawn(worker.run(shutdown.clone()));
        for _ in 0..2 {
            // Cut while jobs run: some are claimed, some ended but not written down.
            let before = scene.traces("done").await.len();
            scene.put(Deed::Work, 500).await;
            scene.wait_for_traces("done", before + 50).await;
            wire.cut();
            assert!(scene.open_jobs().await > 0, "cut in the midst");
            assert!(!worker.is_finished());
            wire.mend();
            until("no open job", async || scene.open_jobs().await == 0).await;
            assert_eq!(scene.traces("done").await.len(), before + 500);
        }
        shutdown.cancel();
        worker.await.unwrap().unwrap();
        scene.end().await;
    }
}
