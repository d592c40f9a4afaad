//! Jobs that go wrong, and what becomes of them and of the others.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use postern_domain::{
    Error,
    db::Backend,
    queue::{self, Ending, Enqueue, Job, JobState, Lane, MAX_BATCH, Scope, Suspects},
    testing::on_each_database,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::support::{CountDrop, Running, Tally, lease_end, on_each, probe, probes, put, settings, wait_for_state};
use crate::{Registry, held::Held};

async fn last_error(deps: &postern_domain::Deps, id: postern_domain::JobId) -> String {
    queue::find(deps, &Scope::Installation, id).await.unwrap().unwrap().last_error.unwrap()
}

#[tokio::test]
async fn jobs_that_panic_or_fail_or_hang_are_tried_again_and_die_while_others_are_done() {
    on_each(async |deps| {
        let tally = Tally::default();
        let mut settings = settings();
        settings.general.timeout = Duration::from_millis(300);
        let registry = probes({
            let tally = tally.clone();
            move |_, _, name| {
                let tally = tally.clone();
                async move {
                    tally.add(&name);
                    match name.as_str() {
                        "panics" => panic!("out of cheese"),
                        "fails" => Err(Error::internal("no luck")),
                        "hangs" => {
                            let _cut_off = CountDrop(tally, "cut off");
                            std::future::pending().await
                        }
                        "gives up" => Ok(Ending::give_up("pointless")),
                        _ => Ok(Ending::done()),
                    }
                }
            }
        });
        let worker = Running::start(&deps, settings, registry);
        let dying = ["panics", "fails", "hangs", "gives up"];
        let mut ids = Vec::new();
        for name in dying {
            ids.push(put(&deps, probe(name)).await);
        }
        for _ in 0..20 {
            put(&deps, probe("works")).await;
        }
        tally.wait_for("works", 20).await;
        for (name, id) in dying.into_iter().zip(ids) {
            wait_for_state(&deps, id, JobState::Dead).await;
            let (runs, reason) = match name {
                "panics" => (2, "out of cheese"),
                "fails" => (2, "no luck"),
                "hangs" => (2, "longer than it may"),
                _ => (1, "pointless"),
            };
            assert_eq!(tally.of(name), runs, "{name}");
            assert!(last_error(&deps, id).await.contains(reason), "{name}: {}", last_error(&deps, id).await);
        }
        assert_eq!(tally.of("cut off"), 2);
        worker.stop().await;
    })
    .await;
}

#[derive(Serialize, Deserialize)]
struct Unheard;

impl Job for Unheard {
    const KIND: &'static str = "unheard_of";
}

