//! Versions of products, and what is granted for fewer or more pieces.

use postern_entity::PurchaseId;
use serde_json::json;

use super::{DAY, ada, crates, give, inline, on_day, quantity, shop};
use crate::{
    ProjectId,
    payments::{
        ProductChoice,
        product::{Price, Version},
        purchases, store, switch,
    },
    testing::{START, TestBench, TestDatabase, on_each_database},
};

fn version(choice: ProductChoice) -> Version {
    match choice {
        ProductChoice::Inline(product) => Version::inline(*product).unwrap(),
        ProductChoice::Configured(_) => panic!("not an inline product"),
    }
}

#[test]
fn a_version_is_named_by_all_that_is_in_it_whatever_the_order() {
    let one = json!({ "prices": { "a": { "USD": "5", "EUR": "4" }, "b": { "JPY": "700" } }, "server_metadata": { "x": 1, "y": 2 } });
    let same = json!({ "server_metadata": { "y": 2, "x": 1 }, "prices": { "b": { "JPY": "700" }, "a": { "EUR": "4", "USD": "5" } } });
    let other = json!({ "prices": { "a": { "USD": "5", "EUR": "4" }, "b": { "JPY": "701" } }, "server_metadata": { "x": 1, "y": 2 } });
    let [one, same, other] = [one, same, other].map(|value| version(inline(value)));
    assert_eq!(one.id().unwrap(), same.id().unwrap());
    assert_ne!(one.id().unwrap(), other.id().unwrap());
    let configured = Version { product_id: Some("x".to_owned()), ..one.clone() };
    assert_ne!(one.id().unwrap(), configured.id().unwrap());
    assert_eq!(one.id().unwrap().len(), 44);
}

#[test]
fn a_product_is_written_as_the_contract_has_it() {
    let product = version(inline(json!({
        "prices": { "a": { "USD": "5", "interval": [1, "month"], "free_trial": [7, "day"] } },
        "included_items": { "x": { "quantity": 1, "repeat": [1, "week"], "expires": "when-repeated" } },
    })))
    .product;
    let written = json!({
        "display_name": "Made for you", "customer_type": "user", "server_only": true, "stackable": false,
        "prices": { "a": { "USD": "5", "interval": [1, "month"], "free_trial": [7, "day"] } },
        "included_items": { "x": { "quantity": 1, "repeat": [1, "week"], "expires": "when-repeated" } },
        "client_metadata": null, "client_read_only_metadata": null, "server_metadata": null,
    });
    assert_eq!(serde_json::to_value(&product).unwrap(), written);
    let price: Price = serde_json::from_value(json!({ "JPY": "500", "USD": "0.5" })).unwrap();
    assert_eq!(price.cents(), Some(50));
    assert_eq!(
        price.in_minor().map(|(currency, minor)| currency.told(minor)).collect::<Vec<_>>(),
        ["USD 0.50", "JPY 500"]
    );
}

async fn scale(bench: &TestBench, project: &ProjectId, id: PurchaseId, before: i64, pieces: i64) {
    let deps = &bench.deps;
    deps.db
        .write(|tx| async move {
            let mut row = store::hold(&tx, project, id).await?.unwrap();
            purchases::rescale(deps, &tx, &mut row, before, pieces).await?;
            store::update(&tx, row).await
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn fewer_pieces_repeat_less_and_take_nothing_back() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let bought = give(&bench, &project, &crates(), "crate", 4).await.unwrap();
        on_day(&bench, 8);
        assert_eq!(quantity(&bench, &project, &crates(), "seats").await, 24);
        scale(&bench, &project, bought.id, 4, 1).await;
        assert_eq!(quantity(&bench, &project, &crates(), "seats").await, 24);
        on_day(&bench, 14);
        assert_eq!(quantity(&bench, &project, &crates(), "seats").await, 27);
        on_day(&bench, 21);
        assert_eq!(quantity(&bench, &project, &crates(), "seats").await, 30);
        scale(&bench, &project, bought.id, 1, 0).await;
        on_day(&bench, 210);
        assert_eq!(quantity(&bench, &project, &crates(), "seats").await, 30);
    })
    .await;
}

/// Once as a pack of coins that are never lost, once as a larger one.
#[tokio::test]
async fn changing_to_and_fro_grants_what_lasts_once() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let bought = give(&bench, &project, &crates(), "crate", 1).await.unwrap();
        let lasting = |quantity: i64| {
            version(inline(json!({
                "customer_type": "custom", "prices": { "monthly": { "USD": "1", "interval": [1, "month"] } },
                "included_items": { "seats": { "quantity": quantity, "repeat": [1, "week"], "expires": "never" } },
            })))
        };
        let (deps, project, id) = (&bench.deps, &project, bought.id);
        let turn_into = async |quantity: i64| {
            let to = &lasting(quantity);
            deps.db
                .write(|tx| async move {
                    let mut row = store::hold(&tx, project, id).await?.unwrap();
                    let version_id = store::keep_version(&tx, project, to, deps.now()).await?;
                    switch::become_version(deps, &tx, &mut row, to, &version_id, 1).await?;
                    store::update(&tx, row).await
                })
                .await
                .unwrap();
            super::quantity(&bench, project, &crates(), "seats").await
        };
        // Three were granted; more than that is added, and never again.
        assert_eq!(turn_into(10).await, 10);
        for _ in 0..3 {
            assert_eq!((turn_into(2).await, turn_into(10).await), (10, 10));
        }
        on_day(&bench, 7);
        assert_eq!(super::quantity(&bench, project, &crates(), "seats").await, 20);
        on_day(&bench, 14);
        assert_eq!(super::quantity(&bench, project, &crates(), "seats").await, 30);
    })
    .await;
}

