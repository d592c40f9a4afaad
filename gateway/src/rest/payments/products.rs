//! `/payments/products`: what customers have, and what servers grant, cancel and change (wire: payments §5).

use postern_domain::{
    Failure, PurchaseId, Result,
    error::refuse,
    payments::{
        self, Cancelled, OwnedProduct, OwnedSubscription, ProductChoice, PurchaseKind, SwitchOption, SwitchProduct,
        cancel::INLINE, product::Product,
    },
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    customer::{AccountPath, CustomerPath, CustomerTypes, named},
    inline::InlineProduct,
};
use crate::rest::{
    call::{Call, OPEN, SERVER},
    input::{Ignored, OneOf, Positive, input},
    reply::{Answer, List, Reply, Success, iso, success},
    routes::{About, Routes},
};

/// The page when its size is not told.
const DEFAULT_LIMIT: u64 = 10;

pub(super) fn routes() -> Routes {
    let all = "/payments/products/{customer_type}/{customer_id}";
    let about = |summary, allowed| About::new("Payments", summary, allowed);
    Routes::new()
        .get(
            all,
            list,
            about("Lists the products that a customer has", OPEN).path::<CustomerPath>().query::<ListQuery>(),
        )
        .post(all, grant, about("Grants a product", SERVER).path::<CustomerPath>().body::<GrantBody>())
        .post(
            &format!("{all}/switch"),
            switch,
            about("Changes from one product of a line to another", OPEN).path::<AccountPath>().body::<SwitchBody>(),
        )
        .delete(
            &format!("{all}/{{product_id}}"),
            cancel,
            about("Cancels the subscriptions of a product", OPEN).path::<ProductPath>().query::<CancelQuery>(),
        )
}

input! {
    /// `cursor`: key of the first product of the page.
    struct ListQuery { cursor: Option<String>, limit: Option<Positive<100>> }
}

input! {
    struct GrantBody {
        product_id: Option<String>,
        product_inline: Option<InlineProduct>,
        quantity: Option<Positive>,
    }
}

input! {
    struct SwitchBody {
        from_product_id: String,
        to_product_id: String,
        price_id: Option<String>,
        quantity: Option<Positive>,
    }
}

input! {
    /// `product_id`: `_inline` stands for what came with requests.
    struct ProductPath { customer_type: OneOf<CustomerTypes>, customer_id: String, product_id: String }
}

