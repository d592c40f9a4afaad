//! Jobs put into the queue and handed out.

use super::*;

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
        assert_eq!(next_due(deps, Lane::Mail, Suspects::Any).await.unwrap(), None);
        bench.clock.advance_seconds(1);
        // The leases of the four end before the fifth is due.
        assert_eq!(next_due(deps, Lane::General, Suspects::Any).await.unwrap(), Some(Duration::from_secs(29)));
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
