//! Leases: kept, run out, taken over.

use super::*;

/// Tries again until a job is due. Answers between which instants it was claimed.
async fn take_when_due(deps: &Deps, lease: Duration) -> (Instant, Lease, Instant) {
    loop {
        let began = Instant::now();
        if let Some(claimed) = claim(deps, Lane::General, "test", 1, lease, Suspects::Any).await.unwrap().pop() {
            return (began, claimed.lease, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_job_whose_lease_ran_out_is_taken_over_and_the_late_worker_changes_nothing() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        put(deps, greet("a")).await;
        let late = take(deps, 1).await.remove(0).lease;
        assert_eq!(take(deps, 1).await, [], "the lease is valid");
        bench.clock.advance_seconds(31);
        let taken_over = take(deps, 1).await.remove(0).lease;
        assert_eq!((late.attempt, taken_over.attempt), (1, 2));
        let before = effects(deps).await;
        // Ack, effect with the ack, guarded effect and renewal are all refused.
        let id = ProjectId::random();
        let with_effect = {
            let id = id.clone();
            Ending::done().with(move |tx| {
                let id = id.clone();
                Box::pin(async move { write_effect(tx, &id).await })
            })
        };
        assert_eq!(end_all(deps, &[(late.clone(), with_effect)]).await.unwrap(), [late.job_id]);
        let guarded = deps
            .db
            .write(async |tx| {
                late.guard(&tx).await?;
                write_effect(&tx, &id).await
            })
            .await;
        assert!(LeaseLost::is(&guarded.unwrap_err()));
        let finished = deps
            .db
            .write(async |tx| {
                write_effect(&tx, &id).await?;
                finish_in(deps, &tx, &late).await
            })
            .await;
        assert!(LeaseLost::is(&finished.unwrap_err()));
        assert_eq!(renew(deps, std::slice::from_ref(&late), LEASE).await.unwrap().lost, [late.id()]);
        assert_eq!(effects(deps).await, before);
        // The worker that took over is not disturbed.
        assert_eq!(end_all(deps, &[(taken_over.clone(), Ending::done())]).await.unwrap(), []);
        assert_eq!(row(deps, taken_over.job_id).await.state, JobState::Done);
        // And a second ack of the same lease finds nothing to end.
        assert_eq!(end_all(deps, &[(taken_over.clone(), Ending::done())]).await.unwrap(), [taken_over.job_id]);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_takes_over_from_itself_has_one_lease_only() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        put(deps, greet("a")).await;
        let before = take(deps, 1).await.remove(0).lease;
        bench.clock.advance_seconds(31);
        let now = take(deps, 1).await.remove(0).lease;
        // Told apart though they stand in one statement, whichever comes first.
        for leases in [[before.clone(), now.clone()], [now.clone(), before.clone()]] {
            let renewal = renew(deps, &leases, LEASE).await.unwrap();
            assert_eq!((renewal.renewed, renewal.lost), (vec![now.id()], vec![before.id()]));
            let leases = leases.iter().map(|lease| (lease.id(), lease)).collect();
            let held = deps.db.write(async |tx| hold_all(&tx, &leases).await).await.unwrap();
            assert_eq!(Vec::from_iter(held), [now.id()]);
        }
        let late = Ending::done().with(|tx| Box::pin(async move { write_effect(tx, &ProjectId::random()).await }));
        let endings = [(before.clone(), late), (now.clone(), Ending::retry("again"))];
        let effects_before = effects(deps).await;
        assert_eq!(end_all(deps, &endings).await.unwrap(), [before.job_id]);
        assert_eq!(effects(deps).await, effects_before);
        assert_eq!(row(deps, now.job_id).await.state, JobState::Pending);
    })
    .await;
}

#[tokio::test]
async fn a_renewed_lease_is_not_taken_over() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        put(deps, greet("a")).await;
        let lease = take(deps, 1).await.remove(0).lease;
        for _ in 0..5 {
            bench.clock.advance_seconds(20);
            assert_eq!(renew(deps, std::slice::from_ref(&lease), LEASE).await.unwrap().lost, []);
            assert_eq!(take(deps, 1).await, []);
        }
        assert_eq!(row(deps, lease.job_id).await.attempts, 1);
    })
    .await;
}

