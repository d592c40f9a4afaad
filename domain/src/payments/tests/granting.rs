//! Who may have which product, and what follows from having it.

use serde_json::json;

use super::{
    Code, Customer, DAY, ProductChoice, START, UserId, ada, code, config, crates, give, grant, inline, list, on_day,
    quantity, server, shop,
};
use crate::{
    Actor, Level, ProjectId,
    payments::PurchaseKind,
    testing::{on_each_database, stranger},
};

#[tokio::test]
async fn a_product_grants_its_items_once_and_again_by_the_clock() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (_, ada) = ada(&bench, &project).await;
        let granted = give(&bench, &project, &ada, "basic", 1).await.unwrap();
        assert_eq!(granted.kind, PurchaseKind::Subscription);
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 100);
        // Thirty days for items, a calendar month for the bill.
        on_day(&bench, 30);
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 100);
        let packs = give(&bench, &project, &ada, "pack", 3).await.unwrap();
        assert_eq!(packs.kind, PurchaseKind::OneTime);
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 130);
        give(&bench, &project, &ada, "pack", 1).await.unwrap();
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 140);
        assert_eq!(list(&bench, &project, &ada).await, [("basic".to_owned(), 1), ("pack".to_owned(), 4)]);
    })
    .await;
}

#[tokio::test]
async fn whoever_may_not_have_a_product_is_told_why() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (_, ada) = ada(&bench, &project).await;
        let refused = async |customer: &Customer, product: &str, quantity: i64| {
            code(give(&bench, &project, customer, product, quantity).await)
        };
        assert_eq!(refused(&ada, "nothing", 1).await, Code::ProductDoesNotExist);
        assert_eq!(refused(&ada, "credits", 1).await, Code::ProductDoesNotExist);
        assert_eq!(refused(&crates(), "basic", 1).await, Code::ProductCustomerTypeDoesNotMatch);
        assert_eq!(refused(&Customer::user(UserId::random()), "basic", 1).await, Code::UserNotFound);
        for (product, quantity) in [("basic", 2), ("basic", 0), ("pack", 0), ("pack", -1), ("extra", 1)] {
            assert_eq!(refused(&ada, product, quantity).await, Code::BadRequest, "{product} {quantity}");
        }
        for product in ["halves", "below", "restless", "cheap"] {
            assert_eq!(refused(&ada, product, 1).await, Code::BadRequest, "{product}");
        }
        assert!(list(&bench, &project, &ada).await.is_empty());
        give(&bench, &project, &ada, "basic", 1).await.unwrap();
        assert_eq!(refused(&ada, "basic", 1).await, Code::ProductAlreadyGranted);
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 100);
        // Without a price it is granted once.
        give(&bench, &project, &ada, "free", 1).await.unwrap();
        assert_eq!(refused(&ada, "free", 1).await, Code::ProductAlreadyGranted);
        let client = stranger(&project);
        let choice = ProductChoice::Configured("pack".to_owned());
        assert_eq!(code(grant(&bench.deps, &client, &ada, &choice, 1).await), Code::Forbidden);
    })
    .await;
}

#[tokio::test]
async fn a_line_is_held_by_one_product_its_add_ons_aside() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (_, ada) = ada(&bench, &project).await;
        give(&bench, &project, &ada, "basic", 1).await.unwrap();
        on_day(&bench, 10);
        give(&bench, &project, &ada, "pro", 1).await.unwrap();
        assert_eq!(list(&bench, &project, &ada).await, [("pro".to_owned(), 1)]);
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 1000);
        give(&bench, &project, &ada, "extra", 1).await.unwrap();
        assert_eq!(list(&bench, &project, &ada).await, [("extra".to_owned(), 1), ("pro".to_owned(), 1)]);
        give(&bench, &project, &ada, "lifetime", 1).await.unwrap();
        // The add-on fills no line, so it stays.
        assert_eq!(list(&bench, &project, &ada).await, [("extra".to_owned(), 1), ("lifetime".to_owned(), 1)]);
        assert_eq!(code(give(&bench, &project, &ada, "pro", 1).await), Code::BadRequest);
        // What was replaced grants no more.
        on_day(&bench, 100);
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 0);
    })
    .await;
}

#[tokio::test]
async fn of_many_who_grant_the_same_at_once_one_succeeds() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (_, ada) = ada(&bench, &project).await;
        let racers = (0..20).map(|_| give(&bench, &project, &ada, "basic", 1));
        let outcomes = futures::future::join_all(racers).await;
        let (good, bad): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (1, 19));
        assert!(bad.into_iter().all(|outcome| code(outcome) == Code::ProductAlreadyGranted));
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 100);
    })
    .await;
}

#[tokio::test]
async fn an_idempotency_key_grants_once() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (_, ada) = ada(&bench, &project).await;
        let mut actor = server(&project);
        actor.idempotency = Some(crate::actor::IdempotencyKey::new("again", &[b"pack"]));
        let choice = ProductChoice::Configured("pack".to_owned());
        let first = grant(&bench.deps, &actor, &ada, &choice, 1).await.unwrap();
        assert_eq!(grant(&bench.deps, &actor, &ada, &choice, 1).await.unwrap(), first);
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 10);
    })
    .await;
}

