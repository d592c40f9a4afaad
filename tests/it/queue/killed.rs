//! kill -9, and jobs that do it themselves.

use std::collections::HashSet;

use postern_domain::{
    queue::{self, JobState, Scope},
    testing::TestDatabase,
};

use super::support::{Deed, Scene, until};

const JOBS: usize = 2000;

#[tokio::test]
async fn workers_killed_in_the_midst_of_two_thousand_jobs_lose_none() {
    for database in TestDatabase::each().await {
        let scene = Scene::on(database).await;
        scene.put(Deed::Work, JOBS).await;
        let (first, second) = (scene.start_child(), scene.start_child());
        scene.wait_for_traces("done", JOBS / 10).await;
        first.signal("KILL");
        scene.wait_for_traces("done", JOBS / 4).await;
        second.signal("KILL");
        let _third = scene.start_child();
        until("no open job", async || scene.open_jobs().await == 0).await;
        let done = scene.traces("done").await;
        assert_eq!(done.len(), JOBS, "no effect is lost, none is doubled");
        assert_eq!(done.iter().collect::<HashSet<_>>().len(), JOBS);
        assert_eq!(queue::stats(&scene.deps).await.unwrap().dead, 0);
        scene.end().await;
    }
}

#[tokio::test]
async fn a_job_that_kills_its_process_is_dead_after_its_attempts_and_the_others_are_done() {
    for database in TestDatabase::each().await {
        let scene = Scene::on(database).await;
        let killer = scene.put(Deed::Kill, 1).await.remove(0);
        scene.put(Deed::Work, 50).await;
        let mut crashes = 0;
        let dead = async || {
            let job = queue::find(&scene.deps, &Scope::Installation, killer).await.unwrap().unwrap();
            job.state == JobState::Dead
        };
        while !dead().await {
            let mut child = scene.start_child();
            tokio::select! {
                status = child.wait() => {
                    assert!(!status.success());
                    crashes += 1;
                }
                // The claim that would be one too many buries the job instead.
                () = until("dead", &dead) => {}
            }
            assert!(crashes <= 5, "it runs for ever");
        }
        assert_eq!(crashes, 5);
        let _child = scene.start_child();
        until("no open job", async || scene.open_jobs().await == 0).await;
        assert_eq!(scene.traces("done").await.len(), 50);
        assert_eq!(queue::stats(&scene.deps).await.unwrap().dead, 1);
        scene.end().await;
    }
}
