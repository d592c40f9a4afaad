//! What the worker does, and that nothing depends on its doing it.

use futures::future::join;
use sea_orm::EntityTrait;

use super::{DAY, by, calls, calls_of, custom, owing, project, rows, told, until};
use crate::{
    Deps, Timestamp,
    items::{
        CustomerType, Expires, Interval, IntervalUnit, NewSource, fold_step, grant_in,
        ledger::{Ledger, Source},
    },
    testing::{START, TestBench, on_each_database},
};

async fn fold_all(deps: &Deps) -> usize {
    let mut steps = 1;
    while fold_step(deps).await.unwrap() {
        steps += 1;
    }
    steps
}

async fn due(bench: &TestBench) -> Vec<Option<Timestamp>> {
    let balances = postern_entity::item_balance::Entity::find().all(bench.deps.db.read()).await.unwrap();
    balances.into_iter().map(|balance| balance.due_at).collect()
}

#[tokio::test]
async fn what_has_ended_is_gone_before_the_worker_comes_and_told_once_it_has() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let customer = custom("a");
        calls(&bench, &project, &customer, until(5, START.plus_millis(DAY))).await;
        calls(&bench, &project, &customer, by(2)).await;
        bench.clock.advance_seconds(DAY / 1000);
        assert_eq!(calls_of(&bench, &project, &customer).await, 2);
        assert_eq!(rows(&bench).await, [1, 2, 0, 2]);
        // Twice, and by two at once.
        let (one, other) = join(fold_step(&bench.deps), fold_step(&bench.deps)).await;
        assert!(!one.unwrap() && !other.unwrap());
        fold_all(&bench.deps).await;
        assert_eq!(rows(&bench).await, [1, 1, 0, 2]);
        assert_eq!(told(&bench, &project).await, [5, 7, 2]);
        assert_eq!(due(&bench).await, [None]);
    })
    .await;
}

#[tokio::test]
async fn a_change_after_an_end_tells_of_both() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let customer = custom("a");
        calls(&bench, &project, &customer, until(5, START.plus_millis(DAY))).await;
        bench.clock.advance_seconds(2 * DAY / 1000);
        assert_eq!(calls(&bench, &project, &customer, owing(-3)).await, -3);
        fold_all(&bench.deps).await;
        assert_eq!(told(&bench, &project).await, [5, -3]);
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_is_put_back_brings_nothing_back() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let customer = custom("a");
        calls(&bench, &project, &customer, until(5, START.plus_millis(DAY))).await;
        bench.clock.advance_seconds(2 * DAY / 1000);
        fold_all(&bench.deps).await;
        bench.clock.advance_seconds(-2 * DAY / 1000);
        assert_eq!(calls_of(&bench, &project, &customer).await, 0);
        // It ends before the latest instant that was written down, so it counts for nothing.
        assert_eq!(calls(&bench, &project, &customer, until(5, START.plus_millis(DAY))).await, 0);
        assert_eq!(calls(&bench, &project, &customer, until(5, START.plus_millis(3 * DAY))).await, 5);
        fold_all(&bench.deps).await;
        assert_eq!(calls_of(&bench, &project, &customer).await, 5);
    })
    .await;
}

#[tokio::test]
async fn the_worker_goes_on_where_it_was_killed_a_few_rows_at_a_time() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        for number in 0..60 {
            calls(&bench, &project, &custom(&number.to_string()), until(1, START.plus_millis(DAY))).await;
        }
        bench.clock.advance_seconds(DAY / 1000);
        // One transaction, and the worker is gone.
        assert!(fold_step(&bench.deps).await.unwrap());
        let left = rows(&bench).await[1];
        assert!((10..60).contains(&left), "{left} are left");
        for number in 0..60 {
            assert_eq!(calls_of(&bench, &project, &custom(&number.to_string())).await, 0);
        }
        let (one, other) = join(fold_all(&bench.deps), fold_all(&bench.deps)).await;
        assert!(one + other >= 2);
        fold_all(&bench.deps).await;
        assert_eq!(rows(&bench).await, [60, 0, 0, 60]);
        assert_eq!(told(&bench, &project).await.len(), 120);
    })
    .await;
}

#[tokio::test]
async fn more_ends_at_once_than_one_transaction_removes() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let customer = custom("a");
        for number in 0..130 {
            calls(&bench, &project, &customer, until(1, START.plus_millis(DAY + number))).await;
        }
        bench.clock.advance_seconds(2 * DAY / 1000);
        assert!(fold_step(&bench.deps).await.unwrap());
        assert_eq!(rows(&bench).await[1], 30);
        assert_eq!(calls_of(&bench, &project, &customer).await, 0);
        fold_all(&bench.deps).await;
        assert_eq!(rows(&bench).await[1], 0);
        assert_eq!(told(&bench, &project).await.len(), 131);
    })
    .await;
}

/// Any numbers, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: i64) -> i64 {
        // Knuth's multiplier for a linear congruential generator of 64 bits.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % end
    }
}

