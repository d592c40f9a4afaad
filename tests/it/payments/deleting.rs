//! A project that is deleted has no customers any more who pay.

use postern_fake_stripe::Fault;
use serde_json::json;

use super::Shop;
use crate::support::eventually;

const KIND: &str = "end_stripe_subscription";

impl Shop {
    /// How each of these subscriptions stands at Stripe.
    fn standing(&self, subscriptions: &[String]) -> Vec<String> {
        let status = |id: &String| {
            let subscription = self.stripe.object(&self.account, id).unwrap();
            subscription["status"].as_str().unwrap().to_owned()
        };
        subscriptions.iter().map(status).collect()
    }

    async fn rows(&self, table: &str) -> u64 {
        use sea_orm::ConnectionTrait;
        let sql = format!("SELECT COUNT(*) AS count FROM {table} WHERE project_id = $1");
        let read = self.app.deps().db.read();
        let counting = postern_domain::db::statement(read, &sql, [self.app.demo.project_id.as_str().into()]);
        let row = read.query_one_raw(counting).await.unwrap().unwrap();
        row.try_get::<i64>("", "count").unwrap().unsigned_abs()
    }
}

/// More than one stretch of the purge, one that nobody has paid, and one whose end at Stripe still waited.
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_a_deleted_project_end_after_its_rows_are_gone() {
    let shop = Shop::open().await;
    let mut subscriptions = Vec::new();
    for number in 0..30 {
        let customer = shop.user(&format!("left-{number}")).await;
        subscriptions.push(shop.subscribe(&customer, "basic", 1).await);
        shop.buy(&customer, "pack", 1).await;
    }
    let unpaid = shop.user("unpaid").await;
    let code = shop.code(&unpaid, "basic").await;
    shop.begin(&code, "monthly", 1).await;
    let made = shop.stripe.subscriptions(&shop.account);
    subscriptions.push(made.last().unwrap()["id"].as_str().unwrap().to_owned());
    shop.deliver_all().await;
    for _ in 0..40 {
        shop.stripe.fail_next("DELETE", "/v1/subscriptions", Fault::Status(500));
    }
    // Its end waits for Stripe when the project goes.
    let replaced = shop.user("replaced").await;
    subscriptions.push(shop.subscribe(&replaced, "basic", 1).await);
    shop.deliver_all().await;
    let grant = json!({ "product_id": "pro" });
    shop.app.rest().server().post(&format!("/payments/products/user/{replaced}"), grant).await.json(200);

    shop.app.rest().admin().delete("/internal/projects/current").await.json(200);
    eventually("the end of the rows", async || {
        (shop.rows("purchase").await + shop.rows("stripe_account").await == 0).then_some(())
    })
    .await;
    assert!(shop.standing(&subscriptions).iter().any(|status| status != "canceled"));
    eventually("the end at Stripe", async || {
        shop.bring_forward(KIND).await;
        shop.standing(&subscriptions).iter().all(|status| status == "canceled").then_some(())
    })
    .await;
    shop.app.stop().await;
}
