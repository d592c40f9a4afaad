//! Items on both databases.

mod changing;
mod folding;
mod seats;
mod sources;
mod together;

use postern_entity::{item_balance, item_change, item_grant, item_source};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};

use super::{Customer, CustomerType, ItemChange, change, get};
use crate::{
    Code, ProjectId, Result, Timestamp, UserId,
    testing::{TestBench, server},
    users::{self, CreateUser},
};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A project with items for each sort of customer.
async fn project(bench: &TestBench) -> ProjectId {
    let project = bench.insert_project().await;
    let items = json!({ "payments.items": {
        "credits": { "displayName": "Credits", "customerType": "user" },
        "other": {},
        "seats": { "customerType": "team" },
        "calls": { "customerType": "custom" },
    } });
    bench.set_config(&project, items).await;
    project
}

async fn user(bench: &TestBench, project: &ProjectId) -> UserId {
    users::create(&bench.deps, &server(project), CreateUser::default()).await.unwrap().id
}

fn custom(id: &str) -> Customer {
    Customer::new(CustomerType::Custom, id)
}

fn by(delta: i64) -> ItemChange {
    ItemChange { delta, ..ItemChange::default() }
}

fn owing(delta: i64) -> ItemChange {
    ItemChange { allow_negative: true, ..by(delta) }
}

fn until(delta: i64, end: Timestamp) -> ItemChange {
    ItemChange { expires_at: Some(end), ..by(delta) }
}

/// Adds or takes calls of a custom customer; answers what there is then.
async fn calls(bench: &TestBench, project: &ProjectId, customer: &Customer, of: ItemChange) -> i64 {
    change(&bench.deps, &server(project), customer, "calls", of).await.unwrap().quantity
}

async fn calls_of(bench: &TestBench, project: &ProjectId, customer: &Customer) -> i64 {
    get(&bench.deps, &server(project), customer, "calls").await.unwrap().quantity
}

fn refusal(outcome: Result<impl Sized>) -> (Code, Value) {
    let failure = outcome.err().expect("a refusal").failure().cloned().expect("a failure that is told");
    (failure.code, failure.details.unwrap_or_default())
}

/// How many rows there are: balances, grants, sources, entries of the ledger.
async fn rows(bench: &TestBench) -> [u64; 4] {
    let reader = bench.deps.db.read();
    [
        item_balance::Entity::find().count(reader).await.unwrap(),
        item_grant::Entity::find().count(reader).await.unwrap(),
        item_source::Entity::find().count(reader).await.unwrap(),
        item_change::Entity::find().count(reader).await.unwrap(),
    ]
}

/// The quantities that events told, oldest first.
async fn told(bench: &TestBench, project: &ProjectId) -> Vec<i64> {
    let events = bench.events(project).await;
    let of_items = events.iter().filter(|(kind, _)| kind == "item.changed");
    of_items.map(|(_, payload)| payload["quantity"].as_i64().unwrap()).collect()
}
