//! How jobs end, and what is left of them.

use super::*;

#[tokio::test]
async fn a_failed_job_waits_for_its_backoff_and_dies_at_the_last_attempt() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let id = put(deps, greet("a")).await.unwrap();
        for attempt in 1..=3 {
            let claimed = take(deps, 1).await.remove(0);
            let ending = Ending::retry("no luck").with_backoff(Greet::backoff(attempt));
            end_all(deps, &[(claimed.lease, ending)]).await.unwrap();
            let job = row(deps, id).await;
            if attempt < 3 {
                let wait = job.due_at.millis() - deps.now().millis();
                let backoff = 2_i64.pow(attempt.into()) * 1000;
                assert!((backoff * 8 / 10..=backoff * 12 / 10).contains(&wait), "{wait} after attempt {attempt}");
                assert_eq!((job.state, job.last_error.as_deref()), (JobState::Pending, Some("no luck")));
                assert_eq!(take(deps, 1).await, []);
                bench.clock.advance_seconds(10);
            } else {
                assert_eq!((job.state, job.prune_at), (JobState::Dead, None));
                assert_eq!(job.finished_at, Some(deps.now()));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_job_that_was_put_off_or_given_back_keeps_its_attempts() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        put(deps, greet("a")).await.unwrap();
        for _ in 0..5 {
            let lease = take(deps, 1).await.remove(0).lease;
            assert_eq!(lease.attempt, 1);
            end_all(deps, &[(lease, Ending::snooze(Duration::from_secs(1)))]).await.unwrap();
            bench.clock.advance_seconds(1);
            let lease = take(deps, 1).await.remove(0).lease;
            release(deps, &[lease], false).await.unwrap();
        }
        let lease = take(deps, 1).await.remove(0).lease;
        release(deps, std::slice::from_ref(&lease), true).await.unwrap();
        // What was begun counts, and a lease that was given back is no lease.
        assert_eq!(end_all(deps, &[(lease.clone(), Ending::done())]).await.unwrap(), [lease.job_id]);
        assert_eq!(take(deps, 1).await[0].lease.attempt, 2);
    })
    .await;
}

#[tokio::test]
async fn an_effect_and_the_end_of_its_job_commit_together() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let (good, bad) = (put(deps, greet("a")).await.unwrap(), put(deps, greet("b")).await.unwrap());
        let claimed = take(deps, 2).await;
        let before = effects(deps).await;
        let endings: Vec<_> = claimed
            .into_iter()
            .map(|claimed| {
                let fails = claimed.lease.job_id == bad;
                let ending = Ending::done().with(move |tx| {
                    Box::pin(async move {
                        write_effect(tx, &ProjectId::random()).await?;
                        if fails { Err(Error::internal("no")) } else { Ok(()) }
                    })
                });
                (claimed.lease, ending)
            })
            .collect();
        assert!(end_all(deps, &endings).await.is_err());
        assert_eq!((effects(deps).await, row(deps, good).await.state), (before, JobState::Running));
        for ending in &endings {
            let outcome = end_all(deps, std::slice::from_ref(ending)).await;
            assert_eq!(outcome.is_ok(), ending.0.job_id == good);
        }
        assert_eq!(effects(deps).await, before + 1);
        assert_eq!((row(deps, good).await.state, row(deps, bad).await.state), (JobState::Done, JobState::Running));
        // The same by hand, in the handler's own transaction.
        let lease = endings.into_iter().find(|(lease, _)| lease.job_id == bad).unwrap().0;
        let retried = async |tx| {
            write_effect(&tx, &ProjectId::random()).await?;
            retry_in(deps, &tx, &lease, Duration::from_secs(5), "later").await
        };
        deps.db.write(retried).await.unwrap();
        let job = row(deps, bad).await;
        assert_eq!((job.state, job.due_at), (JobState::Pending, deps.now().plus_seconds(5)));
        assert_eq!(effects(deps).await, before + 2);
    })
    .await;
}

#[tokio::test]
async fn finished_jobs_are_removed_when_their_time_is_up_and_dead_ones_stay() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let jobs: Vec<_> = (0..100).map(|_| greet("a")).collect();
        deps.db.write(async |tx| enqueue_all(deps, &tx, jobs.clone()).await).await.unwrap();
        put(deps, greet("b")).await;
        put(deps, greet("c").key("k")).await;
        assert_eq!(run_all(deps, Ending::done).await + run_all(deps, Ending::done).await, 102);
        put(deps, greet("d")).await;
        run_all(deps, || Ending::give_up("broken")).await;
        let left = async || job::Entity::find().all(deps.db.read()).await.unwrap().len();
        assert!(!prune_step(deps).await.unwrap());
        assert_eq!(left().await, 103);
        bench.clock.advance_seconds(60 * 60);
        assert!(prune_step(deps).await.unwrap(), "a step removes a hundred");
        assert_eq!(left().await, 3);
        assert!(!prune_step(deps).await.unwrap());
        assert_eq!(left().await, 2);
        bench.clock.advance_seconds(3 * 24 * 60 * 60);
        prune_step(deps).await.unwrap();
        assert_eq!(left().await, 1);
        assert_eq!(dead_jobs(deps, &Scope::Installation, None, 10).await.unwrap().len(), 1);
        assert!(put(deps, greet("c").key("k")).await.is_some(), "the key is free again");
    })
    .await;
}
