//! How fast the queue is. Run by hand: `cargo test --test it queue::throughput -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use postern_domain::{
    queue::{self, Ending, Enqueue},
    testing::TestDatabase,
};
use postern_worker::{LaneSettings, Registry, Worker};
use tokio_util::sync::CancellationToken;

use super::support::{Deed, Probe, Scene, until, worker_settings};

const JOBS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
async fn trivial_jobs_per_second() {
    for database in TestDatabase::each().await {
        let scene = Scene::on(database).await;
        let deps = &scene.deps;
        for slots in [16, 64] {
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
            println!("{:?}, {slots} slots: {enqueued:.0} enqueued/s, {done:.0} done/s", deps.db.backend());
        }
        scene.end().await;
    }
}
