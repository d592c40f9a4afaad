//! Jobs that may run sooner than they were to.

use super::*;

async fn hasten(deps: &Deps, jobs: &[(JobId, Duration)]) {
    deps.db.write(async |tx| hasten_all(deps, &tx, jobs).await).await.unwrap();
}

/// In how many milliseconds the job is due, or the lease on it ends.
async fn due_in(deps: &Deps, id: JobId) -> i64 {
    row(deps, id).await.due_at.millis() - deps.now().millis()
}

#[tokio::test]
async fn hastening_puts_nothing_off_and_touches_neither_leases_nor_what_has_ended() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        let ended = put(deps, greet("ended")).await.unwrap();
        assert_eq!(run_all(deps, Ending::done).await, 1);
        let running = put(deps, greet("running")).await.unwrap();
        assert_eq!(take(deps, 1).await.len(), 1);
        let (ended_as, running_as) = (row(deps, ended).await, row(deps, running).await);
        let at = |seconds| greet("waiting").at(deps.now().plus_seconds(seconds));
        let overdue = put(deps, at(-10)).await.unwrap();
        let soon = put(deps, at(2)).await.unwrap();
        let late = put(deps, at(60)).await.unwrap();
        let untold = put(deps, at(60)).await.unwrap();

        let told = [ended, running, overdue, soon, late];
        hasten(deps, &told.map(|id| (id, Duration::from_secs(5)))).await;
        for (id, seconds) in [(overdue, -10), (soon, 2), (late, 5), (untold, 60)] {
            assert_eq!(due_in(deps, id).await, seconds * 1000);
        }
        hasten(deps, &told.map(|id| (id, Duration::ZERO))).await;
        for (id, seconds) in [(overdue, -10), (soon, 0), (late, 0), (untold, 60)] {
            assert_eq!(due_in(deps, id).await, seconds * 1000);
        }
        assert_eq!((row(deps, ended).await, row(deps, running).await), (ended_as, running_as));
    })
    .await;
}

/// Only where others can hold one row: on SQLite whoever writes is alone.
#[tokio::test]
async fn hastening_does_not_wait_for_whoever_holds_a_job_and_leaves_it_to_them() {
    on_each_database(async |bench| {
        let deps = &bench.deps;
        if deps.db.backend() != Backend::Postgres {
            return;
        }
        let minute = Duration::from_secs(60);
        let held = put(deps, greet("held").after(minute)).await.unwrap();
        let free = put(deps, greet("free").after(minute)).await.unwrap();
        let somebody = deps.db.begin().await.unwrap();
        let sql = "SELECT 1 FROM job WHERE id = $1 FOR UPDATE";
        assert!(somebody.query_one_raw(statement(&somebody, sql, [held.0.into()])).await.unwrap().is_some());
        let both = [held, free].map(|id| (id, Duration::ZERO));
        hasten(deps, &both).await;
        // Whoever waits gets the row in the end, and changes it: a transaction that says nothing is ended after some seconds.
        assert_eq!((due_in(deps, held).await, due_in(deps, free).await), (60_000, 0));
        somebody.rollback().await.unwrap();
        hasten(deps, &both).await;
        assert_eq!(due_in(deps, held).await, 0);
    })
    .await;
}
