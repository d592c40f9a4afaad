//! What customers see of what they have, cancel, and what administrators see of all of it.

use super::{Code, Customer, DAY, ada, code, crates, give, has, list, on_day, quantity, server, shop};
use crate::{
    Actor, Level, Timestamp,
    items::{CustomerType, ItemChange, change},
    payments::{
        Cancelled, PurchaseKind, RefundEntry, RefundPurchase, cancel, products, refund,
        transactions::{TransactionEntry, TransactionFilter, TransactionKind, TransactionPlace, transactions},
    },
    testing::{START, admin, client, on_each_database},
};

fn product(id: &str) -> Cancelled {
    Cancelled::Product(Some(id.to_owned()))
}

#[tokio::test]
async fn what_is_cancelled_is_owned_until_its_period_ends() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (id, ada) = ada(&bench, &project).await;
        give(&bench, &project, &ada, "basic", 1).await.unwrap();
        on_day(&bench, 10);
        let user = client(&project, id);
        cancel(&bench.deps, &user, &ada, &product("basic")).await.unwrap();
        let owned = has(&bench, &project, &ada).await;
        assert_eq!((owned.len(), owned[0].subscription.as_ref(), owned[0].kind()), (1, None, PurchaseKind::OneTime));
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 100);
        assert_eq!(code(cancel(&bench.deps, &user, &ada, &product("basic")).await), Code::BadRequest);
        // A calendar month after the purchase; the repeat on day 30 still falls into it when the month has 31 days.
        let end = crate::payments::product::Period(1, crate::payments::product::Unit::Month).after(START).unwrap();
        super::at(&bench, Timestamp(end.millis() - 1));
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 100);
        super::at(&bench, end);
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 0);
        assert!(list(&bench, &project, &ada).await.is_empty());
        // And can be had again.
        give(&bench, &project, &ada, "basic", 1).await.unwrap();
        assert_eq!(quantity(&bench, &project, &ada, "credits").await, 100);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_cancelled_is_refused() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (id, ada) = ada(&bench, &project).await;
        let (_, bob) = super::ada(&bench, &project).await;
        let (user, server) = (client(&project, id), server(&project));
        let packs = give(&bench, &project, &ada, "pack", 1).await.unwrap();
        for which in [product("basic"), product("pack"), Cancelled::Product(None), Cancelled::Subscription(packs.id)] {
            assert_eq!(code(cancel(&bench.deps, &user, &ada, &which).await), Code::BadRequest, "{which:?}");
        }
        let bobs = give(&bench, &project, &bob, "basic", 1).await.unwrap();
        assert_eq!(code(cancel(&bench.deps, &user, &bob, &product("basic")).await), Code::Forbidden);
        // By another customer's name it is not there.
        assert_eq!(code(cancel(&bench.deps, &server, &ada, &Cancelled::Subscription(bobs.id)).await), Code::BadRequest);
        cancel(&bench.deps, &server, &bob, &Cancelled::Subscription(bobs.id)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn clients_see_their_own_and_nothing_that_is_for_servers() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (id, ada) = ada(&bench, &project).await;
        let (_, bob) = super::ada(&bench, &project).await;
        give(&bench, &project, &ada, "secret", 1).await.unwrap();
        give(&bench, &project, &ada, "basic", 1).await.unwrap();
        let user = client(&project, id);
        let seen = products(&bench.deps, &user, &ada).await.unwrap();
        assert_eq!(seen.iter().filter_map(|owned| owned.id.as_deref()).collect::<Vec<_>>(), ["basic"]);
        let options = seen[0].switch_options.as_ref().unwrap();
        assert_eq!(options.iter().map(|option| option.product_id.as_str()).collect::<Vec<_>>(), ["pro"]);
        assert_eq!(list(&bench, &project, &ada).await.len(), 2);
        assert_eq!(code(products(&bench.deps, &user, &bob).await), Code::Forbidden);
        assert_eq!(code(products(&bench.deps, &user, &crates()).await), Code::Forbidden);
        let nobody = Actor::new(project.clone(), Level::Client, None);
        assert_eq!(code(products(&bench.deps, &nobody, &ada).await), Code::UserAuthenticationRequired);
    })
    .await;
}

