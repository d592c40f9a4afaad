use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{
    Level,
    testing::{self, TestBench},
};

/// A mutation that counts how often it takes effect and answers the count.
async fn run(bench: &TestBench, actor: &Actor, effects: &AtomicU32) -> Result<u32> {
    bench.deps.mutate(actor, "tests.count", |_tx| async { Ok(effects.fetch_add(1, Ordering::SeqCst) + 1) }).await
}

async fn actor(bench: &TestBench, key: &str, request: &str) -> Actor {
    let mut actor = Actor::new(bench.insert_project().await, Level::Server, None);
    actor.idempotency = Some(IdempotencyKey::new(key, &[request.as_bytes()]));
    actor
}

fn asking(actor: &Actor, key: &str, request: &str) -> Actor {
    Actor { idempotency: Some(IdempotencyKey::new(key, &[request.as_bytes()])), ..actor.clone() }
}

#[tokio::test]
async fn a_key_makes_a_mutation_take_effect_once_a_day() {
    testing::on_each_database(|bench| async move {
        let effects = AtomicU32::new(0);
        let actor = actor(&bench, "key", "body").await;
        assert_eq!(run(&bench, &actor, &effects).await.unwrap(), 1);
        assert_eq!(run(&bench, &actor, &effects).await.unwrap(), 1);
        assert_eq!(run(&bench, &asking(&actor, "other key", "body"), &effects).await.unwrap(), 2);
        bench.clock.advance_seconds(KEPT_SECONDS);
        assert_eq!(run(&bench, &actor, &effects).await.unwrap(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_bound_to_request_caller_and_project() {
    testing::on_each_database(|bench| async move {
        let effects = AtomicU32::new(0);
        let actor = actor(&bench, "key", "body").await;
        run(&bench, &actor, &effects).await.unwrap();
        let error = run(&bench, &asking(&actor, "key", "another body"), &effects).await.unwrap_err();
        assert!(error.is(Code::IdempotencyKeyReused));
        let admin = Actor { level: Level::Admin, ..actor.clone() };
        assert_eq!(run(&bench, &admin, &effects).await.unwrap(), 2);
        let elsewhere = Actor { project_id: bench.insert_project().await, ..actor.clone() };
        assert_eq!(run(&bench, &elsewhere, &effects).await.unwrap(), 3);
        let too_long = asking(&actor, &"k".repeat(MAX_KEY_CHARS + 1), "body");
        assert!(run(&bench, &too_long, &effects).await.unwrap_err().is(Code::BadRequest));
    })
    .await;
}

#[tokio::test]
async fn failures_are_not_kept() {
    testing::on_each_database(|bench| async move {
        let actor = actor(&bench, "key", "body").await;
        let failed: Result<u32> = bench
            .deps
            .mutate(&actor, "tests.count", |_tx| async { refuse(Failure::bad_request("not this time")) })
            .await;
        failed.unwrap_err();
        assert_eq!(run(&bench, &actor, &AtomicU32::new(0)).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn of_many_racers_with_one_key_one_takes_effect() {
    testing::on_each_database(|bench| async move {
        let effects = AtomicU32::new(0);
        let actor = actor(&bench, "key", "body").await;
        let answers = futures::future::join_all((0..50).map(|_| run(&bench, &actor, &effects))).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == 1));
        assert_eq!(effects.load(Ordering::SeqCst), 1);
    })
    .await;
}

#[tokio::test]
async fn expired_outcomes_are_pruned_in_batches() {
    testing::on_each_database(|bench| async move {
        let effects = AtomicU32::new(0);
        let actor = actor(&bench, "key 0", "body").await;
        for n in 0..3 {
            run(&bench, &asking(&actor, &format!("key {n}"), "body"), &effects).await.unwrap();
        }
        let kept = || async { idempotency::Entity::find().all(bench.deps.db.read()).await.unwrap().len() };
        assert!(!prune_step(&bench.deps).await.unwrap());
        assert_eq!(kept().await, 3);
        bench.clock.advance_seconds(KEPT_SECONDS);
        assert!(!prune_step(&bench.deps).await.unwrap());
        assert_eq!(kept().await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_cannot_be_read_in_the_database() {
    testing::on_each_database(|bench| async move {
        let actor = actor(&bench, "key", "body").await;
        let secret = "a token that only the caller may see";
        let kept: String =
            bench.deps.mutate(&actor, "tests.secret", |_tx| async { Ok(secret.to_owned()) }).await.unwrap();
        assert_eq!(kept, secret);
        let row = idempotency::Entity::find().one(bench.deps.db.read()).await.unwrap().unwrap();
        assert!(!row.outcome.is_empty());
        assert!(!row.outcome.windows(secret.len()).any(|window| window == secret.as_bytes()));
    })
    .await;
}