#[tokio::test]
async fn jobs_without_a_handler_or_with_an_unreadable_payload_wait() {
    on_each(async |deps| {
        let worker = Running::start(&deps, settings(), probes(async |_, _, _| Ok(Ending::done())));
        let unheard = put(&deps, Enqueue::new(&Unheard).unwrap()).await;
        super::support::until("a reason", async || {
            let job = queue::find(&deps, &Scope::Installation, unheard).await.unwrap().unwrap();
            job.state == JobState::Pending && job.last_error.is_some_and(|reason| reason.contains("no handler"))
        })
        .await;
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_fails_its_own_job_only() {
    on_each(async |deps| {
        let registry = probes(async |_, _, name| {
            Ok(Ending::done().with(move |_| {
                let fails = name == "bad";
                Box::pin(async move { if fails { Err(Error::internal("no room")) } else { Ok(()) } })
            }))
        });
        let worker = Running::start(&deps, settings(), registry);
        let bad = put(&deps, probe("bad").max_attempts(1)).await;
        let good = put(&deps, probe("good")).await;
        wait_for_state(&deps, good, JobState::Done).await;
        wait_for_state(&deps, bad, JobState::Dead).await;
        assert!(last_error(&deps, bad).await.contains("no room"));
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_longer_than_its_lease_runs_once_though_another_worker_waits_for_it() {
    const LEASE_MILLIS: i64 = 1000;
    on_each(async |deps| {
        let tally = Tally::default();
        let registry = probes({
            let tally = tally.clone();
            move |deps, lease: queue::Lease, name| {
                let tally = tally.clone();
                async move {
                    tally.add(&name);
                    let first_end = lease_end(&deps, lease.job_id).await;
                    // It ends once the lease was renewed after its first end.
                    while lease_end(&deps, lease.job_id).await.millis() - first_end.millis() <= LEASE_MILLIS {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    Ok(Ending::done())
                }
            }
        });
        let mut settings = settings();
        settings.general.lease = Duration::from_millis(LEASE_MILLIS.unsigned_abs());
        settings.poll = Duration::from_millis(20);
        let workers = [0, 1].map(|_| Running::start(&deps, settings.clone(), registry.clone()));
        let id = put(&deps, probe("long")).await;
        wait_for_state(&deps, id, JobState::Done).await;
        assert_eq!(tally.of("long"), 1);
        for worker in workers {
            worker.stop().await;
        }
    })
    .await;
}

/// Only where several write side by side: on SQLite all wait for the one that does.
#[tokio::test]
async fn leases_are_renewed_while_the_end_of_another_job_waits() {
    const LEASE: Duration = Duration::from_secs(1);
    on_each(async |deps| {
        if deps.db.backend() != Backend::Postgres {
            return;
        }
        let (tally, long) = (Tally::default(), Arc::new(OnceLock::new()));
        let registry = probes({
            let (tally, long) = (tally.clone(), Arc::clone(&long));
            move |deps, _, name| {
                let (tally, long) = (tally.clone(), Arc::clone(&long));
                async move {
                    tally.add(&name);
                    if name == "long" {
                        while tally.of("ended") == 0 {
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                        return Ok(Ending::done());
                    }
                    let (id, first_end) = *long.get().unwrap();
                    Ok(Ending::done().with(move |_| {
                        let (deps, tally) = (deps.clone(), tally.clone());
                        Box::pin(async move {
                            while lease_end(&deps, id).await <= first_end {
                                tokio::time::sleep(Duration::from_millis(10)).await;
                            }
                            tally.add("ended");
                            Ok(())
                        })
                    }))
                }
            }
        });
        let mut settings = settings();
        settings.general.lease = LEASE;
        let worker = Running::start(&deps, settings, registry);
        let id = put(&deps, probe("long")).await;
        tally.wait_for("long", 1).await;
        // A later end than by the claim, and by one renewal that may have begun before.
        let end = lease_end(&deps, id).await;
        long.set((id, end.plus_millis(LEASE.as_millis() as i64))).unwrap();
        let short = put(&deps, probe("short")).await;
        wait_for_state(&deps, short, JobState::Done).await;
        wait_for_state(&deps, id, JobState::Done).await;
        assert_eq!((tally.of("long"), tally.of("short")), (1, 1));
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_whose_lease_is_lost_is_stopped_and_its_end_does_not_count() {
    on_each(async |deps| {
        let tally = Tally::default();
        let registry = probes({
            let tally = tally.clone();
            move |_, _, name| {
                let tally = tally.clone();
                async move {
                    let _stopped = CountDrop(tally.clone(), "stopped");
                    tally.add(&name);
                    std::future::pending().await
                }
            }
        });
        let mut settings = settings();
        settings.general.lease = Duration::from_secs(1);
        let worker = Running::start(&deps, settings, registry);
        let id = put(&deps, probe("slow")).await;
        tally.wait_for("slow", 1).await;
        // Somebody ends the job behind the worker's back.
        deps.db.write(async |tx| queue::cancel_in(&deps, &tx, id).await).await.unwrap();
        tally.wait_for("stopped", 1).await;
        worker.stop().await;
        assert_eq!((tally.of("slow"), super::support::state(&deps, id).await), (1, JobState::Dead));
    })
    .await;
}

#[tokio::test]
async fn lanes_do_not_wait_for_each_other() {
    #[derive(Serialize, Deserialize)]
    struct Post;
    impl Job for Post {
        const KIND: &'static str = "post";
        const LANE: Lane = Lane::Webhooks;
    }
    on_each(async |deps| {
        let tally = Tally::default();
        let registry = Registry::new().job(async |_, _, _: Post| std::future::pending().await).job({
            let tally = tally.clone();
            move |_, _, job: super::support::Probe| {
                let tally = tally.clone();
                async move {
                    tally.add(&job.name);
                    Ok(Ending::done())
                }
            }
        });
        let mut settings = settings();
        settings.drain = Duration::from_millis(1);
        let worker = Running::start(&deps, settings, registry);
        for _ in 0..20 {
            put(&deps, Enqueue::new(&Post).unwrap()).await;
        }
        for _ in 0..20 {
            put(&deps, probe("works")).await;
        }
        tally.wait_for("works", 20).await;
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_run_that_its_own_process_takes_over_is_stopped_and_the_new_one_is_not() {
    on_each_database(|bench| async move {
        let (deps, held) = (&bench.deps, Held::default());
        let (slots, lease) = (Arc::new(Semaphore::new(2)), Duration::from_secs(30));
        put(deps, probe("slow")).await;
        let mut runs = Vec::new();
        for _ in 0..2 {
            let claim = queue::claim(deps, Lane::General, "test", MAX_BATCH, lease, Suspects::Any);
            let claimed = claim.await.unwrap().remove(0).lease;
            held.claimed(claimed.clone(), lease, Arc::clone(&slots).try_acquire_owned().unwrap());
            let running = held.start(&claimed).unwrap();
            runs.push((claimed, running.lost));
            bench.clock.advance_seconds(31);
        }
        let [(before, stopped), (now, goes_on)] = runs.try_into().unwrap();
        assert!(stopped.is_cancelled());
        // What was asked for the former lease is answered when the job is held anew.
        held.lose(&[before.id()]);
        held.forget([&before]);
        assert!(!goes_on.is_cancelled());
        held.lose(&[now.id()]);
        assert!(goes_on.is_cancelled());
    })
    .await;
}

#[tokio::test]
async fn what_a_process_holds_beyond_its_time_is_not_begun_and_nothing_is_claimed_beside_it() {
    on_each_database(|bench| async move {
        let (deps, held, none) = (&bench.deps, Held::default(), Duration::ZERO);
        let slots = Arc::new(Semaphore::new(1));
        put(deps, probe("slow")).await;
        assert!(!held.is_late());
        let claim = queue::claim(deps, Lane::General, "test", MAX_BATCH, none, Suspects::Any);
        let claimed = claim.await.unwrap().remove(0).lease;
        held.claimed(claimed.clone(), none, Arc::clone(&slots).try_acquire_owned().unwrap());
        assert!(held.is_late());
        assert!(held.start(&claimed).is_none());
        assert_eq!((held.is_late(), slots.available_permits()), (false, 1));
    })
    .await;
}
