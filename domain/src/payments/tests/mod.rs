//! Products without Stripe, on every database: who may have what, what is granted, and what stays of it. What Stripe does is
//! tested through the doors, against a server that speaks its wire format.

mod granting;
mod owning;
mod versions;

use serde_json::{Value, json};

use super::{Granted, OwnedProduct, ProductChoice, grant, product::Product, products};
use crate::{
    Code, ProjectId, Result, Timestamp, UserId,
    items::{self, Customer, CustomerType},
    testing::{START, TestBench, server},
    users::{self, CreateUser},
};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A project that sells.
async fn shop(bench: &TestBench) -> ProjectId {
    let project = bench.insert_project().await;
    bench.set_config(&project, config()).await;
    project
}

fn config() -> Value {
    json!({
        "payments.items": { "credits": { "customerType": "user" }, "seats": { "customerType": "custom" } },
        "payments.productLines.plans": { "customerType": "user" },
        "payments.products": {
            "basic": plan("Basic", "9", 100),
            "pro": plan("Pro", "19.99", 1000),
            "lifetime": {
                "displayName": "Lifetime", "customerType": "user", "productLineId": "plans",
                "prices": { "once": { "USD": "499" } },
            },
            "extra": {
                "customerType": "user", "productLineId": "plans", "isAddOnTo": { "pro": true },
                "prices": { "monthly": { "USD": "5", "interval": [1, "month"] } },
            },
            "pack": {
                "customerType": "user", "stackable": true, "prices": { "once": { "USD": "5", "EUR": "4.5" } },
                "includedItems": { "credits": { "quantity": 10, "expires": "never" } },
            },
            "secret": { "customerType": "user", "serverOnly": true, "prices": { "once": { "USD": "1" } } },
            "crate": {
                "customerType": "custom", "stackable": true, "prices": { "once": { "USD": "5" } },
                "includedItems": { "seats": { "quantity": 3, "repeat": [1, "week"], "expires": "never" } },
            },
            "free": { "customerType": "user", "prices": "include-by-default" },
            "halves": {
                "customerType": "user", "prices": { "once": { "USD": "5" } },
                "includedItems": { "credits": { "quantity": 0.5 } },
            },
            "below": {
                "customerType": "user", "prices": { "once": { "USD": "5" } },
                "includedItems": { "credits": { "quantity": -3 } },
            },
            "restless": {
                "customerType": "user", "prices": { "once": { "USD": "5" } },
                "includedItems": { "credits": { "quantity": 1, "repeat": [0, "day"] } },
            },
            "cheap": { "customerType": "user", "prices": { "once": { "USD": "5.001" } } },
        },
    })
}

fn plan(name: &str, usd: &str, credits: i64) -> Value {
    json!({
        "displayName": name, "customerType": "user", "productLineId": "plans",
        "prices": { "monthly": { "USD": usd, "interval": [1, "month"] } },
        "includedItems": { "credits": { "quantity": credits, "repeat": [1, "month"], "expires": "when-repeated" } },
    })
}

async fn ada(bench: &TestBench, project: &ProjectId) -> (UserId, Customer) {
    let id = users::create(&bench.deps, &server(project), CreateUser::default()).await.unwrap().id;
    (id, Customer::user(id))
}

fn crates() -> Customer {
    Customer::new(CustomerType::Custom, "acme")
}

async fn give(
    bench: &TestBench,
    project: &ProjectId,
    customer: &Customer,
    product: &str,
    quantity: i64,
) -> Result<Granted> {
    let choice = ProductChoice::Configured(product.to_owned());
    grant(&bench.deps, &server(project), customer, &choice, quantity).await
}

async fn has(bench: &TestBench, project: &ProjectId, customer: &Customer) -> Vec<OwnedProduct> {
    products(&bench.deps, &server(project), customer).await.unwrap()
}

/// What a customer has, as key and quantity.
async fn list(bench: &TestBench, project: &ProjectId, customer: &Customer) -> Vec<(String, i64)> {
    let owned = has(bench, project, customer).await;
    owned.into_iter().map(|owned| (owned.id.unwrap_or_default(), owned.quantity)).collect()
}

async fn quantity(bench: &TestBench, project: &ProjectId, customer: &Customer, item: &str) -> i64 {
    items::get(&bench.deps, &server(project), customer, item).await.unwrap().quantity
}

fn on_day(bench: &TestBench, days: i64) {
    at(bench, START.plus_millis(days * DAY));
}

fn at(bench: &TestBench, to: Timestamp) {
    bench.clock.advance_millis(to.millis() - bench.deps.now().millis());
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().failure().unwrap().code
}

fn inline(value: Value) -> ProductChoice {
    let mut all = json!({
        "display_name": "Made for you", "customer_type": "user", "server_only": true, "stackable": false, "prices": {},
        "included_items": {}, "client_metadata": null, "client_read_only_metadata": null, "server_metadata": null,
    });
    all.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    ProductChoice::Inline(Box::new(serde_json::from_value::<Product>(all).unwrap()))
}