input! {
    struct CancelQuery { subscription_id: Option<PurchaseId> }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CustomerProduct")]
struct OwnedView {
    /// Null for what came with requests.
    id: Option<String>,
    quantity: i64,
    product: Product,
    /// `one_time` or `subscription`.
    #[serde(rename = "type")]
    kind: &'static str,
    subscription: Option<SubscriptionView>,
    /// What the customer can change to; only where the product has a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    switch_options: Option<Vec<SwitchView>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CustomerSubscription")]
struct SubscriptionView {
    subscription_id: PurchaseId,
    /// ISO 8601.
    current_period_end: Option<String>,
    cancel_at_period_end: bool,
    is_cancelable: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProductSwitchOption")]
struct SwitchView {
    product_id: String,
    product: Product,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GrantedProduct")]
struct GrantView {
    success: bool,
    /// Of a product that is paid again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_id: Option<PurchaseId>,
}

/// The product as a caller of this level sees it: what is for servers only is null to others, who want the key all the same.
pub(super) fn shown(product: Product, to_server: bool) -> Product {
    if to_server { product } else { Product { server_metadata: None, ..product } }
}

impl OwnedView {
    fn of(owned: OwnedProduct, to_server: bool) -> Self {
        let kind = match owned.kind() {
            PurchaseKind::OneTime => "one_time",
            PurchaseKind::Subscription => "subscription",
        };
        let option =
            |SwitchOption { product_id, product }| SwitchView { product_id, product: shown(product, to_server) };
        Self {
            id: owned.id,
            quantity: owned.quantity,
            product: shown(owned.product, to_server),
            kind,
            subscription: owned.subscription.map(SubscriptionView::from),
            switch_options: owned.switch_options.map(|options| options.into_iter().map(option).collect()),
        }
    }
}

impl From<OwnedSubscription> for SubscriptionView {
    fn from(subscription: OwnedSubscription) -> Self {
        Self {
            subscription_id: subscription.id,
            current_period_end: subscription.period_end.map(iso),
            cancel_at_period_end: subscription.cancel_at_period_end,
            is_cancelable: true,
        }
    }
}

async fn list(mut call: Call) -> Answer<List<OwnedView>> {
    let actor = call.actor(OPEN)?;
    let (path, query, _) = call.read::<CustomerPath, ListQuery, Ignored>()?;
    let all = payments::products(&call.deps, &actor, &path.customer()).await?;
    let limit = query.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
    let (page, next) = page(all, query.cursor.as_deref(), limit)?;
    let items = page.into_iter().map(|owned| OwnedView::of(owned, actor.is_server()));
    Ok(Reply::ok(List::page(items.collect(), next)))
}

/// What stands for the product in cursors.
fn key(id: Option<&str>) -> &str {
    id.unwrap_or(INLINE)
}

/// At most `limit` of them from the one on that the cursor names, and what names the one behind.
fn page(mut all: Vec<OwnedProduct>, cursor: Option<&str>, limit: u64) -> Result<(Vec<OwnedProduct>, Option<String>)> {
    if let Some(cursor) = cursor {
        let Some(first) = all.iter().position(|owned| key(owned.id.as_deref()) == cursor) else {
            return refuse(Failure::bad_request("The cursor is no product that the customer has."));
        };
        all.drain(..first);
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let next = all.get(limit).map(|owned| key(owned.id.as_deref()).to_owned());
    all.truncate(limit);
    Ok((all, next))
}

async fn grant(mut call: Call) -> Answer<GrantView> {
    let actor = call.actor(SERVER)?;
    let (path, _, body) = call.read::<CustomerPath, Ignored, GrantBody>()?;
    let choice = ProductChoice::of(body.product_id, body.product_inline.map(Product::from))?;
    let quantity = body.quantity.map_or(1, whole);
    let granted = payments::grant(&call.deps, &actor, &path.customer(), &choice, quantity).await?;
    let subscription_id = (granted.kind == PurchaseKind::Subscription).then_some(granted.id);
    Ok(Reply::ok(GrantView { success: true, subscription_id }))
}

fn whole(Positive(number): Positive) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

async fn cancel(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let (path, query, _) = call.read::<ProductPath, CancelQuery, Ignored>()?;
    let which = match query.subscription_id {
        Some(id) => Cancelled::Subscription(id),
        None => Cancelled::Product(Some(path.product_id).filter(|id| id != INLINE)),
    };
    let customer = named(&path.customer_type, &path.customer_id);
    payments::cancel(&call.deps, &actor, &customer, &which).await?;
    Ok(success())
}

async fn switch(mut call: Call) -> Answer<Success> {
    let actor = call.actor(OPEN)?;
    let (path, _, body) = call.read::<AccountPath, Ignored, SwitchBody>()?;
    let wanted = SwitchProduct {
        from_product_id: body.from_product_id,
        to_product_id: body.to_product_id,
        price_id: body.price_id,
        quantity: body.quantity.map(whole),
    };
    payments::switch(&call.deps, &actor, &path.customer(), &wanted).await?;
    Ok(success())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use postern_domain::items::CustomerType;
    use serde_json::json;

    use super::*;

    fn owned(id: Option<&str>) -> OwnedProduct {
        let product = Product {
            display_name: "Pro".to_owned(),
            customer_type: CustomerType::User,
            server_only: false,
            stackable: false,
            prices: BTreeMap::new(),
            included_items: BTreeMap::new(),
            client_metadata: None,
            client_read_only_metadata: None,
            server_metadata: Some(json!("secret")),
        };
        OwnedProduct { id: id.map(str::to_owned), quantity: 1, product, subscription: None, switch_options: None }
    }

    fn ids(cursor: Option<&str>, limit: u64) -> (Vec<Option<String>>, Option<String>) {
        let (page, next) = page(vec![owned(None), owned(Some("a")), owned(Some("b"))], cursor, limit).unwrap();
        (page.into_iter().map(|owned| owned.id).collect(), next)
    }

    #[test]
    fn a_page_begins_with_what_its_cursor_names() {
        let id = |id: &str| Some(id.to_owned());
        assert_eq!(ids(None, 2), (vec![None, id("a")], id("b")));
        assert_eq!(ids(Some("b"), 2), (vec![id("b")], None));
        assert_eq!(ids(Some(INLINE), 3), (vec![None, id("a"), id("b")], None));
        assert!(page(vec![owned(Some("a"))], Some("z"), 1).is_err());
    }

    #[test]
    fn clients_get_the_key_of_what_is_for_servers_without_what_is_in_it() {
        let view = serde_json::to_value(OwnedView::of(owned(Some("a")), false)).unwrap();
        assert_eq!(view.pointer("/product/server_metadata"), Some(&json!(null)));
        assert_eq!((&view["type"], &view["subscription"]), (&json!("one_time"), &json!(null)));
        assert!(view.get("switch_options").is_none());
        let view = serde_json::to_value(OwnedView::of(owned(Some("a")), true)).unwrap();
        assert_eq!(view.pointer("/product/server_metadata"), Some(&json!("secret")));
    }
}
