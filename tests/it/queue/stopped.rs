//! SIGSTOP: a process that sleeps through its lease. SIGTERM: one that is told to end.

use postern_domain::{
    queue::{self, JobState, Scope},
    testing::TestDatabase,
};
use postern_worker::Worker;
use tokio_util::sync::CancellationToken;

use super::{
    child::registry,
    support::{Deed, LEASE, Scene, until, worker_settings},
};

#[tokio::test]
async fn a_process_that_slept_through_its_lease_can_no_longer_end_the_job() {
    for database in TestDatabase::each().await {
        let scene = Scene::on(database).await;
        let id = scene.put(Deed::Stubborn, 1).await.remove(0);
        let mut child = scene.start_child();
        scene.wait_for_traces("begun", 1).await;
        child.signal("STOP");
        // Another worker, here in this process, takes the job over when the lease is over.
        let shutdown = CancellationToken::new();
        let worker = Worker::with_registry(scene.deps.clone(), worker_settings(), registry(None));
        let worker = tokio::spawn(worker.run(shutdown.clone()));
        scene.wait_for_traces("done", 1).await;
        scene.open_gate();
        child.signal("CONT");
        until("an answer", async || {
            !scene.traces("refused").await.is_empty() || !scene.traces("not refused").await.is_empty()
        })
        .await;
        assert_eq!(scene.traces("refused").await, [id.to_string()]);
        assert_eq!(scene.traces("done").await, [id.to_string()], "the late effect was rolled back");
        let job = queue::find(&scene.deps, &Scope::Installation, id).await.unwrap().unwrap();
        assert_eq!((job.state, job.attempts, job.fence), (JobState::Done, 2, 2));
        child.signal("TERM");
        assert!(child.wait().await.success());
        shutdown.cancel();
        worker.await.unwrap().unwrap();
        scene.end().await;
    }
}

#[tokio::test]
async fn a_process_that_is_told_to_end_finishes_what_runs_and_leaves_the_rest() {
    for database in TestDatabase::each().await {
        let scene = Scene::on(database).await;
        let ids = scene.put(Deed::Gated, 20).await;
        let mut child = scene.start_child();
        let slots = worker_settings().general.slots;
        scene.wait_for_traces("begun", slots).await;
        let first_end = scene.lease_ends().await.into_iter().max().unwrap();
        child.signal("TERM");
        // It holds on to what runs: every lease is renewed after all of them would have run out.
        until("renewed leases", async || {
            let ends = scene.lease_ends().await;
            ends.len() == slots && ends.iter().all(|end| end - first_end > LEASE.as_millis() as i64)
        })
        .await;
        scene.open_gate();
        assert!(child.wait().await.success());
        assert_eq!(scene.traces("done").await.len(), slots);
        assert_eq!(scene.traces("begun").await.len(), slots);
        let mut waiting = 0;
        for id in ids {
            let job = queue::find(&scene.deps, &Scope::Installation, id).await.unwrap().unwrap();
            if job.state != JobState::Done {
                assert_eq!((job.state, job.attempts), (JobState::Pending, 0));
                waiting += 1;
            }
        }
        assert_eq!(waiting, 20 - slots);
        scene.end().await;
    }
}
