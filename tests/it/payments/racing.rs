//! Many at once.

use futures::future::join_all;
use serde_json::json;

use super::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_who_take_from_one_balance_take_what_there_is() {
    let shop = Shop::open().await;
    let customer = shop.user("racer").await;
    shop.buy(&customer, "pack", 4).await;
    let events = shop.stripe.take_events();
    shop.deliver(&events).await;
    let path = format!("/payments/items/user/{customer}/coins/update-quantity?allow_negative=false");
    let server = shop.app.rest().server();
    let tries = (0..100).map(async |_| server.post(&path, json!({ "delta": -1 })).await.status.as_u16());
    let outcomes = join_all(tries).await;
    let took = outcomes.iter().filter(|status| **status == 200).count();
    let refused = outcomes.iter().filter(|status| **status == 400).count();
    assert_eq!((took, refused), (40, 60), "{outcomes:?}");
    assert_eq!(shop.quantity(&customer, "coins").await, 0);
    shop.app.stop().await;
}

/// One event at the door a hundred times at once, and a refund asked for by twenty.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_or_asked_many_times_at_once_happens_once() {
    let shop = Shop::open().await;
    let customer = shop.user("crowd").await;
    shop.buy(&customer, "pack", 1).await;
    let events = shop.stripe.take_events();
    let posts = (0..100).map(async |number| shop.post(&events[number % events.len()]).await.status.as_u16());
    assert!(join_all(posts).await.iter().all(|status| *status == 200));
    shop.settle().await;
    assert_eq!(shop.quantity(&customer, "coins").await, 10);
    assert_eq!(shop.mails_once("crowd", 1).await.len(), 1);
    let id = shop.transactions(&customer).await[0]["id"].clone();
    let entry = json!({ "entry_index": 0, "quantity": 1, "amount_usd": "4.99" });
    let body = json!({ "type": "one-time-purchase", "id": id, "refund_entries": [entry] });
    let admin = shop.app.rest().admin();
    let path = "/internal/payments/transactions/refund";
    let refunds = join_all((0..20).map(async |_| admin.post(path, body.clone()).await.status.as_u16())).await;
    assert_eq!(refunds.iter().filter(|status| **status == 200).count(), 1, "{refunds:?}");
    assert!(refunds.iter().all(|status| [200, 400, 409].contains(status)), "{refunds:?}");
    assert_eq!(shop.stripe.refunds(&shop.account).len(), 1);
    assert!(shop.products(&customer).await.is_empty());
    shop.app.stop().await;
}

/// Each asks for a URL of its own: Stripe gets to know the customer once.
#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_made_once_at_stripe() {
    let shop = Shop::open().await;
    let customer = shop.user("once").await;
    let urls = join_all((0..20).map(async |_| shop.url_for(&customer, "pack").await.status.as_u16())).await;
    assert!(urls.iter().all(|status| *status == 200), "{urls:?}");
    assert_eq!(shop.stripe.objects(&shop.account, "customer").len(), 1);
    shop.app.stop().await;
}
