//! The queue's promises, on each database.

use std::{collections::HashSet, time::Duration};

use postern_entity::{JobId, ProjectId, job};
use sea_orm::{ConnectionTrait, EntityTrait};
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    Deps, Error,
    db::{Backend, statement},
    testing::{TestBench, on_each_database},
    time::SystemClock,
};

const LEASE: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const KIND: &'static str = "greet";
    const MAX_ATTEMPTS: u16 = 3;
}

fn greet(name: &str) -> Enqueue {
    Enqueue::new(&Greet { name: name.to_owned() }).unwrap()
}

async fn put(deps: &Deps, job: Enqueue) -> Option<JobId> {
    deps.db.write(async |tx| enqueue(deps, &tx, job.clone()).await).await.unwrap()
}

async fn take(deps: &Deps, limit: usize) -> Vec<Claimed> {
    claim(deps, Lane::General, "test", limit, LEASE).await.unwrap()
}

async fn row(deps: &Deps, id: JobId) -> job::Model {
    job::Entity::find_by_id(id).one(deps.db.read()).await.unwrap().unwrap()
}

async fn run_all(deps: &Deps, ending: fn() -> Ending) -> usize {
    let claimed = take(deps, MAX_BATCH).await;
    let endings: Vec<_> = claimed.into_iter().map(|claimed| (claimed.lease, ending())).collect();
    assert_eq!(end_all(deps, &endings).await.unwrap(), []);
    endings.len()
}

/// Writes a project row, as an effect whose presence can be told afterwards.
async fn write_effect(tx: &crate::db::Tx, id: &ProjectId) -> crate::Result<()> {
    let sql = "INSERT INTO project (id, display_name, description, is_production_mode, onboarding_status, created_at, \
               updated_at) VALUES ($1, '', '', false, 'completed', 0, 0)";
    tx.execute_raw(statement(&**tx, sql, [id.0.clone().into()])).await?;
    Ok(())
}

async fn effects(deps: &Deps) -> usize {
    postern_entity::project::Entity::find().all(deps.db.read()).await.unwrap().len()
}

#[tokio::test]
async fn a_job_exists_if_and_only_if_its_cause_commits() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let outcome: crate::Result<()> = deps
            .db
            .write(async |tx| {
                enqueue(deps, &tx, greet("a")).await?;
                Err(Error::internal("the cause fails"))
            })
            .await;
        assert!(outcome.is_err());
        assert_eq!(take(deps, 10).await, []);
        let id = put(deps, greet("b")).await.unwrap();
        let claimed = take(deps, 10).await;
        assert_eq!(claimed.len(), 1);
        assert_eq!((claimed[0].lease.job_id, claimed[0].kind.as_str()), (id, "greet"));
        assert_eq!(claimed[0].payload, serde_json::json!({"name": "b"}));
    })
    .await;
}

#[tokio::test]
async fn a_key_makes_one_job_even_after_that_one_is_done() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        assert!(put(deps, greet("a").key("k")).await.is_some());
        assert_eq!(put(deps, greet("b").key("k")).await, None);
        assert_eq!(run_all(deps, Ending::done).await, 1);
        assert_eq!(put(deps, greet("c").key("k")).await, None);
        // The transaction that met the duplicate goes on.
        let jobs = [greet("d").key("k"), greet("e").key("l"), greet("f")];
        let made = deps.db.write(async |tx| enqueue_all(deps, &tx, jobs.clone()).await).await.unwrap();
        assert_eq!(made.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn of_many_workers_exactly_one_gets_a_job() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        for _ in 0..5 {
            put(deps, greet("a")).await;
        }
        let claims = (0..8).map(|_| {
            let deps = deps.clone();
            tokio::spawn(async move { take(&deps, 3).await })
        });
        let mut got = Vec::new();
        for claim in claims.collect::<Vec<_>>() {
            let claimed = claim.await.unwrap();
            assert!(claimed.len() <= 3);
            got.extend(claimed.into_iter().map(|claimed| claimed.lease.job_id));
        }
        assert_eq!(got.len(), 5, "every job is claimed");
        assert_eq!(got.iter().collect::<HashSet<_>>().len(), 5, "and none twice");
    })
    .await;
}