/// The rows against the pure fold, which is tested by itself against the plain one.
#[tokio::test]
async fn rows_and_reads_are_those_of_the_fold_whatever_happens() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        for seed in 0..6 {
            let (customer, mut dice) = (custom(&format!("seed {seed}")), Dice(seed));
            let mut expected = Ledger::empty(bench.deps.now().millis());
            let mut keys: Vec<(String, i64)> = Vec::new();
            for _ in 0..30 {
                let now = bench.deps.now().millis();
                match dice.below(6) {
                    0 => bench.clock.advance_seconds((dice.below(60) - 10) * DAY / 1000),
                    1 => {
                        fold_step(&bench.deps).await.unwrap();
                        expected.advance(folded_at(&bench, &customer).await);
                    }
                    2 if keys.len() < 5 => {
                        let key = format!("purchase {}", keys.len());
                        let repeats = dice.below(3) > 0;
                        let days = u64::try_from(1 + dice.below(9)).unwrap();
                        let expires = [Expires::Never, Expires::WhenPurchaseExpires, Expires::WhenRepeated]
                            [usize::try_from(dice.below(3)).unwrap()];
                        let ends_at = (dice.below(2) > 0).then(|| now + dice.below(50) * DAY);
                        let source = NewSource {
                            item_id: "calls".to_owned(),
                            quantity: 1 + dice.below(9),
                            starts_at: Timestamp(now),
                            repeats: repeats.then(|| Interval::new(days, IntervalUnit::Day).unwrap()),
                            expires,
                            ends_at: ends_at.map(Timestamp),
                        };
                        super::sources::grant(&bench, &project, &customer, &key, &source).await;
                        expected.advance(now);
                        keys.push((key.clone(), expected.next_place));
                        expected.start(Source {
                            place: 0,
                            key,
                            quantity: source.quantity,
                            starts_at: now,
                            interval: repeats.then(|| i64::try_from(days).unwrap() * DAY),
                            expires,
                            ends_at,
                            granted: 0,
                        });
                    }
                    3 if !keys.is_empty() => {
                        let (key, place) = keys[usize::try_from(dice.below(5)).unwrap() % keys.len()].clone();
                        let ends_at = (dice.below(3) > 0).then(|| now + (dice.below(40) - 5) * DAY);
                        super::sources::end(&bench, &project, &customer, &key, ends_at.map(Timestamp)).await;
                        expected.advance(now);
                        expected.end(place, ends_at);
                    }
                    _ => {
                        let delta = dice.below(60) - 30;
                        let ends = (dice.below(2) > 0).then(|| now + (dice.below(40) - 1) * DAY);
                        let change = super::ItemChange { expires_at: ends.map(Timestamp), ..owing(delta) };
                        let quantity = calls(&bench, &project, &customer, change).await;
                        expected.advance(now);
                        expected.change(delta, ends);
                        assert_eq!(quantity, expected.balance(), "{seed}");
                    }
                }
                let mut read = expected.clone();
                read.advance(bench.deps.now().millis());
                assert_eq!(calls_of(&bench, &project, &customer).await, read.balance(), "{seed}: {read:?}");
            }
        }
    })
    .await;
}

/// The instant that the rows of a customer tell of.
async fn folded_at(bench: &TestBench, customer: &super::Customer) -> i64 {
    let balances = postern_entity::item_balance::Entity::find().all(bench.deps.db.read()).await.unwrap();
    assert_eq!(customer.kind(), CustomerType::Custom);
    let of_customer = balances.iter().find(|balance| balance.customer_id == customer.id());
    of_customer.map_or(i64::MIN, |balance| balance.folded_at.millis())
}

#[tokio::test]
async fn a_source_is_granted_once_however_often_and_by_whomever() {
    on_each_database(|bench| async move {
        let project = project(&bench).await;
        let customer = custom("a");
        let source = NewSource {
            item_id: "calls".to_owned(),
            quantity: 10,
            starts_at: START,
            repeats: Some(Interval::new(1, IntervalUnit::Month).unwrap()),
            expires: Expires::Never,
            ends_at: None,
        };
        let grant = || async {
            let (project, customer, source) = (&project, &customer, std::slice::from_ref(&source));
            let deps = &bench.deps;
            deps.db.write(|tx| async move { grant_in(deps, &tx, project, customer, "sub-start:1", source).await }).await
        };
        let (one, other) = join(grant(), grant()).await;
        one.and(other).unwrap();
        assert_eq!(calls_of(&bench, &project, &customer).await, 10);
        bench.clock.advance_seconds(30 * 120 * DAY / 1000);
        let (one, other) = join(fold_step(&bench.deps), fold_step(&bench.deps)).await;
        one.and(other).unwrap();
        assert_eq!(calls_of(&bench, &project, &customer).await, 1210);
        // A hundred and twenty months are one grant and one event.
        assert_eq!(rows(&bench).await, [1, 1, 1, 1]);
        assert_eq!(told(&bench, &project).await, [10, 1210]);
        grant().await.unwrap();
        assert_eq!(calls_of(&bench, &project, &customer).await, 1210);
    })
    .await;
}
