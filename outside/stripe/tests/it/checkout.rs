use postern_domain::ports::stripe::{BillingUnit, CheckoutOf, NewCheckout, RecurringPrice, Stripe};
use serde_json::json;

use crate::{Shop, metadata, monthly};

impl Shop {
    async fn page(&self, of: CheckoutOf) -> NewCheckout {
        NewCheckout {
            customer_id: self.customer("u1").await.id,
            of,
            quantity: 3,
            metadata: metadata(&[("productId", "pro"), ("purchaseQuantity", "3")]),
            success_url: "https://app/done".to_owned(),
            cancel_url: "https://app/back".to_owned(),
        }
    }
}

#[tokio::test]
async fn a_page_that_is_paid_makes_a_payment() {
    let shop = Shop::open().await;
    let of = CheckoutOf::OneTime { product_name: "Book".to_owned(), unit_amount: 900, currency: "eur".to_owned() };
    let new = shop.page(of).await;
    let page = shop.stripe.create_checkout(&shop.account, &new, "page").await.unwrap();
    assert_eq!(shop.stripe.create_checkout(&shop.account, &new, "page").await.unwrap(), page);
    assert!(page.id.starts_with("cs_") && page.url.starts_with("https://"));
    assert_eq!(shop.fake.objects(&shop.account, "payment_intent"), Vec::<serde_json::Value>::new());

    let session = shop.fake.complete_checkout(&shop.account, &page.id).unwrap();
    let paid = shop.stripe.payment_intent(&shop.account, session["payment_intent"].as_str().unwrap()).await.unwrap();
    assert_eq!((&*paid.status, paid.amount_received, &*paid.currency), ("succeeded", 2700, "eur"));
    assert_eq!((paid.metadata, paid.customer_id), (new.metadata, Some(new.customer_id)));
    assert_eq!(shop.told().last().unwrap(), "checkout.session.completed");
    assert!(shop.fake.complete_checkout(&shop.account, &page.id).is_err());
}

#[tokio::test]
async fn a_page_that_is_paid_makes_a_subscription() {
    let shop = Shop::open().await;
    let new = shop.page(CheckoutOf::Subscription { price: monthly(500), trial_days: 0 }).await;
    let page = shop.stripe.create_checkout(&shop.account, &new, "page").await.unwrap();
    shop.fake.complete_checkout(&shop.account, &page.id).unwrap();
    let found = shop.stripe.subscriptions(&shop.account, &new.customer_id).await.unwrap();
    let [only] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&*only.status, only.quantity, only.unit_amount), ("active", 3, Some(500)));
    assert_eq!(only.metadata, new.metadata);
    let invoices = shop.stripe.invoices(&shop.account, &new.customer_id, None, 10).await.unwrap().items;
    assert_eq!((invoices[0].amount_paid, invoices[0].description.as_deref()), (1500, Some("3 × Pro (at 500 / month)")));
}

#[tokio::test]
async fn a_page_may_begin_with_a_trial() {
    let shop = Shop::open().await;
    let yearly = RecurringPrice { interval: BillingUnit::Year, ..monthly(500) };
    let new = shop.page(CheckoutOf::Subscription { price: yearly, trial_days: 14 }).await;
    let page = shop.stripe.create_checkout(&shop.account, &new, "page").await.unwrap();
    assert_eq!(shop.fake.requests().last().unwrap().params["subscription_data"]["trial_period_days"], json!("14"));
    shop.fake.complete_checkout(&shop.account, &page.id).unwrap();
    let found = shop.stripe.subscriptions(&shop.account, &new.customer_id).await.unwrap();
    assert_eq!(found[0].status, "trialing");
    assert_eq!(found[0].period_end.seconds() - found[0].period_start.seconds(), 14 * 86_400);
}

#[tokio::test]
async fn open_pages_of_a_product_are_closed() {
    let shop = Shop::open().await;
    let of = || CheckoutOf::OneTime { product_name: "Book".to_owned(), unit_amount: 900, currency: "usd".to_owned() };
    let book = shop.page(of()).await;
    let mut ids = Vec::new();
    for (key, product_id) in [("paid", "pro"), ("open", "pro"), ("other", "another")] {
        let metadata = metadata(&[("productId", product_id)]);
        let new = NewCheckout { metadata, ..book.clone() };
        ids.push(shop.stripe.create_checkout(&shop.account, &new, key).await.unwrap().id);
    }
    shop.fake.complete_checkout(&shop.account, &ids[0]).unwrap();
    let close = async || shop.stripe.close_checkouts(&shop.account, &book.customer_id, "pro").await.unwrap();
    assert_eq!((close().await, close().await), (1, 0));
    let status = |id: &str| shop.fake.object(&shop.account, id).unwrap()["status"].clone();
    assert_eq!([status(&ids[0]), status(&ids[1]), status(&ids[2])], ["complete", "expired", "open"]);
    assert!(shop.fake.complete_checkout(&shop.account, &ids[1]).is_err());
    assert_eq!(shop.told().last().unwrap(), "checkout.session.expired");
}
