//! Products, as the schema shows them. They are named things: their `id` is `product:key`.

use std::collections::BTreeMap;

use async_graphql::{Enum, ID};
use postern_domain::payments::{
    OwnedProduct, OwnedSubscription, SwitchOption,
    product::{IncludedItem, ItemExpires, Period, Price, Product, Repeat, Unit},
};
use postern_gateway_macros::guarded;
use serde_json::Value;

use crate::graphql::{
    items::types::CustomerType,
    scalars::{DateTime, SafeInt, json},
};

/// What stands before the key in the id of a product.
const PREFIX: &str = "product:";

/// The key of a product that a caller names by its key or its id. Keys have no colon.
pub(crate) fn key(id: &ID) -> &str {
    id.strip_prefix(PREFIX).unwrap_or(id)
}

/// What a customer has of a product.
pub(crate) struct ProductObject(pub(crate) OwnedProduct);

/// What a customer has of a product. A client sees those of its own user, and those of teams in which it holds
/// `team_admin`, unless they are for servers only.
#[guarded(CLIENT, graphql(name = "Product"))]
impl ProductObject {
    /// `product:` and the key; without a key for products that came with requests.
    #[access(CLIENT)]
    fn id(&self) -> ID {
        ID(format!("{PREFIX}{}", self.0.id.as_deref().unwrap_or_default()))
    }

    /// The name by which the config knows it; none stands for all that came with requests.
    #[access(CLIENT)]
    fn key(&self) -> Option<&str> {
        self.0.id.as_deref()
    }

    /// How many pieces; at least 1.
    #[access(CLIENT)]
    fn quantity(&self) -> SafeInt {
        SafeInt(self.0.quantity)
    }

    /// The name to show.
    #[access(CLIENT)]
    fn display_name(&self) -> &str {
        &self.0.product.display_name
    }

    /// Who can hold it.
    #[access(CLIENT)]
    fn customer_type(&self) -> CustomerType {
        self.0.product.customer_type.into()
    }

    /// It can be held several times.
    #[access(CLIENT)]
    fn stackable(&self) -> bool {
        self.0.product.stackable
    }

    /// Hidden from clients.
    #[access(CLIENT)]
    fn server_only(&self) -> bool {
        self.0.product.server_only
    }

    /// By key.
    #[access(CLIENT)]
    fn prices(&self) -> Vec<PriceObject> {
        prices(&self.0.product)
    }

    /// What it grants, by key of the item.
    #[access(CLIENT)]
    fn included_items(&self) -> Vec<IncludedItemObject> {
        included_items(&self.0.product)
    }

    /// The subscription that pays for it, while that runs.
    #[access(CLIENT)]
    fn subscription(&self) -> Option<ProductSubscriptionObject> {
        self.0.subscription.clone().map(ProductSubscriptionObject)
    }

    /// What the customer can change to; none where the product has no line.
    #[access(CLIENT)]
    fn switch_options(&self) -> Option<Vec<SwitchOptionObject>> {
        self.0.switch_options.clone().map(|options| options.into_iter().map(SwitchOptionObject).collect())
    }

    /// What the application keeps with it, and clients may change.
    #[access(CLIENT)]
    fn client_metadata(&self) -> Option<&Value> {
        self.0.product.client_metadata.as_ref().and_then(json)
    }

    /// What the application keeps with it, and clients may read.
    #[access(CLIENT)]
    fn client_read_only_metadata(&self) -> Option<&Value> {
        self.0.product.client_read_only_metadata.as_ref().and_then(json)
    }

    /// What the application keeps with it, for servers.
    #[access(SERVER)]
    fn server_metadata(&self) -> Option<&Value> {
        self.0.product.server_metadata.as_ref().and_then(json)
    }
}

pub(super) fn prices(product: &Product) -> Vec<PriceObject> {
    product.prices.iter().map(|(key, price)| PriceObject { key: key.clone(), price: price.clone() }).collect()
}

pub(super) fn included_items(product: &Product) -> Vec<IncludedItemObject> {
    let items = product.included_items.iter();
    items.map(|(key, item)| IncludedItemObject { item_key: key.clone(), item: item.clone() }).collect()
}

/// A subscription that runs.
pub(crate) struct ProductSubscriptionObject(OwnedSubscription);

/// A subscription that runs.
#[guarded(CLIENT, graphql(name = "ProductSubscription"))]
impl ProductSubscriptionObject {
    /// By which it is cancelled.
    #[access(CLIENT)]
    fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// When the present period ends.
    #[access(CLIENT)]
    fn current_period_end(&self) -> Option<DateTime> {
        self.0.period_end.map(DateTime)
    }

