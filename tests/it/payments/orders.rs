//! Every story of a purchase, its events delivered in order, reversed, shuffled, and each ten times.

use postern_fake_stripe::stories::Story;
use rand::{SeedableRng, rngs::SmallRng, seq::SliceRandom};
use serde_json::{Value, json};

use super::Shop;

/// In which order events come, and how often.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    AsMade,
    Reversed,
    Shuffled(u64),
    TenTimes(u64),
}

impl Order {
    pub(super) const ALL: [Self; 5] =
        [Self::AsMade, Self::Reversed, Self::Shuffled(1), Self::Shuffled(2), Self::TenTimes(3)];

    pub(super) fn of(self, mut events: Vec<Value>) -> Vec<Value> {
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
    let mut posted = 0;
    for (number, order) in Order::ALL.into_iter().enumerate() {
        for story in Story::ALL {
            let name = format!("{}-{number}", story.name());
            let customer = shop.user(&name).await;
            let refunds = shop.stripe.refunds(&shop.account).len();
            shop.tell(story, &customer).await;
            let events = order.of(shop.stripe.take_events());
            posted += events.len();
            shop.deliver(&events).await;
            let (what, outcome) = (format!("{} {order:?}", story.name()), story.outcome());
            assert_eq!(shop.quantity(&customer, "credits").await, outcome.credits, "{what}: credits");
            assert_eq!(shop.quantity(&customer, "coins").await, outcome.coins, "{what}: coins");
            let products = shop.products(&customer).await;
            let products: Vec<_> = products.iter().map(|(id, quantity)| (id.as_str(), *quantity)).collect();
            assert_eq!(products, outcome.products, "{what}: products");
            let transactions = shop.transactions(&customer).await;
            assert_eq!(transactions.len(), outcome.transactions, "{what}: {transactions:?}");
            let refunded = transactions.iter().filter(|transaction| transaction["adjusted_by"] != json!([])).count();
            assert_eq!(refunded, outcome.refunded, "{what}: {transactions:?}");
            let paid_back = shop.stripe.refunds(&shop.account);
            let paid_back = paid_back[refunds..].iter().map(|refund| refund["amount"].as_i64().unwrap());
            assert_eq!(paid_back.sum::<i64>(), outcome.paid_back, "{what}: paid back");
            let mails = shop.mails_once(&name, outcome.receipts + outcome.failures).await;
            let receipts = mails.iter().filter(|subject| subject.contains("receipt")).count();
            assert_eq!((receipts, mails.len() - receipts), (outcome.receipts, outcome.failures), "{what}: {mails:?}");
        }
    }
    println!("{} stories in {} orders, {posted} events posted", Story::ALL.len(), Order::ALL.len());
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
