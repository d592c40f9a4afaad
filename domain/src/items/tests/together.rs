//! Changes that share transactions with others.

use futures::future::join_all;
use postern_entity::{event, item_balance, item_change};
use sea_orm::{ConnectionTrait, EntityTrait};
use tokio::task::yield_now;

use super::{DAY, by, calls, calls_of, custom, owing, project, refusal, told, until};
use crate::{
    Code, Error,
    db::{Backend, statement},
    items::change,
    testing::{START, TestBench, TestDatabase, on_each_database, server},
    trace::{self, TraceContext},
};

#[tokio::test]
async fn what_comes_at_once_shares_transactions_and_only_those_at_fault_are_refused() {
    on_each_database(|mut bench| async move {
        let project = project(&bench).await;
        let customers: Vec<_> = (0..50).map(|number| custom(&format!("{number:02}"))).collect();
        for customer in &customers {
            calls(&bench, &project, customer, by(10)).await;
        }
        let watch = bench.deps.db.watch();
        let (deps, actor) = (&bench.deps, &server(&project));
        // Each twice, and every fifth has too little both times.
        let is_too_much = |number: usize| number % 5 == 3;
        let outcomes = join_all((0..100).map(|number| {
            let delta = if is_too_much(number) { -11 } else { -3 };
            change(deps, actor, &customers[number % 50], "calls", by(delta))
        }))
        .await;
        let (statements, commits) = (watch.take_statements(), watch.commits());
        assert!(commits <= 4 && statements.len() < 100, "{commits} commits, {} statements", statements.len());
        for (number, outcome) in outcomes.into_iter().enumerate() {
            if is_too_much(number) {
                let (code, details) = refusal(outcome);
                assert_eq!(code, Code::ItemQuantityInsufficientAmount);
                assert_eq!(details["customer_id"], customers[number % 50].id());
            } else {
                assert_eq!(outcome.unwrap().quantity, if number < 50 { 7 } else { 4 });
            }
        }
        for (number, customer) in customers.iter().enumerate() {
            let expected = if is_too_much(number) { 10 } else { 4 };
            assert_eq!(calls_of(&bench, &project, customer).await, expected, "{number}");
        }
        assert_eq!(told(&bench, &project).await.len(), 50 + 80);
    })
    .await;
}

#[tokio::test]
async fn a_balance_that_somebody_holds_does_not_hold_up_the_others() {
    on_each_database(|bench| async move {
        let (db, project) = (&bench.deps.db, &project(&bench).await);
        if db.backend() == Backend::Sqlite {
            // There whoever holds one row holds all of them.
            return;
        }
        let (held, free) = (custom("held"), custom("free"));
        for customer in [&held, &free] {
            calls(&bench, project, customer, by(1)).await;
        }
        let holder = db.begin().await.unwrap();
        let hold = "SELECT 1 FROM item_balance WHERE customer_id = 'held' FOR UPDATE";
        holder.execute_raw(statement(&holder, hold, [])).await.unwrap();
        let others = async {
            for expected in 2..5 {
                assert_eq!(calls(&bench, project, &free, by(1)).await, expected);
            }
            holder.rollback().await.unwrap();
        };
        let (quantity, ()) = tokio::join!(calls(&bench, project, &held, by(1)), others);
        assert_eq!(quantity, 2);
    })
    .await;
}

