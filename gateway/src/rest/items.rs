//! `/payments/items`: what customers have of items.

use postern_domain::items::{self, Customer, Item, ItemChange};

use super::{
    call::{Call, OPEN, SERVER},
    input::{Ignored, OneOf, Time, input},
    payments::customer::{CustomerTypes, named},
    reply::{Answer, Nothing, Reply},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let path = "/payments/items/{customer_type}/{customer_id}/{item_id}";
    Routes::new()
        .get(path, get, About::new("Items", "Says what a customer has of an item", OPEN).path::<ItemPath>())
        .post(
            &format!("{path}/update-quantity"),
            update_quantity,
            About::new("Items", "Adds to or takes from what a customer has of an item", SERVER)
                .path::<ItemPath>()
                .query::<ChangeQuery>()
                .body::<ChangeBody>(),
        )
}

input! {
    struct ItemPath { customer_type: OneOf<CustomerTypes>, customer_id: String, item_id: String }
}

input! {
    struct ChangeQuery { allow_negative: bool }
}

input! {
    struct ChangeBody { delta: i64, expires_at: Option<Time>, description: Option<String> }
}

impl ItemPath {
    fn customer(&self) -> Customer {
        named(&self.customer_type, &self.customer_id)
    }
}

async fn get(mut call: Call) -> Answer<Item> {
    let actor = call.actor(OPEN)?;
    let (path, _, _) = call.read::<ItemPath, Ignored, Ignored>()?;
    Ok(Reply::ok(items::get(&call.deps, &actor, &path.customer(), &path.item_id).await?))
}

async fn update_quantity(mut call: Call) -> Answer<Nothing> {
    let actor = call.actor(SERVER)?;
    let (path, query, body) = call.read::<ItemPath, ChangeQuery, ChangeBody>()?;
    let change = ItemChange {
        delta: body.delta,
        allow_negative: query.allow_negative,
        expires_at: body.expires_at.map(|time| time.0),
        description: body.description,
    };
    items::change(&call.deps, &actor, &path.customer(), &path.item_id, change).await?;
    Ok(Reply::ok(Nothing {}))
}