#[tokio::test]
async fn a_job_that_never_ends_is_dead_after_its_attempts_and_can_be_redriven() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let project_id = bench.insert_project().await;
        let id = put(deps, greet("a").project(project_id.clone())).await.unwrap();
        for attempt in 1..=3 {
            assert_eq!(take(deps, 1).await[0].lease.attempt, attempt);
            bench.clock.advance_seconds(31);
        }
        assert_eq!(take(deps, 1).await, [], "the fourth claim buries it");
        let scope = Scope::Project(project_id);
        let dead = dead_jobs(deps, &scope, None, 10).await.unwrap();
        assert_eq!((dead.len(), dead[0].id, dead[0].attempts), (1, id, 3));
        assert!(dead[0].last_error.as_ref().unwrap().contains("never ended"));
        assert_eq!(dead_jobs(deps, &Scope::Project(ProjectId::random()), None, 10).await.unwrap(), []);
        assert_eq!(dead_jobs(deps, &Scope::Installation, Some(&dead[0]), 10).await.unwrap(), []);
        assert_eq!(stats(deps).await.unwrap(), Stats { open: 0, dead: 1, lag_millis: 0 });
        assert!(!redrive(deps, &Scope::Project(ProjectId::random()), id).await.unwrap());
        assert!(redrive(deps, &scope, id).await.unwrap());
        assert!(!redrive(deps, &scope, id).await.unwrap(), "it is not dead any more");
        assert_eq!(take(deps, 1).await[0].lease.attempt, 1);
    })
    .await;
}

#[tokio::test]
async fn jobs_whose_attempts_never_end_are_handed_out_few_at_a_time_and_then_one_by_one() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        for number in 0..10 {
            put(deps, greet(&number.to_string()).max_attempts(9)).await;
        }
        let claim =
            async |suspects| super::super::claim(deps, Lane::General, "test", 20, LEASE, suspects).await.unwrap();
        let count = |claimed: &[Claimed]| {
            let suspects = claimed.iter().filter(|claimed| claimed.lease.is_suspect()).count();
            (claimed.len() - suspects, suspects)
        };
        let beside = |held: &[Claimed]| Suspects::beside(held.iter().map(|claimed| &claimed.lease));
        for _ in 0..2 {
            let claimed = claim(Suspects::Any).await;
            assert_eq!((count(&claimed), beside(&claimed)), ((10, 0), Suspects::Any));
            bench.clock.advance_seconds(31);
        }
        put(deps, greet("new")).await;
        let mut held = claim(Suspects::Any).await;
        assert_eq!((count(&held), beside(&held)), ((1, 8), Suspects::First(0)));
        // The other two are due and must wait.
        assert_eq!(next_due(deps, Lane::General, Suspects::Any).await.unwrap(), Some(Duration::ZERO));
        assert_eq!(next_due(deps, Lane::General, Suspects::First(0)).await.unwrap(), Some(LEASE));
        assert_eq!(claim(Suspects::First(0)).await, []);
        // An attempt that ends, well or badly, clears the job of suspicion and makes room.
        let ended = held.remove(held.iter().position(|claimed| claimed.lease.is_suspect()).unwrap());
        end_all(deps, &[(ended.lease.clone(), Ending::retry_after(Duration::ZERO, "no luck"))]).await.unwrap();
        let (room, cleared) = (beside(&held), claim(Suspects::First(1)).await);
        assert_eq!((room, count(&cleared)), (Suspects::First(1), (1, 1)));
        assert!(cleared.iter().any(|claimed| claimed.lease.job_id == ended.lease.job_id));
        // Of the ten one is left that is a suspect for the first time; the others are let down once more.
        bench.clock.advance_seconds(31);
        let first = claim(Suspects::Any).await;
        assert_eq!((count(&first), beside(&first)), ((2, 1), Suspects::First(7)));
        // Beside it none is claimed that is a suspect again.
        assert_eq!(claim(Suspects::First(7)).await, []);
        assert_eq!(next_due(deps, Lane::General, Suspects::First(7)).await.unwrap(), Some(LEASE));
        assert_eq!(next_due(deps, Lane::General, Suspects::Any).await.unwrap(), Some(Duration::ZERO));
        let alone = claim(Suspects::Any).await;
        assert_eq!((count(&alone), beside(&alone)), ((0, 1), Suspects::First(0)));
    })
    .await;
}

#[tokio::test]
async fn with_a_running_clock_due_times_and_leases_pass_by_themselves() {
    on_each_database(async |TestBench { mut deps, .. }| {
        deps.clock = std::sync::Arc::new(SystemClock);
        let second = Duration::from_secs(1);
        let put_at = Instant::now();
        put(&deps, greet("a").after(second)).await;
        let wait = next_due(&deps, Lane::General, Suspects::Any).await.unwrap().unwrap();
        assert!(wait <= second, "{wait:?}");
        // Instants are stored in whole milliseconds.
        let least = second - Duration::from_millis(1);
        let (claimed_at, first, was_due) = take_when_due(&deps, second).await;
        assert!(was_due - put_at >= least);
        let (_, next, was_over) = take_when_due(&deps, second).await;
        assert!(was_over - claimed_at >= least);
        assert_eq!((first.attempt, next.attempt), (1, 2));
    })
    .await;
}
