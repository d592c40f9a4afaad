//! Nothing that waits is overlooked, and many jobs cost few commits.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use postern_domain::{
    db::{Address, Db},
    queue::{self, Ending, JobState},
    signal::Signals,
    testing::{TestBench, TestDatabase, let_down},
    time::SystemClock,
};
use tokio::time::Instant;

use super::support::{Running, Tally, on_each, probe, probes, put, settings, until, wait_for_state};
use crate::{Follow, Registry};

fn counting(tally: &Tally) -> Registry {
    let tally = tally.clone();
    probes(move |_, _, name| {
        let tally = tally.clone();
        async move {
            tally.add(&name);
            Ok(Ending::done())
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_though_the_worker_polls_once_an_hour() {
    on_each(async |deps| {
        let tally = Tally::default();
        let worker = Running::start(&deps, settings(), counting(&tally));
        // One after the other: each job comes when the worker has just looked, is about to, or sleeps.
        for round in 1..=100 {
            put(&deps, probe("single")).await;
            tally.wait_for("single", round).await;
        }
        // Many at once.
        let writers = (0..4).map(|_| {
            let deps = deps.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    put(&deps, probe("many")).await;
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        tally.wait_for("many", 200).await;
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn suspects_follow_each_other_at_once_though_the_worker_polls_once_an_hour() {
    on_each(async |deps| {
        let (tally, at_once) = (Tally::default(), Arc::new(Mutex::new((0, 0))));
        for number in 0..40 {
            let id = put(&deps, probe(&number.to_string()).max_attempts(9)).await;
            let_down(&deps, id, 2 + number % 2).await;
        }
        let registry = probes({
            let (tally, at_once) = (tally.clone(), Arc::clone(&at_once));
            move |_, _, _| {
                let (tally, at_once) = (tally.clone(), Arc::clone(&at_once));
                let count = move |change: i32| {
                    let mut at_once = at_once.lock().unwrap();
                    *at_once = (at_once.0 + change, at_once.1.max(at_once.0 + change));
                };
                async move {
                    count(1);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    count(-1);
                    tally.add("done");
                    Ok(Ending::done())
                }
            }
        });
        let mut settings = settings();
        settings.general.slots = 16;
        let worker = Running::start(&deps, settings, registry);
        tally.wait_for("done", 40).await;
        worker.stop().await;
        assert!((2..=8).contains(&at_once.lock().unwrap().1), "{at_once:?} at once");
    })
    .await;
}

#[tokio::test]
async fn a_job_for_later_starts_when_it_is_due_without_a_poll() {
    on_each(async |deps| {
        let tally = Tally::default();
        let worker = Running::start(&deps, settings(), counting(&tally));
        let started = Instant::now();
        put(&deps, probe("later").after(Duration::from_secs(1))).await;
        tally.wait_for("later", 1).await;
        assert!(started.elapsed() >= Duration::from_secs(1));
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn jobs_of_a_process_that_sends_no_signals_are_found_by_the_poll() {
    for database in TestDatabase::each().await {
        let TestBench { mut deps, .. } = TestBench::on(&database).await;
        deps.clock = Arc::new(SystemClock);
        let tally = Tally::default();
        let mut settings = settings();
        settings.poll = Duration::from_millis(50);
        let worker = Running::start(&deps, settings, counting(&tally));
        let mut elsewhere = deps.clone();
        elsewhere.db = Db::connect(Address::direct(database.url(), 2), Signals::default()).await.unwrap();
        for round in 1..=3 {
            put(&elsewhere, probe("far")).await;
            tally.wait_for("far", round).await;
        }
        worker.stop().await;
    }
}

#[tokio::test]
async fn many_jobs_are_done_once_each() {
    on_each(async |deps| {
        const JOBS: usize = 500;
        let (runs, busy) = (Arc::new(Mutex::new(Vec::new())), Tally::default());
        let registry = probes({
            let (runs, busy) = (Arc::clone(&runs), busy.clone());
            move |_, lease: queue::Lease, _| {
                runs.lock().unwrap().push(lease.job_id);
                busy.add("run");
                async { Ok(Ending::done()) }
            }
        });
        let jobs: Vec<_> = (0..JOBS).map(|_| probe("one of many")).collect();
        for jobs in jobs.chunks(100) {
            deps.db.write(async |tx| queue::enqueue_all(&deps, &tx, jobs.to_vec()).await).await.unwrap();
        }
        let mut settings = settings();
        settings.general.slots = 20;
        let workers = [0, 1].map(|_| Running::start(&deps, settings.clone(), registry.clone()));
        until("an empty queue", async || queue::stats(&deps).await.unwrap().open == 0).await;
        for worker in workers {
            worker.stop().await;
        }
        let runs = runs.lock().unwrap().clone();
        assert_eq!(runs.len(), JOBS);
        assert_eq!(runs.iter().collect::<HashSet<_>>().len(), JOBS);
    })
    .await;
}

#[tokio::test]
async fn many_jobs_cost_few_commits() {
    on_each(async |mut deps| {
        const JOBS: usize = 400;
        const SLOTS: usize = 40;
        let runs = Tally::default();
        for _ in 0..JOBS / 100 {
            let jobs = vec![probe("job"); 100];
            deps.db.write(async |tx| queue::enqueue_all(&deps, &tx, jobs.clone()).await).await.unwrap();
        }
        let watch = deps.db.watch();
        let mut settings = settings();
        settings.general.slots = SLOTS;
        let worker = Running::start(&deps, settings, counting(&runs));
        until("an empty queue", async || queue::stats(&deps).await.unwrap().open == 0).await;
        worker.stop().await;
        assert_eq!(runs.of("job"), JOBS);
        // One by one, claims and endings would cost two commits a job.
        let (least, commits) = (JOBS / SLOTS + JOBS / queue::MAX_BATCH, watch.commits());
        assert!((least..=JOBS / 2).contains(&commits), "{commits} commits");
    })
    .await;
}

#[tokio::test]
async fn a_schedule_is_one_job_per_stretch_whatever_the_number_of_workers() {
    on_each(async |deps| {
        let tally = Tally::default();
        let day = Duration::from_secs(24 * 60 * 60);
        let probe = super::support::Probe { name: "daily".to_owned() };
        let registry = counting(&tally).schedule(day, &probe).unwrap();
        let workers = [0, 1, 2].map(|_| Running::start(&deps, settings(), registry.clone()));
        tally.wait_for("daily", 1).await;
        for worker in workers {
            worker.stop().await;
        }
        // A worker that starts later, within the same stretch (or, at midnight, the next).
        let worker = Running::start(&deps, settings(), registry);
        let last = put(&deps, super::support::probe("last")).await;
        wait_for_state(&deps, last, JobState::Done).await;
        worker.stop().await;
        assert!(tally.of("daily") <= 2);
    })
    .await;
}

#[tokio::test]
async fn a_loop_goes_on_after_errors_and_panics_and_takes_a_last_step() {
    on_each(async |deps| {
        let tally = Tally::default();
        let steps = tally.clone();
        let follow = Follow::new("test", move |_| {
            let steps = steps.clone();
            async move {
                steps.add("step");
                match steps.of("step") {
                    1 => Err(postern_domain::Error::internal("no luck")),
                    2 => panic!("out of cheese"),
                    step => Ok(step < 10),
                }
            }
        });
        let follow = follow.every(Duration::from_secs(3600)).at_end();
        let worker = Running::start(&deps, settings(), Registry::new().follow(follow));
        tally.wait_for("step", 10).await;
        worker.stop().await;
        assert_eq!(tally.of("step"), 11);
    })
    .await;
}
