//! Paying twice for what one can have once: the second payment is paid back, once, whoever tells of it in which order.

use postern_fake_stripe::Fault;
use reqwest::{Method, redirect};
use serde_json::{Value, json};

use super::{Shop, orders::Order};
use crate::support::eventually;

impl Shop {
    /// Pays at two URLs, of which both were there before anything was paid.
    async fn pay_at_two(&self, customer: &str, products: [&str; 2]) -> Vec<String> {
        let mut intents = Vec::new();
        for product in products {
            let code = self.code(customer, product).await;
            intents.push(self.begin(&code, "once", 1).await);
        }
        for intent in &intents {
            self.stripe.pay_intent(&self.account, intent).unwrap();
        }
        intents
    }

    /// Chooses a price on our own page, as a browser does; answers Stripe's page.
    async fn open_page(&self, code: &str) -> String {
        let client = reqwest::Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        let form = "price_id=once&quantity=1";
        let posted = client
            .request(Method::POST, format!("{}/purchase/{code}", self.app.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .unwrap();
        assert!(posted.status().is_redirection(), "{}", posted.text().await.unwrap());
        let sessions = self.stripe.objects(&self.account, "checkout.session");
        sessions.last().unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn status(&self, session: &str) -> Value {
        self.stripe.object(&self.account, session).unwrap()["status"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_payment_for_what_one_can_have_once_is_paid_back_once() {
    let shop = Shop::open().await;
    for (number, order) in Order::ALL.into_iter().enumerate() {
        let name = format!("twice-{number}");
        let customer = shop.user(&name).await;
        let intents = shop.pay_at_two(&customer, ["weekly", "weekly"]).await;
        let told = shop.stripe.take_events();
        shop.deliver(&order.of(told.clone())).await;
        // What Stripe tells of the refund changes nothing, nor does anything that comes once more.
        shop.deliver_all().await;
        shop.deliver(&told).await;
        assert_eq!(shop.paid_back(&intents), [4900], "{order:?}");
        assert_eq!(shop.products(&customer).await, [("weekly".to_owned(), 1)], "{order:?}");
        assert_eq!(shop.quantity(&customer, "coins").await, 5, "{order:?}");
        assert_eq!(shop.mails_once(&name, 1).await.len(), 1, "{order:?}");
        let transactions = shop.transactions(&customer).await;
        let is_paid_back = |transaction: &&Value| transaction["adjusted_by"] != json!([]);
        let (back, kept): (Vec<_>, Vec<_>) = transactions.iter().partition(is_paid_back);
        assert_eq!((back.len(), kept.len()), (1, 1), "{transactions:?}");
        // Money went to and fro, and no item was granted by it.
        let types = |transaction: &Value| {
            let entries = transaction["entries"].as_array().unwrap().iter();
            entries.map(|entry| entry["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(types(back[0]), ["product_grant", "money_transfer"]);
        assert_eq!(types(kept[0]), ["product_grant", "money_transfer", "item_quantity_change"]);
        let refund = json!({
            "type": "one-time-purchase", "id": back[0]["id"],
            "refund_entries": [{ "entry_index": 0, "quantity": 0, "amount_usd": "1" }],
        });
        let asked = shop.app.rest().admin().post("/internal/payments/transactions/refund", refund).await;
        asked.refused(400, "ONE_TIME_PURCHASE_ALREADY_REFUNDED");
    }
    shop.app.stop().await;
}

/// As the checks would have refused it before: a line that is held for good is held by one product.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_held_for_good_is_not_sold_again() {
    let shop = Shop::open().await;
    let mut config = super::catalogue();
    config["payments.products"]["forever"] = config["payments.products"]["lifetime"].clone();
    shop.configure(config).await;
    let customer = shop.user("lines").await;
    let intents = shop.pay_at_two(&customer, ["lifetime", "forever"]).await;
    shop.deliver_all().await;
    assert_eq!(shop.paid_back(&intents), [19_900]);
    assert_eq!(shop.products(&customer).await, [("lifetime".to_owned(), 1)]);
    // What can be had several times is kept as often as it is paid.
    let packs = shop.pay_at_two(&customer, ["pack", "pack"]).await;
    shop.deliver_all().await;
    assert!(shop.paid_back(&packs).is_empty());
    assert_eq!(shop.quantity(&customer, "coins").await, 20);
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_that_fails_pays_back_once_all_the_same() {
    let shop = Shop::open().await;
    for (number, fault) in
        [Fault::Status(500), Fault::DropAfterDoing, Fault::StatusAfterDoing(500)].into_iter().enumerate()
    {
        let customer = shop.user(&format!("unlucky-{number}")).await;
        let intents = shop.pay_at_two(&customer, ["weekly", "weekly"]).await;
        shop.stripe.fail_next("POST", "/v1/refunds", fault);
        shop.deliver_all().await;
        eventually("the refund", async || {
            shop.bring_forward("finish_stripe_operation").await;
            let transactions = shop.transactions(&customer).await;
            transactions.iter().any(|transaction| transaction["adjusted_by"] != json!([])).then_some(())
        })
        .await;
        assert_eq!(shop.paid_back(&intents), [4900]);
        assert_eq!(shop.quantity(&customer, "coins").await, 5);
    }
    shop.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_sell_the_same_are_closed_when_it_is_paid() {
    let shop = Shop::open().await;
    let customer = shop.user("pages").await;
    let mut pages = Vec::new();
    for product in ["weekly", "weekly", "pack"] {
        let code = shop.code(&customer, product).await;
        pages.push(shop.open_page(&code).await);
    }
    shop.stripe.complete_checkout(&shop.account, &pages[0]).unwrap();
    shop.deliver_all().await;
    let statuses: Vec<_> = pages.iter().map(|page| shop.status(page)).collect();
    assert_eq!(statuses, ["complete", "expired", "open"]);
    assert_eq!(shop.products(&customer).await, [("weekly".to_owned(), 1)]);
    // A page that Stripe does not close for now is paid, and paid back.
    let other = shop.user("slow").await;
    let mut pages = Vec::new();
    for _ in 0..2 {
        let code = shop.code(&other, "weekly").await;
        pages.push(shop.open_page(&code).await);
    }
    shop.stripe.fail_next("POST", "/v1/checkout/sessions", Fault::Status(500));
    shop.stripe.complete_checkout(&shop.account, &pages[0]).unwrap();
    shop.deliver_all().await;
    let paid = shop.stripe.complete_checkout(&shop.account, &pages[1]).unwrap();
    shop.deliver_all().await;
    assert_eq!(shop.paid_back(&[paid["payment_intent"].as_str().unwrap().to_owned()]), [4900]);
    assert_eq!(shop.quantity(&other, "coins").await, 5);
    shop.app.stop().await;
}