#[tokio::test]
async fn servers_grant_what_they_bring_along() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (_, ada) = ada(&bench, &project).await;
        let price = json!({ "monthly": { "USD": "7", "interval": [1, "month"] } });
        let item = json!({ "credits": { "quantity": 5, "repeat": "never", "expires": "never" } });
        let choice = inline(json!({ "prices": price, "included_items": item }));
        grant(&bench.deps, &server(&project), &ada, &choice, 1).await.unwrap();
        // They are one entry, and as many as there are.
        grant(&bench.deps, &server(&project), &ada, &choice, 1).await.unwrap();
        assert_eq!(list(&bench, &project, &ada).await, [(String::new(), 2)]);
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 10);
        let user = Actor::new(project.clone(), Level::Client, None);
        assert_eq!(code(grant(&bench.deps, &user, &ada, &choice, 1).await), Code::Forbidden);
        for wrong in [
            json!({}),
            json!({ "prices": { "one": {} } }),
            json!({ "prices": { "one": { "USD": "-5" } } }),
            json!({ "prices": { "one": { "CHF": "5" } } }),
            json!({ "prices": { "one": { "JPY": "5.5" } } }),
            json!({ "prices": price, "included_items": { "credits": { "quantity": -1, "repeat": "never", "expires": "never" } } }),
            json!({ "prices": price, "included_items": { "credits": { "quantity": 1, "repeat": [0, "day"], "expires": "never" } } }),
            json!({ "prices": { "one": { "USD": "5", "interval": [0, "month"] } } }),
            json!({ "prices": { "one": { "USD": "5", "interval": [99, "year"] } } }),
        ] {
            let refused = code(grant(&bench.deps, &server(&project), &ada, &inline(wrong.clone()), 1).await);
            assert!(matches!(refused, Code::SchemaError | Code::BadRequest), "{wrong}: {refused}");
        }
    })
    .await;
}

#[tokio::test]
async fn ids_of_another_project_are_not_there() {
    on_each_database(|bench| async move {
        let (project, other) = (shop(&bench).await, shop(&bench).await);
        let (_, ada) = ada(&bench, &project).await;
        give(&bench, &project, &ada, "basic", 1).await.unwrap();
        assert_eq!(code(give(&bench, &other, &ada, "basic", 1).await), Code::UserNotFound);
        give(&bench, &project, &crates(), "crate", 1).await.unwrap();
        assert!(list(&bench, &other, &crates()).await.is_empty());
        assert_eq!(quantity(&bench, &other, &crates(), "seats").await, 0);
    })
    .await;
}

#[tokio::test]
async fn quantities_that_nobody_can_count_are_the_most_that_somebody_can() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        give(&bench, &project, &crates(), "crate", crate::items::MAX_QUANTITY).await.unwrap();
        give(&bench, &project, &crates(), "crate", crate::items::MAX_QUANTITY).await.unwrap();
        assert_eq!(list(&bench, &project, &crates()).await, [("crate".to_owned(), crate::items::MAX_QUANTITY)]);
        assert_eq!(quantity(&bench, &project, &crates(), "seats").await, crate::items::MAX_QUANTITY);
        on_day(&bench, 3650);
        assert_eq!(quantity(&bench, &project, &crates(), "seats").await, crate::items::MAX_QUANTITY);
    })
    .await;
}

#[tokio::test]
async fn a_month_of_the_bill_is_one_of_the_calendar() {
    use crate::payments::product::{Period, Unit};
    let at = |text: &str| crate::Timestamp(text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_millis());
    for (period, from, to) in [
        (Period(1, Unit::Month), "2026-01-31T10:00:00Z", "2026-02-28T10:00:00Z"),
        (Period(1, Unit::Year), "2024-02-29T00:00:00Z", "2025-02-28T00:00:00Z"),
        (Period(2, Unit::Week), "2026-12-25T00:00:00Z", "2027-01-08T00:00:00Z"),
        (Period(0, Unit::Day), "2026-12-25T00:00:00Z", "2026-12-25T00:00:00Z"),
    ] {
        assert_eq!(period.after(at(from)), Some(at(to)), "{from}");
    }
    assert_eq!(Period(u64::MAX, Unit::Year).after(START), None);
    assert_eq!(DAY, 86_400_000);
}

#[tokio::test]
async fn what_the_config_says_later_changes_nothing_that_was_sold() {
    on_each_database(|bench| async move {
        let project: ProjectId = shop(&bench).await;
        let (_, ada) = ada(&bench, &project).await;
        give(&bench, &project, &ada, "basic", 1).await.unwrap();
        let mut changed = config();
        changed["payments.products"]["basic"] = super::plan("Basic, dearer", "99", 1);
        bench.set_config(&project, changed).await;
        on_day(&bench, 30);
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 100);
        let owned = super::has(&bench, &project, &ada).await;
        assert_eq!(owned[0].product.display_name, "Basic");
        bench.set_config(&project, json!({ "payments.items": config()["payments.items"] })).await;
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 100);
        assert_eq!(super::has(&bench, &project, &ada).await.len(), 1);
    })
    .await;
}
