//! How fast the queue is. Run by hand: `cargo test --test it queue::throughput -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use postern_domain::{
    Deps,
    db::Backend,
    queue::{self, Ending, Enqueue},
    testing::TestDatabase,
};
use postern_worker::{LaneSettings, Registry, Worker};
use sea_orm::ConnectionTrait;
use tokio_util::sync::CancellationToken;

use super::support::{Deed, Probe, Scene, until, worker_settings};

const JOBS: usize = 10_000;

/// Rows of jobs that ended long ago.
async fn add_finished(deps: &Deps, count: usize) {
    let id = if deps.db.backend() == Backend::Sqlite { "randomblob(16)" } else { "gen_random_uuid()" };
    let sql = format!(
        "INSERT INTO job (id, lane, kind, payload, state, priority, due_at, created_at, finished_at, prune_at) \
         WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
         SELECT {id}, 'general', 'probe', '{{}}', 'done', 1, n, 0, n, 9000000000000 + n FROM numbers WHERE {count} > 0"
    );
    deps.db.write(async |tx| Ok(tx.execute_unprepared(&sql).await?)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn trivial_jobs_per_second() {
    for database in TestDatabase::each().await {
        let scene = Scene::on(database).await;
        let deps = &scene.deps;
        for (slots, finished) in [(16, 0), (64, 0), (64, 1_000_000)] {
            add_finished(deps, finished).await;
            let started = Instant::now();
            let job = Enqueue::new(&Probe { deed: Deed::Work }).unwrap();
            for _ in 0..JOBS / 100 {
                let jobs = vec![job.clone(); 100];
                deps.db.write(async |tx| queue::enqueue_all(deps, &tx, jobs.clone()).await).await.unwrap();
            }
            let enqueued = JOBS as f64 / started.elapsed().as_secs_f64();
            let mut settings = worker_settings();
            settings.general = LaneSettings { slots, timeout: Duration::from_secs(60) };
            let registry = Registry::new().job(async |_, _, _: Probe| Ok(Ending::done()));
            let shutdown = CancellationToken::new();
            let worker = Worker::with_registry(deps.clone(), settings, registry);
            let started = Instant::now();
            let worker = tokio::spawn(worker.run(shutdown.clone()));
            until("no open job", async || scene.open_jobs().await == 0).await;
            let done = JOBS as f64 / started.elapsed().as_secs_f64();
            shutdown.cancel();
            worker.await.unwrap().unwrap();
            println!(
                "{:?}, {slots} slots, {finished} finished rows more: {enqueued:.0} enqueued/s, {done:.0} done/s",
                deps.db.backend()
            );
        }
        scene.end().await;
    }
}
