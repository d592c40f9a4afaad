//! The server as stories reach it, which say what customers do and how it ends (`tests/stripe`).

use postern_fake_stripe::{
    Card,
    stories::{Call, Caller, Failure, Scene, Seller, Story},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::Shop;

impl Seller for Shop {
    async fn call(&self, call: &Call) -> Result<Value, Failure> {
        let rest = self.app.rest();
        let client = match call.by {
            Caller::Anybody => rest,
            Caller::Server => rest.server(),
            Caller::Admin => rest.admin(),
        };
        let method: Method = call.method.parse()?;
        let body = (!call.body.is_null()).then(|| call.body.clone());
        Ok(client.send(method, &call.path, body).await.json(200))
    }

    async fn catch_up(&self) -> Result<(), Failure> {
        let told = self.stripe.take_events();
        self.deliver(&told).await;
        Ok(())
    }
}

impl Shop {
    pub(super) fn scene(&self) -> Scene<'_, Self> {
        Scene { seller: self, stripe: &self.stripe, account: &self.account }
    }

    /// Tells a whole story of a customer.
    pub(super) async fn tell(&self, story: Story, customer: &str) {
        story.prepare(&self.scene(), customer).await.unwrap();
        if !story.acts() {
            return;
        }
        self.catch_up().await.unwrap();
        let act = story.act(&self.scene(), customer).await.unwrap();
        self.call(&act.unwrap()).await.unwrap();
    }
}

pub(super) async fn add_card(shop: &Shop, customer: &str) {
    let path = format!("/payments/payment-method/user/{customer}");
    let server = shop.app.rest().server();
    let setup = server.post(&format!("{path}/setup-intent"), json!({})).await.json(200);
    assert_eq!(setup["stripe_account_id"], shop.account.as_str());
    let id = setup["client_secret"].as_str().unwrap().split_once("_secret").unwrap().0.to_owned();
    let waiting = server.post(&format!("{path}/set-default"), json!({ "setup_intent_id": id })).await;
    waiting.refused_with_text(400);
    shop.stripe.confirm_setup_intent(&shop.account, &id, &Card::default()).unwrap();
    let set = server.post(&format!("{path}/set-default"), json!({ "setup_intent_id": id })).await.json(200);
    assert_eq!(set["success"], true);
    assert!(set["default_payment_method"]["id"].as_str().unwrap().starts_with("pm_"), "{set}");
}