#[tokio::test]
async fn an_end_after_fewer_pieces_revives_nothing() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let bought = give(&bench, &project, &crates(), "crate", 4).await.unwrap();
        on_day(&bench, 1);
        scale(&bench, &project, bought.id, 4, 2).await;
        scale(&bench, &project, bought.id, 2, 1).await;
        let (deps, project) = (&bench.deps, &project);
        // Set, and taken back.
        for end in [Some(START.plus_millis(100 * DAY)), None] {
            deps.db
                .write(|tx| async move {
                    let mut row = store::hold(&tx, project, bought.id).await?.unwrap();
                    purchases::end(deps, &tx, &mut row, end).await?;
                    store::update(&tx, row).await
                })
                .await
                .unwrap();
        }
        on_day(&bench, 7);
        assert_eq!(quantity(&bench, project, &crates(), "seats").await, 15);
        on_day(&bench, 14);
        assert_eq!(quantity(&bench, project, &crates(), "seats").await, 18);
    })
    .await;
}

#[tokio::test]
async fn what_is_lost_when_it_repeats_is_kept_until_it_would_have() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (_, ada) = ada(&bench, &project).await;
        let basic = give(&bench, &project, &ada, "basic", 1).await.unwrap();
        on_day(&bench, 29);
        scale(&bench, &project, basic.id, 1, 0).await;
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 100);
        on_day(&bench, 30);
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 0);
    })
    .await;
}

/// A subscription of one month at a time that includes these items.
fn monthly(items: serde_json::Value) -> Version {
    version(inline(json!({
        "customer_type": "custom", "prices": { "monthly": { "USD": "1", "interval": [1, "month"] } }, "included_items": items,
    })))
}

/// As changing the product of a subscription does it.
async fn turn(bench: &TestBench, project: &ProjectId, id: PurchaseId, into: &[&Version]) {
    let deps = &bench.deps;
    deps.db
        .write(|tx| async move {
            let mut row = store::hold(&tx, project, id).await?.unwrap();
            for to in into {
                let version_id = store::keep_version(&tx, project, to, deps.now()).await?;
                switch::become_version(deps, &tx, &mut row, to, &version_id, 1).await?;
            }
            store::update(&tx, row).await
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn changing_to_and_fro_grants_what_lasts_and_does_not_repeat_once() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let bought = give(&bench, &project, &crates(), "crate", 1).await.unwrap();
        let welcome = |quantity: i64| {
            monthly(json!({ "seats": { "quantity": quantity, "repeat": "never", "expires": "never" } }))
        };
        let (small, large) = (welcome(10), welcome(15));
        for (to, expected) in [(&small, 10), (&large, 15), (&small, 15), (&large, 15), (&small, 15), (&large, 15)] {
            turn(&bench, &project, bought.id, &[to]).await;
            assert_eq!(quantity(&bench, &project, &crates(), "seats").await, expected);
        }
        on_day(&bench, 30);
        assert_eq!(quantity(&bench, &project, &crates(), "seats").await, 15);
    })
    .await;
}

#[tokio::test]
async fn a_thousand_changes_cost_the_next_one_nothing() {
    for database in TestDatabase::each().await {
        let mut bench = TestBench::on(&database).await;
        let project = shop(&bench).await;
        let bought = give(&bench, &project, &crates(), "crate", 1).await.unwrap();
        let again = |quantity: i64| {
            monthly(json!({ "seats": { "quantity": quantity, "repeat": [1, "week"], "expires": "when-repeated" } }))
        };
        let (few, many) = (again(1), again(2));
        let watch = bench.deps.db.watch();
        let costs = async |bench: &TestBench| {
            turn(bench, &project, bought.id, &[&few]).await;
            drop(watch.take_statements());
            turn(bench, &project, bought.id, &[&many]).await;
            let changed = watch.take_statements().len();
            scale(bench, &project, bought.id, 2, 1).await;
            (changed, watch.take_statements().len())
        };
        let first = costs(&bench).await;
        for _ in 0..10 {
            turn(&bench, &project, bought.id, &[&few, &many].repeat(50)).await;
        }
        assert_eq!(costs(&bench).await, first);
        // Three of the first product stay, and what was scaled down goes on until it would have repeated: one is left then.
        assert_eq!(quantity(&bench, &project, &crates(), "seats").await, 7);
        bench.clock.advance_millis(8 * DAY);
        assert_eq!(quantity(&bench, &project, &crates(), "seats").await, 4);
    }
}
