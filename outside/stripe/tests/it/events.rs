use postern_domain::ports::stripe::{Stripe, StripeError};
use postern_entity::Timestamp;
use serde_json::Value;

use crate::Shop;

fn ids(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn events_come_in_pages_newest_first_as_they_are_posted() {
    let shop = Shop::open().await;
    shop.fake.set_now(1_800_000_000);
    shop.customer("before").await;
    shop.fake.advance(10);
    for at in 0..130 {
        shop.customer(&format!("u{at}")).await;
    }
    let since = Timestamp(1_800_000_010_000);
    let first = shop.stripe.events(&shop.account, since, None, None).await.unwrap();
    assert_eq!((first.items.len(), first.has_more), (100, true));
    let last = ids(&first.items).pop();
    let second = shop.stripe.events(&shop.account, since, None, last.as_deref()).await.unwrap();
    assert_eq!((second.items.len(), second.has_more), (30, false));

    let mut seen = [first.items, second.items].concat();
    seen.reverse();
    let posted = shop.fake.events(&shop.account);
    assert_eq!(seen, posted[posted.len() - 130..]);
    assert_eq!(seen[0]["account"], shop.account.as_str());
    let none = shop.stripe.events(&shop.account, Timestamp(1_800_000_011_000), None, None).await.unwrap();
    assert_eq!((none.items, none.has_more), (vec![], false));
}

#[tokio::test]
async fn a_cursor_that_is_gone_is_not_found() {
    let shop = Shop::open().await;
    let events = shop.stripe.events(&shop.account, Timestamp(0), None, Some("evt_unknown")).await;
    assert!(matches!(events, Err(StripeError::NotFound(_))), "{events:?}");
}