#[tokio::test]
async fn a_balance_that_nobody_can_read_costs_the_others_nothing() {
    on_each_database(|bench| async move {
        let (db, project) = (&bench.deps.db, &project(&bench).await);
        if db.backend() != Backend::Sqlite {
            // The columns of the others take nothing that is none of their type.
            return;
        }
        let customers: Vec<_> = ["a", "broken", "c"].into_iter().map(custom).collect();
        for customer in &customers {
            calls(&bench, project, customer, by(1)).await;
        }
        let spoil = "UPDATE item_balance SET next_place = 'x' WHERE customer_id = 'broken'";
        db.write(async |tx| Ok(tx.execute_raw(statement(&*tx, spoil, [])).await?)).await.unwrap();
        let (deps, actor) = (&bench.deps, &server(project));
        let changes = customers.iter().map(|customer| change(deps, actor, customer, "calls", by(1)));
        let [first, broken, last] = join_all(changes).await.try_into().unwrap();
        assert_eq!((first.unwrap().quantity, last.unwrap().quantity), (2, 2));
        let error = broken.unwrap_err();
        assert!(matches!(error, Error::Database(_)) && error.to_string().contains("next_place"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn two_processes_take_no_more_than_there_is() {
    for database in TestDatabase::each().await {
        let benches = [TestBench::on(&database).await, TestBench::on(&database).await];
        let [one, _] = &benches;
        if one.deps.db.backend() == Backend::Sqlite {
            // Its file belongs to one process.
            continue;
        }
        let project = project(one).await;
        let customers = [custom("a"), custom("b")];
        for customer in &customers {
            // So that rows of grants go while the other one waits.
            for day in 1..=6 {
                calls(one, &project, customer, until(5, START.plus_millis(day * DAY))).await;
            }
        }
        let actor = &server(&project);
        let outcomes = join_all((0..200).map(|number| {
            let (bench, customer) = (&benches[number / 2 % 2], &customers[number % 2]);
            change(&bench.deps, actor, customer, "calls", by(-1))
        }))
        .await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 60);
        for outcome in outcomes.into_iter().filter(Result::is_err) {
            assert_eq!(refusal(outcome).0, Code::ItemQuantityInsufficientAmount);
        }
        add_up(one).await;
    }
}

/// What the entries of each customer add up to is what it has, and each entry was told.
async fn add_up(bench: &TestBench) {
    let reader = bench.deps.db.read();
    let entries = item_change::Entity::find().all(reader).await.unwrap();
    for balance in item_balance::Entity::find().all(reader).await.unwrap() {
        let of_balance = entries.iter().filter(|entry| entry.balance_id == balance.id).map(|entry| entry.delta);
        let quantity = calls_of(bench, &balance.project_id, &custom(&balance.customer_id)).await;
        assert_eq!(quantity, of_balance.sum::<i64>(), "{}", balance.customer_id);
    }
    let events = event::Entity::find().all(reader).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.kind == "item.changed").count(), entries.len());
}

#[tokio::test]
async fn whoever_goes_away_takes_nobody_along_and_leaves_nothing_half_done() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        // Some of them are there already, and some are changed by several.
        for number in 0..10 {
            calls(&bench, &project, &custom(&number.to_string()), by(1)).await;
        }
        let tasks: Vec<_> = (0..200_usize)
            .map(|number| {
                let (deps, actor) = (bench.deps.clone(), server(&project));
                let change = async move {
                    let customer = custom(&(number % 20).to_string());
                    change(&deps, &actor, &customer, "calls", owing(if number % 2 == 0 { 5 } else { -4 })).await
                };
                (number, tokio::spawn(change))
            })
            .collect();
        let mut kept = Vec::new();
        for (number, task) in tasks {
            if number % 3 == 0 {
                kept.push(task);
            } else {
                for _ in 0..number % 7 {
                    yield_now().await;
                }
                task.abort();
            }
        }
        for outcome in join_all(kept).await {
            outcome.unwrap().unwrap();
        }
        // After whatever was still under way.
        calls(&bench, &project, &custom("0"), by(1)).await;
        add_up(&bench).await;
    })
    .await;
}

#[tokio::test]
async fn each_event_belongs_to_the_trace_of_its_own_request() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let customers: Vec<_> = (1..=20_u32).map(|number| (number, custom(&number.to_string()))).collect();
        let contexts = |number: u32| TraceContext { trace_id: number.into(), span_id: number.into(), sampled: true };
        // First each by itself, then together.
        for _ in 0..2 {
            join_all(customers.iter().map(|(number, customer)| {
                let traced = trace::begin(tracing::Span::none(), Some(contexts(*number)));
                traced.run(calls(&bench, &project, customer, by(1)))
            }))
            .await;
        }
        let events = event::Entity::find().all(bench.deps.db.read()).await.unwrap();
        let events: Vec<_> = events.into_iter().filter(|event| event.kind == "item.changed").collect();
        assert_eq!(events.len(), 40);
        for event in events {
            let number = event.payload.unwrap()["customer_id"].as_str().unwrap().parse().unwrap();
            assert_eq!(event.traceparent, Some(contexts(number).to_string()));
        }
    })
    .await;
}