    /// It ends then.
    #[access(CLIENT)]
    fn cancel_at_period_end(&self) -> bool {
        self.0.cancel_at_period_end
    }
}

/// A product that a customer can change to.
pub(crate) struct SwitchOptionObject(SwitchOption);

/// A product that a customer can change to.
#[guarded(CLIENT, graphql(name = "SwitchOption"))]
impl SwitchOptionObject {
    /// The name by which the config knows it.
    #[access(CLIENT)]
    fn key(&self) -> &str {
        &self.0.product_id
    }

    /// The name to show.
    #[access(CLIENT)]
    fn display_name(&self) -> &str {
        &self.0.product.display_name
    }

    /// What it costs, again and again.
    #[access(CLIENT)]
    fn prices(&self) -> Vec<PriceObject> {
        prices(&self.0.product)
    }

    /// What it grants.
    #[access(CLIENT)]
    fn included_items(&self) -> Vec<IncludedItemObject> {
        included_items(&self.0.product)
    }
}

/// A price of a product.
pub(crate) struct PriceObject {
    key: String,
    price: Price,
}

/// A price of a product.
#[guarded(CLIENT, graphql(name = "ProductPrice"))]
impl PriceObject {
    /// The name by which the product knows it.
    #[access(CLIENT)]
    fn key(&self) -> &str {
        &self.key
    }

    /// What one piece costs. Only dollars are charged.
    #[access(CLIENT)]
    fn amounts(&self) -> Vec<MoneyObject> {
        amounts(&self.price.amounts)
    }

    /// Paid again after every such period; once, when there is none.
    #[access(CLIENT)]
    fn interval(&self) -> Option<PeriodObject> {
        self.price.interval.map(PeriodObject::from)
    }

    /// Not paid for so long at first.
    #[access(CLIENT)]
    fn free_trial(&self) -> Option<PeriodObject> {
        self.price.free_trial.map(PeriodObject::from)
    }
}

pub(super) fn amounts(by_code: &BTreeMap<String, String>) -> Vec<MoneyObject> {
    by_code.iter().map(|(code, amount)| MoneyObject { currency: code.clone(), amount: amount.clone() }).collect()
}

/// An amount of money.
#[guarded(CLIENT, graphql(name = "Money"))]
pub(crate) struct MoneyObject {
    /// ISO 4217, such as `USD`.
    #[access(CLIENT)]
    pub(super) currency: String,
    /// Such as `19.99`.
    #[access(CLIENT)]
    pub(super) amount: String,
}

/// A number and a unit.
#[guarded(CLIENT, graphql(name = "Period"))]
pub(crate) struct PeriodObject {
    /// How many.
    #[access(CLIENT)]
    count: i32,
    /// Of what.
    #[access(CLIENT)]
    unit: PeriodUnit,
}

/// What periods are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Unit")]
pub(crate) enum PeriodUnit {
    /// Day.
    Day,
    /// Week.
    Week,
    /// Month.
    Month,
    /// Year.
    Year,
}

impl From<Period> for PeriodObject {
    fn from(period: Period) -> Self {
        Self { count: i32::try_from(period.0).unwrap_or(i32::MAX), unit: period.1.into() }
    }
}

/// An item that comes with a product.
pub(crate) struct IncludedItemObject {
    item_key: String,
    item: IncludedItem,
}

/// An item that comes with a product.
#[guarded(CLIENT, graphql(name = "IncludedItem"))]
impl IncludedItemObject {
    /// The key of the item.
    #[access(CLIENT)]
    fn item_key(&self) -> &str {
        &self.item_key
    }

    /// How much, for each piece of the product.
    #[access(CLIENT)]
    fn quantity(&self) -> SafeInt {
        SafeInt(self.item.quantity)
    }

    /// Granted again after every such period; once, when there is none.
    #[access(CLIENT)]
    fn repeat(&self) -> Option<PeriodObject> {
        match self.item.repeat {
            Repeat::Every(period) => Some(period.into()),
            Repeat::Never(_) => None,
        }
    }

    /// When what was granted is lost.
    #[access(CLIENT)]
    fn expires(&self) -> ItemExpiry {
        self.item.expires.into()
    }
}

/// When what was granted is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "ItemExpires")]
pub(crate) enum ItemExpiry {
    /// Never.
    Never,
    /// With the purchase.
    WhenPurchaseExpires,
    /// When it is granted again, and with the purchase.
    WhenRepeated,
}
