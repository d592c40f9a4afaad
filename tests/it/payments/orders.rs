//! Every story of a purchase, its events delivered in order, reversed, shuffled, and each ten times.

use rand::{SeedableRng, rngs::SmallRng, seq::SliceRandom};
use serde_json::Value;

use super::{Shop, stories};

/// In which order events come, and how often.
#[derive(Clone, Copy, Debug)]
enum Order {
    AsMade,
    Reversed,
    Shuffled(u64),
    TenTimes(u64),
}

impl Order {
    fn of(self, mut events: Vec<Value>) -> Vec<Value> {
        match self {
            Self::AsMade => {}
            Self::Reversed => events.reverse(),
            Self::Shuffled(seed) => events.shuffle(&mut SmallRng::seed_from_u64(seed)),
            Self::TenTimes(seed) => {
                events = std::iter::repeat_n(events, 10).flatten().collect();
                events.shuffle(&mut SmallRng::seed_from_u64(seed));
            }
        }
        events
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_order_of_events_a_story_ends_the_same() {
    let shop = Shop::open().await;
    let orders = [Order::AsMade, Order::Reversed, Order::Shuffled(1), Order::Shuffled(2), Order::TenTimes(3)];
    let mut posted = 0;
    for (number, order) in orders.into_iter().enumerate() {
        for story in stories::ALL {
            let name = format!("{}-{number}", story.name);
            let customer = shop.user(&name).await;
            (story.run)(&shop, &customer).await;
            let events = order.of(shop.stripe.take_events());
            posted += events.len();
            shop.deliver(&events).await;
            let what = format!("{} {order:?}", story.name);
            assert_eq!(shop.quantity(&customer, "credits").await, story.credits, "{what}: credits");
            assert_eq!(shop.quantity(&customer, "coins").await, story.coins, "{what}: coins");
            let products = shop.products(&customer).await;
            let products: Vec<_> = products.iter().map(|(id, quantity)| (id.as_str(), *quantity)).collect();
            assert_eq!(products, story.products, "{what}: products");
            let transactions = shop.transactions(&customer).await;
            assert_eq!(transactions.len(), story.transactions, "{what}: {transactions:?}");
            let mails = shop.mails_once(&name, story.receipts + story.failures).await;
            let receipts = mails.iter().filter(|subject| subject.contains("receipt")).count();
            assert_eq!((receipts, mails.len() - receipts), (story.receipts, story.failures), "{what}: {mails:?}");
        }
    }
    println!("{} stories in {} orders, {posted} events posted", stories::ALL.len(), orders.len());
    shop.app.stop().await;
}

/// Nothing was posted at all: what was missed is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_were_missed_are_fetched() {
    let shop = Shop::open().await;
    let customer = shop.user("missed").await;
    let intent = shop.buy(&customer, "pack", 3).await;
    shop.subscribe(&customer, "basic", 1).await;
    let events = shop.stripe.take_events();
    assert_eq!((shop.quantity(&customer, "coins").await, shop.quantity(&customer, "credits").await), (0, 0));
    let fetch =
        async || postern_domain::payments::stripe::events::fetch_all(shop.app.deps(), None, None).await.unwrap();
    let fetched = fetch().await;
    assert_eq!((fetched.accounts, fetched.failed), (1, 0));
    assert!(fetched.new >= events.len(), "{fetched:?}");
    shop.settle().await;
    assert_eq!((shop.quantity(&customer, "coins").await, shop.quantity(&customer, "credits").await), (30, 100));
    // What is posted after all, or fetched again, is known.
    shop.deliver(&events).await;
    assert_eq!(fetch().await.new, 0);
    assert_eq!(shop.quantity(&customer, "coins").await, 30);
    // Replayed by hand, it is worked off again and grants nothing again.
    let paid = events.iter().find(|event| event["type"] == "payment_intent.succeeded").unwrap();
    assert_eq!(paid["data"]["object"]["id"], intent.as_str());
    assert!(
        postern_domain::payments::stripe::events::replay(shop.app.deps(), paid["id"].as_str().unwrap()).await.unwrap()
    );
    shop.settle().await;
    assert_eq!(shop.quantity(&customer, "coins").await, 30);
    assert_eq!(shop.mails_once("missed", 2).await.len(), 2);
    assert!(!postern_domain::payments::stripe::events::replay(shop.app.deps(), "evt_nobody").await.unwrap());
    shop.app.stop().await;
}