#[tokio::test]
async fn transactions_are_listed_newest_first_through_pages() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (_, ada) = ada(&bench, &project).await;
        let mut wanted = Vec::new();
        for day in 0..7 {
            // Two at the same instant each time.
            on_day(&bench, day);
            let granted = give(&bench, &project, &ada, "pack", 2).await.unwrap();
            wanted.push((START.plus_millis(day * DAY), granted.id.to_string()));
            let of = ItemChange { delta: 5, ..ItemChange::default() };
            change(&bench.deps, &server(&project), &ada, "credits", of).await.unwrap();
        }
        let admin = admin(&project);
        let (mut after, mut seen): (Option<TransactionPlace>, Vec<_>) = (None, Vec::new());
        loop {
            let all = TransactionFilter::default();
            let page = transactions(&bench.deps, &admin, &all, after.as_ref(), 3).await.unwrap();
            assert!(page.transactions.len() <= 3);
            after = page.transactions.last().map(super::super::transactions::Transaction::place);
            seen.extend(page.transactions);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(seen.len(), 14);
        assert!(seen.is_sorted_by(|one, other| one.place() > other.place()));
        let packs: Vec<_> = seen.iter().filter(|found| found.kind == TransactionKind::Purchase).collect();
        wanted.reverse();
        assert_eq!(packs.iter().map(|found| (found.created_at, found.id.clone())).collect::<Vec<_>>(), wanted);
        // A grant of a server is not paid.
        assert!(matches!(packs[0].entries[0], TransactionEntry::Product { quantity: 2, .. }));
        assert!(
            matches!(&packs[0].entries[1], TransactionEntry::Item { item_id, quantity: 20 } if item_id == "credits")
        );
        assert_eq!(packs[0].entries.len(), 2);
        let changes = TransactionFilter { kind: Some(TransactionKind::ItemChange), ..TransactionFilter::default() };
        assert_eq!(transactions(&bench.deps, &admin, &changes, None, 200).await.unwrap().transactions.len(), 7);
        let teams = TransactionFilter { customer_type: Some(CustomerType::Team), ..TransactionFilter::default() };
        assert!(transactions(&bench.deps, &admin, &teams, None, 200).await.unwrap().transactions.is_empty());
        let refused = transactions(&bench.deps, &server(&project), &teams, None, 200).await;
        assert_eq!(code(refused), Code::Forbidden);
    })
    .await;
}

#[tokio::test]
async fn what_was_not_paid_is_not_paid_back() {
    on_each_database(|bench| async move {
        let project = shop(&bench).await;
        let (_, ada) = ada(&bench, &project).await;
        let basic = give(&bench, &project, &ada, "basic", 1).await.unwrap();
        let pack = give(&bench, &project, &ada, "pack", 1).await.unwrap();
        let entry = RefundEntry { entry_index: 0, quantity: 1, amount_usd: "1".to_owned() };
        let wanted = |kind, id| RefundPurchase { kind, id, entries: vec![entry.clone()], invoice_id: None, end: None };
        let admin = admin(&project);
        for (kind, id, expected) in [
            (PurchaseKind::Subscription, basic.id, Code::SubscriptionInvoiceNotFound),
            (PurchaseKind::OneTime, basic.id, Code::OneTimePurchaseNotFound),
            (PurchaseKind::OneTime, pack.id, Code::OneTimePurchaseNotFound),
            (PurchaseKind::Subscription, pack.id, Code::SubscriptionInvoiceNotFound),
        ] {
            assert_eq!(code(refund(&bench.deps, &admin, &wanted(kind, id)).await), expected);
        }
        let server = server(&project);
        assert_eq!(code(refund(&bench.deps, &server, &wanted(PurchaseKind::OneTime, pack.id)).await), Code::Forbidden);
        assert_eq!(Customer::user(ada.user_id().unwrap()), ada);
    })
    .await;
}