#[tokio::test]
async fn higher_priority_goes_first_and_then_what_is_due_longest() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let at = |seconds| deps.now().plus_seconds(seconds);
        put(deps, greet("low").priority(Priority::Low).at(at(-100))).await;
        put(deps, greet("second").at(at(-10))).await;
        put(deps, greet("first").at(at(-20))).await;
        put(deps, greet("high").priority(Priority::High)).await;
        put(deps, greet("not yet").priority(Priority::High).after(Duration::from_secs(60))).await;
        let mut order = Vec::new();
        while let [claimed] = take(deps, 1).await.as_slice() {
            order.push(claimed.payload["name"].as_str().unwrap().to_owned());
        }
        assert_eq!(order, ["high", "first", "second", "low"]);
        assert_eq!(next_due(deps, Lane::Mail).await.unwrap(), None);
        bench.clock.advance_seconds(1);
        // The leases of the four end before the fifth is due.
        assert_eq!(next_due(deps, Lane::General).await.unwrap(), Some(Duration::from_secs(29)));
    })
    .await;
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
        assert_eq!(renew(deps, std::slice::from_ref(&late), LEASE).await.unwrap(), [late.job_id]);
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
async fn a_renewed_lease_is_not_taken_over() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        put(deps, greet("a")).await;
        let lease = take(deps, 1).await.remove(0).lease;
        for _ in 0..5 {
            bench.clock.advance_seconds(20);
            assert_eq!(renew(deps, std::slice::from_ref(&lease), LEASE).await.unwrap(), []);
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
async fn jobs_whose_attempts_never_end_twice_in_a_row_are_handed_out_one_at_a_time() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        for name in ["a", "b", "c"] {
            put(deps, greet(name).max_attempts(9)).await;
        }
        let suspects = |claimed: &[Claimed]| claimed.iter().filter(|claimed| claimed.lease.is_suspect()).count();
        for _ in 0..2 {
            let claimed = take(deps, 10).await;
            assert_eq!((claimed.len(), suspects(&claimed)), (3, 0));
            bench.clock.advance_seconds(31);
        }
        put(deps, greet("new")).await;
        let claimed = take(deps, 10).await;
        assert_eq!((claimed.len(), suspects(&claimed)), (2, 1), "one suspect and the new one");
        assert_eq!(claim_unsuspected(deps, Lane::General, "test", 10, LEASE).await.unwrap(), []);
        let second = take(deps, 10).await;
        assert_eq!((second.len(), suspects(&second)), (1, 1));
        // An attempt that ends, well or badly, clears the job of suspicion.
        let endings = [(second[0].lease.clone(), Ending::retry_after(Duration::ZERO, "no luck"))];
        end_all(deps, &endings).await.unwrap();
        let cleared = claim_unsuspected(deps, Lane::General, "test", 10, LEASE).await.unwrap();
        assert_eq!(cleared[0].lease.job_id, second[0].lease.job_id);
    })
    .await;
}

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

#[tokio::test]
async fn jobs_go_with_their_project() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let project_id = bench.insert_project().await;
        put(deps, greet("a").project(project_id.clone())).await;
        let lease = take(deps, 1).await.remove(0).lease;
        assert_eq!(lease.project_id, Some(project_id.clone()));
        let sql = "DELETE FROM project WHERE id = $1";
        let delete =
            async |tx: crate::db::Tx| Ok(tx.execute_raw(statement(&*tx, sql, [project_id.0.clone().into()])).await?);
        deps.db.write(delete).await.unwrap();
        assert_eq!(end_all(deps, &[(lease.clone(), Ending::done())]).await.unwrap(), [lease.job_id]);
    })
    .await;
}

#[tokio::test]
async fn with_a_running_clock_due_times_and_leases_pass_by_themselves() {
    on_each_database(async |TestBench { mut deps, .. }| {
        deps.clock = std::sync::Arc::new(SystemClock);
        put(&deps, greet("a").after(Duration::from_secs(1))).await;
        assert_eq!(take(&deps, 1).await, []);
        let wait = next_due(&deps, Lane::General).await.unwrap().unwrap();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        tokio::time::sleep(wait + Duration::from_millis(1)).await;
        let first = claim(&deps, Lane::General, "one", 1, Duration::from_secs(1)).await.unwrap().remove(0).lease;
        assert_eq!(take(&deps, 1).await, []);
        tokio::time::sleep(Duration::from_millis(1001)).await;
        let second = take(&deps, 1).await.remove(0).lease;
        assert_eq!((first.attempt, second.attempt), (1, 2));
    })
    .await;
}

#[tokio::test]
async fn a_claim_searches_open_jobs_only() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let (explain, index) = match deps.db.backend() {
            Backend::Sqlite => ("EXPLAIN QUERY PLAN", "USING INDEX job_due (lane=? AND priority=? AND due_at<?)"),
            Backend::Postgres => ("EXPLAIN", "Index Scan using job_due"),
        };
        let sql = format!(
            "{explain} SELECT id FROM job WHERE lane = 'general' AND priority = 1 AND finished_at IS NULL \
             AND due_at <= {} ORDER BY due_at LIMIT 10",
            super::time::now_sql(deps)
        );
        let connection = deps.db.read();
        if deps.db.backend() == Backend::Postgres {
            // Without finished rows the planner may well prefer another way.
            let fill = "INSERT INTO job (id, lane, kind, payload, state, priority, due_at, created_at, finished_at) \
                        SELECT gen_random_uuid(), 'general', 'greet', '{}', 'done', 1, n, 0, n FROM generate_series(1, 20000) AS n";
            connection.execute_unprepared(fill).await.unwrap();
            connection.execute_unprepared("ANALYZE job").await.unwrap();
        }
        let rows = connection.query_all_raw(statement(connection, &sql, [])).await.unwrap();
        let plan: Vec<String> = rows
            .iter()
            .map(|row| row.try_get_by_index(0).or_else(|_| row.try_get("", "detail")).unwrap())
            .collect();
        assert!(plan.join("\n").contains(index), "{plan:?}");
    })
    .await;
}
