//! What happens to jobs when the worker is told to stop.

use std::time::Duration;

use postern_domain::queue::{self, Ending, JobState, Scope};
use tokio::sync::watch;

use super::support::{CountDrop, Running, Tally, on_each, probe, probes, put, settings};

#[tokio::test]
async fn running_jobs_finish_and_the_others_stay_untouched() {
    on_each(async |deps| {
        let tally = Tally::default();
        let (open, gate) = watch::channel(false);
        let registry = probes({
            let tally = tally.clone();
            move |_, _, name| {
                let (tally, mut gate) = (tally.clone(), gate.clone());
                async move {
                    tally.add(&name);
                    gate.wait_for(|open| *open).await.unwrap();
                    Ok(Ending::done())
                }
            }
        });
        let worker = Running::start(&deps, settings(), registry);
        let mut ids = Vec::new();
        for _ in 0..10 {
            ids.push(put(&deps, probe("gated")).await);
        }
        tally.wait_for("gated", 4).await;
        let stopping = tokio::spawn(worker.stop());
        // Only what runs is waited for: nothing else starts when it ends.
        tokio::task::yield_now().await;
        open.send(true).unwrap();
        stopping.await.unwrap();
        let mut done = 0;
        for id in ids {
            let job = queue::find(&deps, &Scope::Installation, id).await.unwrap().unwrap();
            match job.state {
                JobState::Done => done += 1,
                state => assert_eq!((state, job.attempts), (JobState::Pending, 0)),
            }
        }
        assert_eq!((done, tally.total()), (tally.of("gated"), done));
        assert!((4..=8).contains(&done), "{done}");
    })
    .await;
}

#[tokio::test]
async fn a_job_that_does_not_finish_in_time_is_cut_off_and_given_back() {
    on_each(async |deps| {
        let tally = Tally::default();
        let registry = probes({
            let tally = tally.clone();
            move |_, _, name| {
                let tally = tally.clone();
                async move {
                    let _cut_off = CountDrop(tally.clone(), "cut off");
                    tally.add(&name);
                    std::future::pending().await
                }
            }
        });
        let mut settings = settings();
        settings.drain = Duration::from_millis(200);
        let worker = Running::start(&deps, settings, registry);
        let id = put(&deps, probe("endless")).await;
        tally.wait_for("endless", 1).await;
        worker.stop().await;
        tally.wait_for("cut off", 1).await;
        let job = queue::find(&deps, &Scope::Installation, id).await.unwrap().unwrap();
        assert_eq!((job.state, job.attempts), (JobState::Pending, 1));
        // It is due at once: no other worker waits for the lease to end.
        assert_eq!(
            queue::next_due(&deps, queue::Lane::General, queue::Suspects::Any).await.unwrap(),
            Some(Duration::ZERO)
        );
    })
    .await;
}
